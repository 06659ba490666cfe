"""Which pictures to train on."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Self

import tyro

from e2ed2.errors import UserError

# Names rather than paths, so that a run's settings stay valid wherever the repository is.
BUNDLED = "emoji"
COLOURED = "emoji-colours"  # the same, with each drawing in two more colours
HUB = "hf:"  # before the id of a dataset on the Hugging Face hub
SETTINGS = "shards.json"  # in a folder written by `data cache`
LARGEST = 8192  # pixels of a side


def is_bundled(path: str) -> bool:
    return path in (BUNDLED, COLOURED)


def is_cached(path: str) -> bool:
    """Whether the folder was written by `data cache`."""
    return (Path(path) / SETTINGS).is_file()


@dataclass(frozen=True)
class DataConfig:
    """Which pictures to train on."""

    path: str = BUNDLED
    """`emoji`, the bundled set; `emoji-colours`, the same and each drawing in two more colours, with captions that name
    them; else a folder with `metadata.csv` or `.jsonl` (Hugging Face imagefolder), Parquet
    files, WebDataset shards, a Hugging Face dataset (a folder, or `hf:` and its id), or what `data cache` wrote.
    docs/data.md has all that is read."""
    split: str = "train"
    """Keep rows whose `split` column has this value; ignored if there is no such column."""
    image_column: str = "image"
    caption_column: str = "caption"
    resolution: int = 128
    """Height and width in pixels; pictures are centre-cropped to a square and area-resized."""
    held_out: float = 0.0
    """Share of the pictures that are not trained on, to measure the loss on them; for sets that have no split for that
    (`validation`, `val`, `test`; the bundled set's is `combo`)."""
    stream: bool = False
    """Read each picture when a batch needs it, instead of holding the set in memory: for sets of any size. Nothing is
    precomputed: `data cache` does that. What cannot be used is left out, and named in the run's `data.log`."""
    workers: int = 4
    """Threads that read and decode ahead of the training, of a set on disk."""
    skip_bad: bool = False
    """Leave out pictures that cannot be read or have no caption, and say which, instead of refusing the set."""

    def __post_init__(self) -> None:
        if self.resolution < 16:
            raise UserError(f"A resolution of {self.resolution} is too small: choose at least 16.")
        if self.resolution > LARGEST:
            raise UserError(f"A resolution of {self.resolution} is too large: choose at most {LARGEST}.")
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}: choose at least 1.")
        if not 0 <= self.held_out <= 0.5:
            raise UserError(f"held-out is {self.held_out}: choose a share from 0 to 0.5.")

    def at(self, where: str | None) -> Self:
        """The set that a command names as a positional argument. Raises UserError: an option names another."""
        if where and self.path not in (BUNDLED, where):
            raise UserError(f"Two sets are named, {where} and {self.path}: leave one of them out.")
        return replace(self, path=where) if where else self


@dataclass(frozen=True)
class CacheOptions:
    """Encode pictures and captions once, into shards on disk that a training maps into memory; give their folder as
    its --data.path. The same command resumes; `accelerate launch` shares the work."""

    out: Path
    """The shards' folder."""
    where: Annotated[str | None, tyro.conf.Positional] = None
    """The set, as for --path."""
    backbone: str = ""
    """Use the codec and text encoder of this diffusers pipeline, named as for --backbone of a training."""
    codec_from: str = ""
    """Instead of --backbone: use the codec and text encoder of this model of the project."""
    buckets: bool = False
    """Keep about the pictures' own aspect ratios, up to 2:1, with the pixels of a square; for backbones."""
    pixels: bool = True
    """Also keep the pictures, as JPEG: for losses that look at them (lpips, gan, energy-lpips)."""
    shard_size: int = 1024
    """Pictures in a shard."""
    batch_size: int = 16
    """Pictures encoded at a time."""
    data: Annotated[DataConfig, tyro.conf.arg(name="")] = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if bool(self.backbone) == bool(self.codec_from):
            raise UserError("Whose codec and text encoder? Name one model: --backbone, or --codec-from.")
        if min(self.shard_size, self.batch_size) < 1:
            raise UserError("shard-size and batch-size must be at least 1.")
        if self.buckets and self.codec_from:
            raise UserError("The models of this project make squares: --buckets is for backbones.")
        self.set  # noqa: B018, it checks

    @property
    def set(self) -> DataConfig:
        """The set to read, streamed from disk: unusable pictures are left out, and named beside the shards."""
        data = self.data.at(self.where)
        return replace(data, stream=not is_bundled(data.path), skip_bad=True)
