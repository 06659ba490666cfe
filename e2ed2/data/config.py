"""Which pictures to train on."""

from dataclasses import dataclass

from e2ed2.errors import UserError

BUNDLED = "emoji"  # a name, so that a run's settings hold wherever the repository lies


@dataclass(frozen=True)
class DataConfig:
    """Which pictures to train on."""

    path: str = BUNDLED
    """`emoji`, the bundled set; else a folder with `metadata.csv` or `.jsonl` (Hugging Face imagefolder), Parquet
    files, or WebDataset shards. docs/data.md has all that is read."""
    split: str = "train"
    """Keep rows whose `split` column says this; ignored where there is no such column."""
    image_column: str = "image"
    caption_column: str = "caption"
    resolution: int = 128
    """Height and width in pixels; pictures are centre-cropped to a square and area-resized."""
    held_out: float = 0.0
    """Share of the pictures that are not trained on, to measure the loss on them; for sets that have no split for that
    (`validation`, `val`, `test`; the bundled set's is `combo`)."""
    skip_bad: bool = False
    """Leave out pictures that cannot be read or have no caption, and say which, instead of refusing the set."""

    def __post_init__(self) -> None:
        if self.resolution < 16:
            raise UserError(f"A resolution of {self.resolution} is too small: choose at least 16.")
        if not 0 <= self.held_out <= 0.5:
            raise UserError(f"held-out is {self.held_out}: choose a share from 0 to 0.5.")
