"""Which drawings are shown in which colours: a model learns colour as a factor of its own."""

import inspect
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from e2ed2.data import colours as words
from e2ed2.data import turning
from e2ed2.data.cache import cached
from e2ed2.data.colours import COLOURS, can_have, in_colour
from e2ed2.data.turning import main_colour, to_oklab, turned
from e2ed2.progress import track
from e2ed2.seeds import number, stream

COPIES = 2  # of each drawing
HELD_OUT = 6  # one in this many pairs of concept and colour is never shown, to test what has been learnt


@dataclass(frozen=True)
class Turned:
    rows: list[int]  # M indices of the original drawings
    images: np.ndarray  # uint8 [M, H, W, 3]
    colours: list[str]  # M, the colour of each, keys of `COLOURS`


def turned_drawings(images: np.ndarray, names: list[str], groups: list[str]) -> Turned:
    """Recoloured copies of each drawing that has a main colour; drawings of one concept get different colours."""
    wanted = plan(names, groups)
    parts = [
        images.tobytes(),
        *(f"\n{row} {colour}".encode() for row, colour in wanted),
        *(inspect.getsource(module).encode() for module in (words, turning)),  # recomputed when the code changes
    ]
    turned = cached("turned", parts, lambda: turn_all(images, wanted))
    pairs = [wanted[place] for place in turned["which"].tolist()]
    return Turned([row for row, _ in pairs], turned["images"].numpy(), [colour for _, colour in pairs])


def plan(names: list[str], groups: list[str]) -> list[tuple[int, str]]:
    """Pairs of a drawing and a colour to turn it to."""
    shown = defaultdict(list)
    for row, name in enumerate(names):
        shown[name].append(row)
    possible = {
        name: colours_for(name, group, set(names)) for name, group in dict(zip(names, groups, strict=True)).items()
    }
    return [
        (row, colour)
        for name, rows in shown.items()
        for place, row in enumerate(rows)
        for colour in consecutive(possible[name], place * COPIES)
    ]


def consecutive(colours: list[str], first: int) -> list[str]:
    """`COPIES` of the colours, starting at index `first` and wrapping around."""
    return [colours[(first + place) % len(colours)] for place in range(min(COPIES, len(colours)))]


def colours_for(name: str, group: str, known: set[str]) -> list[str]:
    """Colours in which a concept is shown, in an order of its own, except those in which `known` already names it."""
    mixed = torch.randperm(len(COLOURS), generator=stream(0, "colour", number_of(name))).tolist()
    colours = [list(COLOURS)[place] for place in mixed]
    colours = [colour for colour in colours if can_have(name, group, colour) and not is_held_out(name, colour)]
    return [colour for colour in colours if in_colour(name, colour) not in known]


def is_held_out(name: str, colour: str) -> bool:
    """Whether training never shows this concept in this colour."""
    return number(0, "held-out colour", number_of(name), list(COLOURS).index(colour)) % HELD_OUT == 0


def number_of(name: str) -> int:
    return int.from_bytes(name.encode())


def turn_all(images: np.ndarray, wanted: list[tuple[int, str]]) -> dict[str, torch.Tensor]:
    which, pictures = [], []
    numbered = track(enumerate(wanted), "turning colours", total=len(wanted))
    for row, copies in groupby(numbered, key=lambda one: one[1][0]):
        lab = to_oklab(images[row])
        if (main := main_colour(lab)) is None:
            continue
        for place, (_, colour) in copies:
            which.append(place)
            pictures.append(turned(lab, main, colour))
    return {"which": torch.tensor(which), "images": torch.from_numpy(np.stack(pictures))}
