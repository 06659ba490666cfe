"""Reports what a training set contains, and which parts of its captions a model cannot read."""

from collections import Counter
from collections.abc import Iterable
from functools import singledispatch
from typing import Any

import torch

from e2ed2.data.pictures import ADVICE, LISTED, Pictures, decoded_row, listed
from e2ed2.data.rows import chunks
from e2ed2.data.shards import CachedPictures, lines_of
from e2ed2.data.streamed import StreamedPictures
from e2ed2.errors import UserError
from e2ed2.models.base import TextEncoder
from e2ed2.progress import track

AT_A_TIME = 1024  # pictures queued for threads: a future for every picture of a large set would fill the memory


@singledispatch
def check(pictures: Any, encoder: TextEncoder) -> list[str]:
    """Human-readable lines about the set.

    Raises:
        UserError: part of the set cannot be used, and leaving it out was not requested.
    """
    raise TypeError(type(pictures))


@check.register
def _(pictures: Pictures, encoder: TextEncoder) -> list[str]:
    """The set has been loaded, so every picture and caption can be used."""
    captions = [*pictures.captions, *(text for texts in pictures.others for text in texts)]
    lines = [f"{len(pictures)} pictures, {len(set(captions))} different captions"]
    if pictures.styles:
        styles = sorted(Counter(pictures.styles).items())
        lines.append(", ".join(f"{style or 'no style'} {count}" for style, count in styles))
    return lines + Unread(encoder).over(sorted(set(captions))).lines()


@check.register
def _(pictures: StreamedPictures, encoder: TextEncoder) -> list[str]:
    """Every picture is read and decoded, and then discarded."""
    unread, problems, bad, small, captions = Unread(encoder), list[str](), 0, 0, 0
    side = pictures.side

    def look(place: int) -> tuple[int, list[str]] | UserError:
        try:
            image, texts = decoded_row(pictures.rows[place], pictures.config)
            return min(image.size), texts
        except UserError as error:
            return error

    parts = chunks(range(len(pictures)), AT_A_TIME)
    looked = (decoded for part in parts for decoded in pictures.pool.map(look, part))
    for decoded in track(looked, "reading", total=len(pictures)):
        if isinstance(decoded, UserError):
            bad += 1
            problems += [str(decoded)] if bad <= LISTED else []
            continue
        small += decoded[0] < side
        captions += len(decoded[1])
        unread.over(decoded[1])
    if bad:
        problems += listed([""] * bad)[LISTED:]
        if not pictures.config.skip_bad:
            raise UserError("\n".join([*problems, ADVICE.format(bad=bad, count=len(pictures))]))
    lines = [f"{len(pictures) - bad} pictures, {captions} captions", *problems]
    lines += [f"{small} are smaller than {side} by {side} pixels, and are enlarged"] if small else []
    return lines + unread.lines()


@check.register
def _(pictures: CachedPictures, encoder: TextEncoder) -> list[str]:
    """Every sample is read the way training reads it."""
    for group in pictures.groups:
        for place in track(range(len(group)), f"reading {group.shape}"):
            sample = group.at(place)
            values = [sample.latents, *(tokens for tokens, _ in sample.texts)]
            if not all(torch.isfinite(value).all() for value in values):
                raise UserError(f"Sample {place} of shape {group.shape} in {pictures.folder} is not finite.")
    shapes = ", ".join(f"{group.shape} {len(group)}" for group in pictures.groups)
    out = sum("left_out" in line for file in pictures.files for line in lines_of(file))
    parts = "latents, texts and pictures" if pictures.with_pixels else "latents and texts"
    how = "made of noise by" if pictures.paired else "encoded for"
    return [
        f"{len(pictures)} pictures of {pictures.side} pixels, {how} {pictures.settings['model']}: {parts}",
        f"shapes of latents: {shapes}",
        *([f"{out} were left out then"] if out else []),
    ]


class Unread:
    """Counts captions that are too long or contain unknown words, and remembers the first of each."""

    def __init__(self, encoder: TextEncoder):
        self.encoder, self.cut, self.unknown = encoder, 0, 0
        self.first_cut, self.first_unknown = ("", ""), ("", "")

    def over(self, texts: Iterable[str]) -> "Unread":
        for text in texts:
            if end := self.encoder.unread(text):
                self.first_cut = self.first_cut if self.cut else (text, end)
                self.cut += 1
            if words := self.encoder.unknown(text):
                self.first_unknown = self.first_unknown if self.unknown else (text, " ".join(words))
                self.unknown += 1
        return self

    def lines(self) -> list[str]:
        lines = []
        if self.cut:
            text, end = self.first_cut
            lines.append(
                f"{self.cut} captions are longer than the {self.encoder.max_tokens} tokens that are read; of “{text}”, "
                f"“{end}” is not."
            )
        if self.unknown:
            text, words = self.first_unknown
            lines.append(
                f"{self.unknown} captions have words that the text encoder does not know; of “{text}”: {words}."
            )
        return lines
