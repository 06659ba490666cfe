"""Latents and text states on disk, in shards that are mapped into memory: `data cache` and `data pairs` write them.

A shard holds the samples of a run of rows, those of one shape of latents together; of shape `64x64`, with n samples and
m captions: `latents` [n, C, h, w], `captions` [n + 1] where each one's captions begin, `tokens` [sum of lengths, D] of
all captions one after the other, `lengths` [m + 1] where each one's begin, `pooled` [m, P], and, where pictures are
kept, `jpegs` bytes and `jpeg_ends` [n + 1]. What `data pairs` writes has latents in float32, and in `drawn` [n, 2] the
row of each caption and its number there, which with the seed decide the noise that the latents were made of. A file of
lines beside a shard names the samples, and what was left out.
"""

import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from e2ed2.data.config import SETTINGS, DataConfig
from e2ed2.data.pictures import divided_places, to_tensor
from e2ed2.errors import UserError
from e2ed2.seeds import stream
from e2ed2.types import TextEmbedding

SHARD = "shard-{:05d}.safetensors"
NEEDED = {"resolution", "shards", "pixels", "model", "codec", "text"}  # required settings
READ = ("split", "image_column", "caption_column")  # what of a set is encoded


@dataclass(frozen=True)
class Cached:
    """One sample of a shard."""

    latents: Tensor  # [C, h, w] float16; float32 of a teacher's
    texts: list[tuple[Tensor, Tensor]]  # of each caption its tokens [L, D] float16, and pooled [P]
    jpeg: bytes  # empty if none is kept
    drawn: tuple[int, ...] = ()  # what decides the noise that the latents were made of, if they were


class Group:
    """The samples of one shape, over all shards."""

    def __init__(self, shape: str, shards: list[tuple[Path, int]], share: float, held: bool):
        """`share` of the samples is held out; `held` says which of the two this is."""
        self.shape, self.files = shape, [file for file, _ in shards]
        self.ends = np.cumsum([count for _, count in shards])
        self.places = divided_places(np.arange(int(self.ends[-1])), share)[int(held)]
        self.opened: dict[int, dict[str, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.places)

    def at(self, place: int) -> Cached:
        """Raises UserError: the shard is damaged."""
        number = int(self.places[place])
        which = int(np.searchsorted(self.ends, number, side="right"))
        row = number - int(self.ends[which - 1]) if which else number
        parts = self._part(which)
        first, last = parts["captions"][row : row + 2].tolist()
        starts = parts["lengths"][first : last + 1].tolist()
        texts = [(parts["tokens"][a:b], parts["pooled"][first + i]) for i, (a, b) in enumerate(pairwise(starts))]
        jpeg = b""
        if "jpegs" in parts:
            start, end = parts["jpeg_ends"][row : row + 2].tolist()
            jpeg = parts["jpegs"][start:end].numpy().tobytes()
        drawn = tuple(parts["drawn"][row].tolist()) if "drawn" in parts else ()
        return Cached(parts["latents"][row], texts, jpeg, drawn)

    def _part(self, which: int) -> dict[str, Tensor]:
        if which not in self.opened:
            try:
                tensors = load_file(self.files[which])
            except (SafetensorError, OSError) as error:
                raise UserError(f"{damaged(self.files[which])} ({error})") from error
            prefix = f"{self.shape}."
            self.opened[which] = {
                name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)
            }
        return self.opened[which]


class CachedPictures:
    """A set written by `data cache` or `data pairs`: samples by shape and place. None of it is held in memory."""

    def __init__(self, config: DataConfig, held: bool = False):
        """`held`: the samples that are not trained on.

        Raises:
            UserError: it is not complete, damaged, of another resolution, or of other columns.
        """
        self.folder, self.pool = Path(config.path), ThreadPoolExecutor(config.workers, "decoding")
        self.settings = settings_of(self.folder)
        if config.resolution != self.side:
            raise UserError(
                f"The pictures in {config.path} were encoded at {self.side} pixels: add --data.resolution {self.side}."
            )
        check_read(config, self.settings)
        shapes: dict[str, list[tuple[Path, int]]] = {}
        self.files = shard_files(self.folder, self.settings["shards"])
        for file in self.files:
            for shape, count in counts_of(file).items():
                shapes.setdefault(shape, []).append((file, count))
        groups = [Group(shape, files, config.held_out, held) for shape, files in sorted(shapes.items())]
        self.groups = [group for group in groups if len(group)]
        if not self.groups and not held:
            raise UserError(f"{config.path} holds no picture that can be used.")

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    @property
    def side(self) -> int:
        return self.settings["resolution"]

    @property
    def with_pixels(self) -> bool:
        return self.settings["pixels"]

    @property
    def paired(self) -> bool:
        """Whether its latents are what a teacher made of noise that is known."""
        return "guidance" in self.settings

    def noise(self, samples: list[Cached]) -> Tensor | None:
        """The noise that their latents were made of, `[B, C, h, w]`; None if they were encoded."""
        if not self.paired:
            return None
        seed = self.settings["seed"]
        return torch.stack([paired_noise(seed, *one.drawn, shape=one.latents.shape) for one in samples])

    @cached_property
    def largest(self) -> Group:
        return max(self.groups, key=len)

    @property
    def example(self) -> str:
        return next(line["texts"][0] for line in lines_of(self.largest.files[0]) if "texts" in line)

    def tensor(self, rows: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """Pictures of the most frequent shape. Raises UserError: the shards contain latents only."""
        if not self.with_pixels:
            raise UserError(f"{self.folder} has latents and texts, and no pictures to show: `data cache` keeps them.")
        return self.pixels([self.largest.at(row % len(self.largest)) for row in rows.tolist()]).to(device)

    def pixels(self, samples: list[Cached]) -> Tensor:
        """Their pictures `[B, 3, H, W]` in [-1, 1], decoded in several threads."""
        return to_tensor(np.stack(list(self.pool.map(decoded, samples))))


def pairs_of(pictures: Any) -> CachedPictures | None:
    """The set, if its latents are what a teacher made of noise that is known."""
    return pictures if isinstance(pictures, CachedPictures) and pictures.paired else None


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings the shards were made with. Raises UserError: the settings file is damaged."""
    file = folder / SETTINGS
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        if settings.keys() >= NEEDED:
            return settings
    except (ValueError, AttributeError):
        pass
    raise UserError(f"{damaged(file)}.")


def check_read(config: DataConfig, settings: dict[str, Any]) -> None:
    """Which columns and split are in the shards was decided when they were written.

    Raises:
        UserError: different ones are requested.
    """
    for name in READ:
        wanted, usual = getattr(config, name), getattr(DataConfig, name)
        if wanted not in (usual, settings.get(name, usual)):
            option = name.replace("_", "-")
            raise UserError(
                f"{config.path} was encoded with the {option} {settings.get(name, usual)!r}, not {wanted!r}: leave "
                f"--data.{option} out, or run `data cache` with it into another folder."
            )


def is_whole(shard: Path) -> bool:
    """Whether both the shard and its file of lines exist."""
    return shard.is_file() and shard.with_suffix(".jsonl").is_file()


def shard_files(folder: Path, count: int) -> list[Path]:
    """Raises UserError: some are missing."""
    files = [folder / SHARD.format(number) for number in range(count)]
    if missing := [file for file in files if not is_whole(file)]:
        raise UserError(
            f"{folder} has {count - len(missing)} of {count} shards: run the same `data cache` or `data pairs` again; "
            "it goes on."
        )
    return files


def counts_of(file: Path) -> dict[str, int]:
    """The number of samples of each shape in a shard. Raises UserError: it is damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            names = [name for name in opened.keys() if name.endswith(".latents")]  # noqa: SIM118, it is no dictionary
            return {name.removesuffix(".latents"): opened.get_slice(name).get_shape()[0] for name in names}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{damaged(file)} ({error})") from error


def damaged(file: Path) -> str:
    return f"{file} cannot be read: delete it, and run the same `data cache` or `data pairs` again"


def lines_of(shard: Path) -> list[dict[str, Any]]:
    """The samples in a shard and those left out of it, by name. Raises UserError: the file is damaged."""
    file = shard.with_suffix(".jsonl")
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except ValueError as error:
        raise UserError(f"{damaged(file)} ({error}).") from error


def paired_noise(seed: int, row: int, number: int, shape: Sequence[int]) -> Tensor:
    """What a teacher's latents of that caption of that row begin as, on the CPU."""
    return torch.randn(shape, generator=stream(seed, "paired noise", row, number))


def decoded(sample: Cached) -> np.ndarray:
    """Its picture, uint8 `[H, W, 3]`."""
    return np.asarray(Image.open(io.BytesIO(sample.jpeg)).convert("RGB"))


def padded(texts: list[tuple[Tensor, Tensor]], with_words: bool) -> TextEmbedding:
    """Captions of different lengths as one batch; one token each if the model needs no token states."""
    states = [tokens if with_words else tokens[:1] for tokens, _ in texts]
    longest = max(map(len, states))
    mask = torch.arange(longest) < torch.tensor([[len(one)] for one in states])
    tokens = torch.zeros(len(states), longest, states[0].shape[-1])
    for row, one in zip(tokens, states, strict=True):
        row[: len(one)] = one
    return TextEmbedding(tokens, mask, torch.stack([pooled for _, pooled in texts]))
