"""Writing shards: the order of the work, what they were made with, and their parts."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from torch import Tensor

from e2ed2.data.config import SETTINGS, ShardOptions
from e2ed2.data.rows import Rows, chunks
from e2ed2.data.shards import READ, SHARD, is_whole, lines_of, settings_of
from e2ed2.errors import UserError, raise_if_disk_full
from e2ed2.progress import track
from e2ed2.tensors import save_tensors
from e2ed2.types import TextEmbedding

PATIENCE = timedelta(days=1)  # that a process which is done waits for the others
Write = Callable[[Rows, range, Path], Iterator[None]]  # the shard of these places, yielding after each batch of rows


def write_shards(
    options: ShardOptions, settings: dict[str, Any], rows: Rows, write: Write, doing: str
) -> tuple[int, int]:
    """Write the missing shards, shared among processes. Returns how many samples were written and how many left out.

    Args:
        settings: what, beside the set, decides what is in them.

    Raises:
        UserError: the folder holds what was made with other options.
    """
    state = PartialState()
    places = list(chunks(range(len(rows)), options.shard_size))
    files = [options.out / SHARD.format(number) for number in range(len(places))]
    if state.is_main_process:
        claim(options, settings, len(rows), len(files))
    state.wait_for_everyone()
    mine = range(state.process_index, len(files), state.num_processes)
    missing = [number for number in mine if not is_whole(files[number])]
    batches = (None for number in missing for _ in write(rows, places[number], files[number]))
    total = sum(-(-len(places[number]) // options.batch_size) for number in missing)
    with raise_if_disk_full(options.out, SafetensorError):
        for _ in track(batches, doing, total, disable=not state.is_main_process):
            pass
    state.wait_for_everyone()
    counts = Counter(key for file in files for line in lines_of(file) for key in ("texts", "left_out") if key in line)
    return counts["texts"], counts["left_out"]


def claim(options: ShardOptions, settings: dict[str, Any], rows: int, shards: int) -> None:
    """Record the settings of the shards, or check that existing shards were made with the same ones."""
    settings = {
        "source": options.set.path,
        **{name: getattr(options.data, name) for name in READ},
        "held_out": options.data.held_out,
        "rows": rows,
        "shards": shards,
        "shard_size": options.shard_size,
        "resolution": options.data.resolution,
        **settings,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / SETTINGS
    if file.is_file():
        added = {name: settings[name] for name in (*READ, "held_out")}  # an earlier release did not record them
        before = added | settings_of(options.out)
        if differing := [name for name in before | settings if before.get(name) != settings.get(name)]:
            raise UserError(
                f"{options.out} holds shards of another set or model (other {', '.join(differing)}): choose another "
                "--out, or delete it."
            )
    file.write_text(json.dumps(settings, indent=2) + "\n")


class Part:
    """The samples of a shard whose latents share one shape."""

    def __init__(self) -> None:
        self.latents: list[Tensor] = []
        self.texts: list[tuple[Tensor, Tensor]] = []
        self.captions: list[int] = []
        self.jpegs: list[bytes] = []
        self.drawn: list[tuple[int, int]] = []

    def tensors(self) -> dict[str, Tensor]:
        tensors = {
            "latents": torch.stack(self.latents),
            "captions": starts_of(self.captions),
            "tokens": torch.cat([tokens for tokens, _ in self.texts]),
            "lengths": starts_of([len(tokens) for tokens, _ in self.texts]),
            "pooled": torch.stack([pooled.float() for _, pooled in self.texts]),
        }
        if self.drawn:
            tensors["drawn"] = torch.tensor(self.drawn)
        if self.jpegs:
            tensors["jpegs"] = torch.frombuffer(bytearray(b"".join(self.jpegs)), dtype=torch.uint8)
            tensors["jpeg_ends"] = starts_of([len(jpeg) for jpeg in self.jpegs])
        return tensors


def starts_of(lengths: list[int]) -> Tensor:
    """Lengths of N pieces => `[N + 1]`: where each begins, and where the last one ends."""
    return torch.tensor([0, *lengths]).cumsum(0)


def kept_texts(states: TextEmbedding) -> list[tuple[Tensor, Tensor]]:
    """The tokens `[L, D]` of each caption in half precision, without padding, and its pooled `[P]`; on the CPU."""
    states = states.to("cpu")
    columns = zip(states.tokens, states.mask, states.pooled, strict=True)
    return [(words[mask].half(), pooled.float()) for words, mask, pooled in columns]


def save_shard(parts: dict[str, Part], lines: list[dict[str, Any]], file: Path) -> None:
    """Write a shard atomically, from its parts by the shape of their latents, and the lines about its samples."""
    tensors = {f"{shape}.{name}": one for shape, part in parts.items() for name, one in part.tensors().items()}
    partial = file.with_suffix(".partial")
    save_tensors(tensors, partial)
    file.with_suffix(".jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    partial.rename(file)
