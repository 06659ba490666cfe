"""Captioned pictures, from the bundled set or the user's own, decoded once into memory."""

import json
import sys
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from e2ed2.assets import EMOJI, EMOJI_WORDS
from e2ed2.data.config import COLOURED, DataConfig, is_bundled
from e2ed2.data.decode import decode
from e2ed2.data.recoloured import turned_drawings
from e2ed2.data.rows import Chosen, Row, Rows
from e2ed2.data.sources import read_table
from e2ed2.errors import UserError
from e2ed2.progress import say

HELD_OUT = ("validation", "val", "test", "combo")  # splits to measure the loss on; the first that exists is used
LISTED = 10  # problems listed in a message
ADVICE = "{bad} of {count} pictures cannot be used: fix them, or leave them out with --data.skip-bad."


class PictureSet(Protocol):
    """What a training needs from its pictures, wherever they are stored."""

    def __len__(self) -> int: ...

    @property
    def side(self) -> int:
        """The pictures' height and width in pixels, or those of a square of the same area."""
        ...

    @property
    def example(self) -> str:
        """A caption."""
        ...

    def tensor(self, rows: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """The pictures of these rows, `[B, 3, H, W]` in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Pictures:
    """N captioned pictures, all of one size."""

    images: np.ndarray  # uint8 [N, H, W, 3], RGB
    captions: list[str]  # what each shows; for the bundled drawings, the concept's name
    others: list[list[str]] = field(default_factory=list, repr=False)  # each one's other captions
    # For the bundled drawings: other words for the concept, the name of the drawing style, sentences about it.
    keywords: list[list[str]] = field(default_factory=list, repr=False)
    styles: list[str] = field(default_factory=list, repr=False)
    descriptions: list[list[str]] = field(default_factory=list, repr=False)
    groups: list[str] = field(default_factory=list, repr=False)  # Unicode's group of the concept
    # The colour each was turned to; "" if it is as drawn, and an empty list if all are.
    colours: list[str] = field(default_factory=list, repr=False)
    named: bool = False  # captions are names of concepts, from which prompts are made; else they are used as they are

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def side(self) -> int:
        return self.images.shape[1]

    @property
    def example(self) -> str:
        return self.captions[0]

    def tensor(self, rows: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """The pictures of these rows, `[B, 3, H, W]` in [-1, 1]."""
        return to_tensor(self.images[rows.numpy()], device)

    def first(self, most: int) -> "Pictures":
        """The first `most` pictures, or all if there are fewer."""
        columns = {one.name: getattr(self, one.name) for one in fields(self)}
        return Pictures(
            **{name: column if isinstance(column, bool) else column[:most] for name, column in columns.items()}
        )


def to_tensor(images: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8 `[B, H, W, 3]` as `[B, 3, H, W]` in [-1, 1], on a device that gets the bytes and makes the floats."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def load_pictures(config: DataConfig) -> Pictures:
    """Read and decode every picture of the split: N * H * W * 3 bytes of memory.

    Raises:
        UserError: nothing readable at the path, no such column, no picture in the split, or pictures or captions that
            cannot be used, all of them in one message.
    """
    pictures = decoded(rows_of(config), config)
    return with_colours(pictures) if config.path == COLOURED else pictures


def load_held_out(config: DataConfig, count: int) -> Pictures | None:
    """At most `count` of the held-out pictures, evenly spread; None if there are none."""
    rows = split_rows(config)[1]
    if len(rows) > count:
        rows = Chosen(rows, np.arange(count) * len(rows) // count)
    return decoded(rows, replace(config, skip_bad=True)) if len(rows) else None


def decoded(rows: Rows, config: DataConfig) -> Pictures:
    squares, captions, fields, problems, small = [], [], list[dict[str, Any]](), list[str](), 0
    for row in rows:
        try:
            image, texts = decoded_row(row, config)
            small += min(image.size) < config.resolution
            squares.append(square(image, config.resolution))
            captions.append(texts)
            fields.append(row.fields)
        except UserError as error:
            problems.append(str(error))
    if problems and not config.skip_bad:
        raise UserError("\n".join([*listed(problems), ADVICE.format(bad=len(problems), count=len(rows))]))
    if problems:
        say("\n".join([*listed(problems), f"{len(problems)} of {len(rows)} pictures are left out."]), sys.stderr)
    if not squares:
        raise UserError(f"{config.path} holds no picture that can be used.")
    if small:
        pixels = f"{config.resolution} by {config.resolution} pixels"
        say(f"{small} of {len(squares)} pictures are smaller than {pixels} and are enlarged.", sys.stderr)
    names = [texts[0] for texts in captions]
    if not is_bundled(config.path):
        return Pictures(np.stack(squares), names, others=[texts[1:] for texts in captions])
    more = json.loads(EMOJI_WORDS.read_text())
    return Pictures(
        np.stack(squares),
        names,
        keywords=[
            [*one["keywords"], *more.get(name, {}).get("keywords", [])] for one, name in zip(fields, names, strict=True)
        ],
        styles=[one["style"] for one in fields],
        groups=[one["group"] for one in fields],
        descriptions=[more.get(name, {}).get("descriptions", []) for name in names],
        named=True,
    )


def with_colours(pictures: Pictures) -> Pictures:
    """The bundled drawings, then two more copies, in other colours, of each that has a main colour."""
    turned = turned_drawings(pictures.images, pictures.captions, pictures.groups)

    def and_theirs(values: list[Any]) -> list[Any]:
        return [*values, *(values[row] for row in turned.rows)]

    return replace(
        pictures,
        images=np.concatenate([pictures.images, turned.images]),
        captions=and_theirs(pictures.captions),
        keywords=and_theirs(pictures.keywords),
        styles=and_theirs(pictures.styles),
        descriptions=and_theirs(pictures.descriptions),
        groups=and_theirs(pictures.groups),
        colours=[""] * len(pictures) + turned.colours,
    )


def decoded_row(row: Row, config: DataConfig) -> tuple[Image.Image, list[str]]:
    """A row's picture and captions. Raises UserError: one of them cannot be used."""
    texts = texts_of(row.fields.get(config.caption_column), row.name)
    return decode(row.image, row.name), texts


def rows_of(config: DataConfig) -> Rows:
    """The rows to train on. Raises UserError: no such column, or no row."""
    return split_rows(config)[0]


def split_rows(config: DataConfig) -> tuple[Rows, Rows]:
    """The rows of the split, if there are splits, and the rows held out from training, if any."""
    table = read_table(str(EMOJI) if is_bundled(config.path) else config.path, config.image_column, config.stream)
    for column in (config.image_column, config.caption_column):
        if column not in table.columns:
            raise UserError(
                f"{config.path} has no column {column!r} (it has {', '.join(table.columns)}): "
                "name yours with --data.image-column and --data.caption-column."
            )
    if table.unlisted:
        some = ", ".join(table.unlisted[:3])
        say(f"{len(table.unlisted)} pictures have no line in the table and are not used: {some} ...", sys.stderr)
    if "split" not in table.columns:
        return divided(table.rows, np.arange(len(table.rows)), config.held_out)
    splits = np.array([str(split or "") for split in table.rows.values("split")])
    mine = np.flatnonzero(splits == config.split)
    if not len(mine):
        offered = ", ".join(sorted(set(splits.tolist()) - {""})) or "none: the column is empty"
        raise UserError(f"No picture has split {config.split!r}: choose one of {offered}.")
    for name in HELD_OUT:
        others = np.flatnonzero(splits == name)
        if name != config.split and len(others):
            return Chosen(table.rows, mine), Chosen(table.rows, others)
    return divided(table.rows, mine, config.held_out)


def divided(rows: Rows, places: np.ndarray, share: float) -> tuple[Rows, Rows]:
    trained, held = divided_places(places, share)
    return Chosen(rows, trained), Chosen(rows, held)


def divided_places(places: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The places to train on, and the held-out `share`: evenly spread, so the same ones whenever the set is read.

    A share of 1 / k is every k-th.
    """
    due = np.floor(np.round(np.arange(len(places) + 1) * share, 6))  # how many are held out among the first i
    held = np.diff(due) > 0
    return places[~held], places[held]


def texts_of(value: Any, name: str) -> list[str]:
    """A picture's captions. Raises UserError: it has none, or one that is not text."""
    values = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
    if not all(isinstance(one, str) for one in values if one is not None and one == one):
        raise UserError(f"{name} has a caption that is no text ({str(value)[:40]}): name a column of texts.")
    texts = [one.strip() for one in values if isinstance(one, str) and one.strip()]
    if not texts:
        raise UserError(f"{name} has no caption.")
    return texts


def listed(problems: list[str]) -> list[str]:
    """The first few problems, and the number of the others."""
    more = [f"... and {len(problems) - LISTED} more."] if len(problems) > LISTED else []
    return problems[:LISTED] + more


def square(image: Image.Image, resolution: int) -> np.ndarray:
    """Centre crop and area resize to uint8 `[resolution, resolution, 3]`."""
    return fitted(image, resolution, resolution)


def fitted(image: Image.Image, width: int, height: int) -> np.ndarray:
    """The largest middle part of that shape, area-resized to uint8 `[height, width, 3]`."""
    scale = min(image.width / width, image.height / height)
    across, down = (round(scale * side) for side in (width, height))
    left, top = (image.width - across) // 2, (image.height - down) // 2
    box = (left, top, left + across, top + down)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX, box=box))
