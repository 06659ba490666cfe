"""Hashes of the captions that a model was trained on, stored beside it to tell whether a prompt was among them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from e2ed2.data.pictures import Pictures, PictureSet
from e2ed2.data.shards import CachedPictures, lines_of

FILE = "captions.hashes"  # 8 bytes each, sorted
BYTES = 8


def write_hashes(pictures: PictureSet, folder: Path) -> None:
    """Write the hashes, if the set has its captions at hand: in memory or in shards, not created for each batch."""
    if digests := hashes(captions_of(pictures)):
        (folder / FILE).write_bytes(b"".join(sorted(set(digests))))


def captions_of(pictures: PictureSet) -> Iterator[str]:
    if isinstance(pictures, Pictures) and not pictures.named:
        yield from chain(pictures.captions, *pictures.others)
    if isinstance(pictures, CachedPictures):
        for file in pictures.files:
            yield from chain.from_iterable(line.get("texts", ()) for line in lines_of(file))


def hashes(texts: Iterable[str]) -> list[bytes]:
    """One hash per text; capitals, spaces and a final full stop make no difference."""
    plain = (" ".join(text.casefold().split()).rstrip(" .") for text in texts)
    return [hashlib.sha256(text.encode()).digest()[:BYTES] for text in plain]


def trained_on(prompts: Sequence[str], folder: Path) -> int | None:
    """How many of the prompts the folder's model was trained on; None if its captions are not recorded."""
    if not (folder / FILE).is_file():
        return None
    asked, known = (
        np.frombuffer(digests, "u8") for digests in (b"".join(hashes(prompts)), (folder / FILE).read_bytes())
    )
    return int(np.isin(asked, known).sum())
