"""WebDataset shards, read at any place: the place of each part of each sample in its file is indexed once, and cached.

Nothing is unpacked and nothing copied. A tar file is not compressed, so that a sample is one read of its file.
"""

import json
import re
import sys
import tarfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from e2ed2.data.cache import cached
from e2ed2.data.rows import Row, Rows
from e2ed2.progress import say

MEMBER = re.compile(r"^((?:.*/|)[^./]+)[.]([^/]*)$")  # a sample's key, and which part of it
NONE = -1  # marks a part that a sample lacks
LONGEST = 1 << 20  # bytes of a part that is read as a text
KEY = "__key__"


class TarRows(Rows):
    """Samples of shards: a part is a column, and so is each entry of a JSON part."""

    def __init__(self, files: list[Path], image_column: str):
        stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        index = cached("tars", [json.dumps(stamps).encode(), b"with what is damaged"], lambda: scan(files))
        if damaged := bytes(index["damaged"].numpy()).decode():
            say(damaged.rstrip("\n"), sys.stderr)
        self.files, self.image_column = files, image_column
        self.parts = bytes(index["parts"].numpy()).decode().split("\n")
        self.shard, self.key_ends = index["shard"].numpy(), index["key_ends"].numpy()
        self.keys, self.places = index["keys"].numpy(), index["places"].numpy()

    def __len__(self) -> int:
        return len(self.shard)

    @property
    def columns(self) -> list[str]:
        """The names of the parts, and of the entries of the first sample's JSON."""
        return list(dict.fromkeys([*self.parts, *(self[0].fields if len(self) else ())]))

    def __getitem__(self, place: int) -> Row:
        file, key = self.files[self.shard[place]], self._key(place)
        fields: dict[str, Any] = {KEY: key}
        image: Path | bytes = Path("missing")
        with file.open("rb") as opened:
            for part, (start, size) in zip(self.parts, self.places[place].tolist(), strict=True):
                if start == NONE or (part != self.image_column and size > LONGEST):
                    continue
                opened.seek(start)
                data = opened.read(size)
                if part == self.image_column:
                    image = data
                else:
                    fields |= columns_of(part, data)
        return Row(f"{file.name} {key}", image, fields)

    def values(self, column: str) -> list[Any]:
        """The column of every row; all None for an unknown column, without reading the files."""
        return super().values(column) if column in self.columns else [None] * len(self)

    def _key(self, place: int) -> str:
        start = int(self.key_ends[place - 1]) if place else 0
        return bytes(self.keys[start : int(self.key_ends[place])]).decode(errors="replace")


def columns_of(part: str, data: bytes) -> dict[str, Any]:
    """The columns of a part: a text, a number, or the entries of a JSON object too; none if it is damaged."""
    kind = part.rpartition(".")[2].lower()
    if kind in ("json", "jsn"):
        try:
            value = json.loads(data)
        except ValueError:
            return {}
        return (value if isinstance(value, dict) else {}) | {part: value}
    text = data.decode(errors="replace")
    if kind in ("cls", "index"):
        return {part: int(text)} if text.strip().isdigit() else {}
    return {part: text}


def scan(files: list[Path]) -> dict[str, Tensor]:
    """The places of the parts of all samples, from one pass over the files' headers.

    Of N samples with P kinds of parts: `shard` `[N]`, `places` `[N, P, 2]` of offset and size in bytes, `keys`,
    `key_ends` `[N]`, the `parts`' names, and a line for each file that is `damaged`.
    """
    parts: list[str] = []
    damaged: list[str] = []
    samples = Samples()
    for number, file in enumerate(files):
        with tarfile.open(file, "r:") as tar:
            for member in members(tar, file, damaged):
                if (name := MEMBER.match(member.name)) and member.isfile():
                    if name[2] not in parts:
                        parts.append(name[2])
                    samples.add(number, name[1], parts.index(name[2]), member.offset_data, member.size)
        samples.end()
    return samples.tensors(parts) | {"damaged": letters("".join(damaged))}


def members(tar: Any, file: Path, damaged: list[str]) -> Iterator[tarfile.TarInfo]:
    """The members of a tar file; if it ends early, those before its end, and a line about it in `damaged`."""
    while True:
        try:
            member = tar.next()
        except tarfile.ReadError as error:
            damaged.append(f"{file} is damaged ({error}): what follows is not used.\n")
            return
        tar.members = []  # tarfile would keep them all in memory
        if member is None:
            return
        yield member


def letters(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


class Samples:
    """Places of the parts, collected one after the other at a few bytes each."""

    def __init__(self) -> None:
        self.shard, self.key_ends, self.keys = array("i"), array("q"), bytearray()
        self.found = array("q")  # sample, part, offset, size of each part
        self.key: tuple[int, str] | None = None

    def add(self, shard: int, key: str, part: int, offset: int, size: int) -> None:
        if self.key != (shard, key):
            self.key = (shard, key)
            self.shard.append(shard)
            self.keys += key.encode(errors="replace")
            self.key_ends.append(len(self.keys))
        self.found.extend((len(self.shard) - 1, part, offset, size))

    def end(self) -> None:
        """Mark the end of a file: no sample continues in the next one."""
        self.key = None

    def tensors(self, parts: list[str]) -> dict[str, Tensor]:
        places = np.full((len(self.shard), len(parts), 2), NONE, dtype=np.int64)
        found = np.array(self.found, dtype=np.int64).reshape(-1, 4)
        places[found[:, 0], found[:, 1]] = found[:, 2:]
        arrays = {
            "shard": np.array(self.shard, dtype=np.int32),
            "places": places,
            "keys": np.frombuffer(bytes(self.keys), dtype=np.uint8),
            "key_ends": np.array(self.key_ends, dtype=np.int64),
        }
        found = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
        return found | {"parts": letters("\n".join(parts))}
