"""One prompt, one noise: every model at every number of steps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from app.engine.services import Services, Timed
from app.look.tables import Cell, Row, Table
from app.look.words import counted
from e2ed2.assets import EMOJI
from e2ed2.data.emoji import split_style
from e2ed2.inference.request import STEPS, Request

COLUMNS = tuple(counted(steps, "step") for steps in STEPS)
SURE = 0.85  # similarity from which a drawing is shown as one of the prompt


Key = tuple[str, int]  # model and steps


@dataclass(frozen=True, eq=False)
class Compared:
    """A grid that a visitor looks at."""

    prompt: str
    seed: int
    cells: Mapping[str, Image.Image]  # by `cell_name`


def cell_name(key: Key) -> str:
    return f"{key[0]}, {counted(key[1], 'step')}"


def compare(services: Services, requests: list[Request]) -> Iterator[dict[Key, Timed]]:
    """All cells so far, after each row: one request's model, at every number of steps."""
    cells: dict[Key, Timed] = {}
    for request in requests:
        for steps in services.models.steps(request.model):
            cells[request.model, steps] = services.timed(replace(request, steps=steps))
        yield cells


def table_of(models: list[str], cells: Mapping[Key, Timed]) -> Table:
    """Rows come whole: what one lacks, its model was not made for."""
    made = {model: [steps for one, steps in cells if one == model] for model in models}

    def cell(model: str, steps: int) -> Cell:
        if found := cells.get((model, steps)):
            return Cell(found.picture, f"{found.seconds:.2f} s")
        return Cell(None, f"{counted(made[model][0], 'step')} only" if made[model] else "")

    rows = tuple(Row(model, tuple(cell(model, steps) for steps in STEPS)) for model in models)
    return Table(COLUMNS, rows, turned=len(rows) > len(COLUMNS), choosable=all(made.values()))


def drawings_of(services: Services, prompt: str) -> list[Table]:
    """What the artists of the bundled set drew for the prompt, the style that it names first; empty if nothing."""
    text, named = split_style(prompt)
    nearest = services.bundled.nearest(text, 1)
    if not nearest or nearest[0].similarity < SURE:
        return []
    name = nearest[0].name
    found: list[Any] = pq.read_table(EMOJI, columns=["image", "style"], filters=[("caption", "=", name)]).to_pylist()
    found.sort(key=lambda one: (one["style"] != named, one["style"]))
    cells = tuple(Cell(Image.open(BytesIO(one["image"]["bytes"])).convert("RGB")) for one in found)
    return [Table(tuple(one["style"] for one in found), (Row(f"“{name}” by the artists", cells),))]
