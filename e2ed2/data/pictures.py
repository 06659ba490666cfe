"""Pictures with captions, from the bundled set or anybody's, decoded once into memory."""

import json
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from datasets.exceptions import DatasetsError
from PIL import Image
from torch import Tensor

from e2ed2.assets import EMOJI, EMOJI_WORDS
from e2ed2.errors import UserError

BUNDLED = "emoji"  # a name, so that a run's settings hold wherever the repository lies


@dataclass(frozen=True)
class DataConfig:
    """Which pictures to train on."""

    path: str = BUNDLED
    """`emoji`, the bundled set; else a folder with `metadata.csv` or `.jsonl` (Hugging Face imagefolder), a Parquet
    file, or WebDataset shards."""
    split: str = "train"
    """Keep rows whose `split` column says this; ignored where there is no such column."""
    image_column: str = "image"
    caption_column: str = "caption"
    resolution: int = 128
    """Height and width in pixels; pictures are centre-cropped to a square and area-resized."""

    def __post_init__(self) -> None:
        if self.resolution < 16:
            raise UserError(f"A resolution of {self.resolution} is too small: choose at least 16.")


@dataclass(frozen=True)
class Pictures:
    """N captioned pictures, all of one size."""

    images: np.ndarray  # uint8 [N, H, W, 3], RGB
    captions: list[str]
    keywords: list[list[str]] = field(repr=False)  # other words for the same thing; may be empty
    styles: list[str] = field(repr=False)  # the word that names the drawing style; "" where there is none
    descriptions: list[list[str]] = field(repr=False)  # sentences about the thing; may be empty

    def __len__(self) -> int:
        return len(self.captions)

    def tensor(self, rows: Tensor) -> Tensor:
        """Those rows as `[B, 3, H, W]` in [-1, 1]."""
        return to_tensor(self.images[rows.numpy()])


def to_tensor(images: np.ndarray) -> Tensor:
    """uint8 `[B, H, W, 3]` as `[B, 3, H, W]` in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def load_pictures(config: DataConfig) -> Pictures:
    """Read and decode every picture of the split: N * H * W * 3 bytes of memory.

    Raises:
        UserError: nothing readable at the path, no such column, or no picture in the split.
    """
    with as_unreadable(config.path):
        table = open_table(config.path)
    for column in (config.image_column, config.caption_column):
        if column not in table.column_names:
            raise UserError(
                f"{config.path} has no column {column!r} (it has {', '.join(table.column_names)}): "
                "name yours with --data.image-column and --data.caption-column."
            )
    if "split" in table.column_names:
        splits = np.array(table["split"])
        table = table.select(np.flatnonzero(splits == config.split))
        if len(table) == 0:
            raise UserError(f"No picture has split {config.split!r}: choose one of {', '.join(sorted(set(splits)))}.")
    if len(table) == 0:
        raise UserError(f"{config.path} holds no picture.")
    with as_unreadable(config.path):
        images = table.cast_column(config.image_column, datasets.Image(mode="RGB"))[config.image_column]
        squares = np.stack([square(image, config.resolution) for image in images])
    captions, count = list(table[config.caption_column]), len(table)
    keywords = list(table["keywords"]) if "keywords" in table.column_names else [[]] * count
    more = json.loads(EMOJI_WORDS.read_text()) if config.path == BUNDLED else {}
    return Pictures(
        images=squares,
        captions=captions,
        keywords=[
            [*known, *more.get(name, {}).get("keywords", [])] for name, known in zip(captions, keywords, strict=True)
        ],
        styles=list(table["style"]) if "style" in table.column_names else [""] * count,
        descriptions=[more.get(name, {}).get("descriptions", []) for name in captions],
    )


def open_table(path: str) -> datasets.Dataset:
    file = EMOJI if path == BUNDLED else Path(path)
    if file.is_dir() and not list(file.glob("*.tar")):
        return _load("imagefolder", data_dir=path)
    if file.suffix == ".parquet" and file.is_file():
        return datasets.Dataset.from_parquet(str(file), keep_in_memory=True)
    shards = sorted(file.glob("*.tar")) if file.is_dir() else sorted(file.parent.glob(file.name))
    if shards and all(shard.suffix == ".tar" for shard in shards):
        return _load("webdataset", data_files=[str(shard) for shard in shards])
    raise UserError(
        f"No pictures at {path}: give a folder with metadata.csv or .jsonl, a .parquet file, or .tar shards."
    )


@contextmanager
def as_unreadable(path: str) -> Generator[None]:
    """What `datasets` makes of an empty folder, a table without file names, a damaged file."""
    try:
        yield
    except (OSError, ValueError, LookupError, tarfile.TarError, DatasetsError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(
            f"{path} cannot be read ({reason}): give a folder of pictures with metadata.csv or .jsonl, whose column "
            "file_name names each, a .parquet file, or .tar shards."
        ) from error


def _load(kind: str, **where: Any) -> datasets.Dataset:
    return datasets.load_dataset(kind, split="train", **where)


def square(image: Image.Image, resolution: int) -> np.ndarray:
    """Centre crop and area resize to uint8 `[resolution, resolution, 3]`."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.convert("RGB").resize((resolution, resolution), Image.Resampling.BOX, box=box))
