"""Pictures with captions, from the bundled set or anybody's, decoded once into memory."""

import json
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from e2ed2.assets import EMOJI, EMOJI_WORDS
from e2ed2.data.config import BUNDLED, DataConfig
from e2ed2.data.decode import decode
from e2ed2.data.sources import Row, read_table
from e2ed2.errors import UserError

HELD_OUT = ("validation", "val", "test", "combo")  # splits to measure the loss on, the first that there is
LISTED = 10  # problems in a message
ADVICE = "{bad} of {count} pictures cannot be used: fix them, or leave them out with --data.skip-bad."


@dataclass(frozen=True)
class Pictures:
    """N captioned pictures, all of one size."""

    images: np.ndarray  # uint8 [N, H, W, 3], RGB
    captions: list[str]  # what is in each; of the bundled drawings, the concept's name
    others: list[list[str]] = field(default_factory=list, repr=False)  # each one's other captions
    # Of the bundled drawings: other words for the concept, the word that names the drawing style, sentences about it.
    keywords: list[list[str]] = field(default_factory=list, repr=False)
    styles: list[str] = field(default_factory=list, repr=False)
    descriptions: list[list[str]] = field(default_factory=list, repr=False)
    named: bool = False  # captions are names of concepts, from which prompts are made; else they are used as they are

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
        UserError: nothing readable at the path, no such column, no picture in the split, or pictures or captions that
            cannot be used, all of them in one message.
    """
    return decoded(rows_of(config), config)


def load_held_out(config: DataConfig, count: int) -> Pictures | None:
    """At most `count` of the pictures that are not trained on, evenly spread; None where there are none."""
    rows = split_rows(config)[1]
    some = [rows[index * len(rows) // count] for index in range(count)] if len(rows) > count else rows
    return decoded(some, replace(config, skip_bad=True)) if some else None


def decoded(rows: list[Row], config: DataConfig) -> Pictures:
    squares, captions, problems, small = [], [], list[str](), 0
    for row in rows:
        try:
            texts = texts_of(row.fields.get(config.caption_column), row.name)
            image = decode(row.image, row.name)
            small += min(image.size) < config.resolution
            squares.append(square(image, config.resolution))
            captions.append(texts)
        except UserError as error:
            problems.append(str(error))
    if problems and not config.skip_bad:
        raise UserError("\n".join([*listed(problems), ADVICE.format(bad=len(problems), count=len(rows))]))
    if problems:
        print("\n".join([*listed(problems), f"{len(problems)} of {len(rows)} pictures are left out."]), file=sys.stderr)
    if not squares:
        raise UserError(f"{config.path} holds no picture that can be used.")
    if small:
        pixels = f"{config.resolution} by {config.resolution} pixels"
        print(f"{small} of {len(squares)} pictures are smaller than {pixels} and are enlarged.", file=sys.stderr)
    names = [texts[0] for texts in captions]
    if config.path != BUNDLED:
        return Pictures(np.stack(squares), names, others=[texts[1:] for texts in captions])
    more = json.loads(EMOJI_WORDS.read_text())
    return Pictures(
        np.stack(squares),
        names,
        keywords=[
            [*row.fields["keywords"], *more.get(name, {}).get("keywords", [])]
            for row, name in zip(rows, names, strict=True)
        ],
        styles=[row.fields["style"] for row in rows],
        descriptions=[more.get(name, {}).get("descriptions", []) for name in names],
        named=True,
    )


def rows_of(config: DataConfig) -> list[Row]:
    """Those to train on. Raises UserError: no such column, or no row."""
    return split_rows(config)[0]


def split_rows(config: DataConfig) -> tuple[list[Row], list[Row]]:
    """Rows of the split, where there are splits, and rows that are held out from training, if any."""
    table = read_table(str(EMOJI) if config.path == BUNDLED else config.path, config.image_column)
    for column in (config.image_column, config.caption_column):
        if column not in table.columns:
            raise UserError(
                f"{config.path} has no column {column!r} (it has {', '.join(table.columns)}): "
                "name yours with --data.image-column and --data.caption-column."
            )
    if table.unlisted:
        some = ", ".join(table.unlisted[:3])
        print(f"{len(table.unlisted)} pictures have no line in the table and are not used: {some} ...", file=sys.stderr)
    if "split" not in table.columns:
        return divided(table.rows, config.held_out)
    splits = [str(row.fields.get("split") or "") for row in table.rows]
    rows = [row for row, split in zip(table.rows, splits, strict=True) if split == config.split]
    if not rows:
        offered = ", ".join(sorted(set(splits) - {""})) or "none: the column is empty"
        raise UserError(f"No picture has split {config.split!r}: choose one of {offered}.")
    for name in HELD_OUT:
        others = [row for row, split in zip(table.rows, splits, strict=True) if split == name != config.split]
        if others:
            return rows, others
    return divided(rows, config.held_out)


def divided(rows: list[Row], share: float) -> tuple[list[Row], list[Row]]:
    """That share of the rows apart, evenly spread, so that they are the same ones whenever the set is read."""
    if not share:
        return rows, []
    every = round(1 / share)
    held = set(range(every - 1, len(rows), every))
    return [row for i, row in enumerate(rows) if i not in held], [rows[i] for i in sorted(held)]


def texts_of(value: Any, name: str) -> list[str]:
    """A picture's captions. Raises UserError: there is none, or it is no text."""
    values = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
    if not all(isinstance(one, str) for one in values if one is not None and one == one):
        raise UserError(f"{name} has a caption that is no text ({str(value)[:40]}): name a column of texts.")
    texts = [one.strip() for one in values if isinstance(one, str) and one.strip()]
    if not texts:
        raise UserError(f"{name} has no caption.")
    return texts


def listed(problems: list[str]) -> list[str]:
    """The first of them, and how many more there are."""
    more = [f"... and {len(problems) - LISTED} more."] if len(problems) > LISTED else []
    return problems[:LISTED] + more


def square(image: Image.Image, resolution: int) -> np.ndarray:
    """Centre crop and area resize to uint8 `[resolution, resolution, 3]`."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BOX, box=box))
