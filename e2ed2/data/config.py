"""Which pictures to train on."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Self

import tyro

from e2ed2.device import Device
from e2ed2.errors import UserError

# Names rather than paths, so that a run's settings stay valid wherever the repository is.
BUNDLED = "emoji"
COLOURED = "emoji-colours"  # the same, with each drawing in two more colours
HUB = "hf:"  # before the id of a dataset on the Hugging Face hub
SETTINGS = "shards.json"  # in a folder written by `data cache` or `data pairs`
LARGEST = 8192  # pixels of a side


def is_bundled(path: str) -> bool:
    return path in (BUNDLED, COLOURED)


def is_cached(path: str) -> bool:
    """Whether the folder was written by `data cache` or `data pairs`."""
    return (Path(path) / SETTINGS).is_file()


@dataclass(frozen=True)
class DataConfig:
    """Which pictures to train on."""

    path: str = BUNDLED
    """`emoji`, the bundled set; `emoji-colours`, the same and each drawing in two more colours, with captions that name
    them; else a folder with `metadata.csv` or `.jsonl` (Hugging Face imagefolder), Parquet
    files, WebDataset shards, a Hugging Face dataset (a folder, or `hf:` and its id), or what `data cache` or
    `data pairs` wrote. docs/data.md has all that is read."""
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
class CaptionedSet(DataConfig):
    """A set of which captions alone are read: how its pictures would be is no option. Rows without one are left out."""

    stream: tyro.conf.Suppress[bool] = field(default=True, init=False)
    workers: tyro.conf.Suppress[int] = field(default=DataConfig.workers, init=False)
    skip_bad: tyro.conf.Suppress[bool] = field(default=True, init=False)


@dataclass(frozen=True)
class ShardOptions:
    """What is written into shards on disk, once, and where."""

    out: Path
    """The shards' folder."""
    where: Annotated[str | None, tyro.conf.Positional] = None
    """The set, as for --path."""
    backbone: str = ""
    """Use the networks of this diffusers pipeline, named as for --backbone of a training."""
    shard_size: int = 1024
    """Pictures in a shard."""
    batch_size: int = 16
    """Pictures computed at a time."""
    device: Device = ""
    data: Annotated[DataConfig, tyro.conf.arg(name="")] = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if min(self.shard_size, self.batch_size) < 1:
            raise UserError("shard-size and batch-size must be at least 1.")
        if is_bundled(self.set.path):
            raise UserError("The captions of the bundled drawings are made in the training: name a set of your own.")

    @property
    def set(self) -> DataConfig:
        """The set to read, streamed from disk: unusable pictures are left out, and named beside the shards."""
        return replace(self.data.at(self.where), stream=True, skip_bad=True)


@dataclass(frozen=True)
class CacheOptions(ShardOptions):
    """Encode pictures and captions once, into shards on disk that a training maps into memory; give their folder as
    its --data.path. The same command resumes; `accelerate launch` shares the work."""

    codec_from: str = ""
    """Instead of --backbone: use the codec and text encoder of this model of the project."""
    buckets: bool = False
    """Keep about the pictures' own aspect ratios, up to 2:1, with the pixels of a square; for backbones."""
    pixels: bool = True
    """Also keep the pictures, as JPEG: for losses that look at them (lpips, gan, energy-lpips)."""

    def __post_init__(self) -> None:
        if bool(self.backbone) == bool(self.codec_from):
            raise UserError("Whose codec and text encoder? Name one model: --backbone, or --codec-from.")
        if self.buckets and self.codec_from:
            raise UserError("The models of this project make squares: --buckets is for backbones.")
        super().__post_init__()


@dataclass(frozen=True)
class PairOptions(ShardOptions):
    """Have a backbone make a picture of noise for each caption of a set, with guidance and in many steps, once. Noise,
    latents and text states go into shards on disk; a training that is given their folder as its --data.path learns to
    make the same of the same noise in few steps. The same command resumes; `accelerate launch` shares the work."""

    where: Annotated[str | None, tyro.conf.Positional] = None
    """The set, as for --path, or a text file with one caption a line."""
    guidance: float = 4.5
    """Guidance scale, which is so folded in; 1: none."""
    steps: int = 25
    """Sampler steps."""
    seed: int = 0
    """Decides the noise of each caption."""
    bf16: bool = False
    """Call the network in bf16, its chain in float32: much faster on a GPU, and less exact."""
    data: Annotated[CaptionedSet, tyro.conf.arg(name="")] = field(default_factory=CaptionedSet)

    def __post_init__(self) -> None:
        if not self.backbone:
            raise UserError("Whose pictures? Name a diffusers pipeline with --backbone.")
        if not 1 <= self.guidance < math.inf:
            raise UserError(f"guidance is {self.guidance}: choose a scale above 1, or 1 for none.")
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}: choose at least 1.")
        super().__post_init__()

    @property
    def set(self) -> DataConfig:
        return self.data.at(self.where)
