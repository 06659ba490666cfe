"""Pictures in rows and columns: sampling them, showing them as a table, and writing them as files to download."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from app.engine.services import Services, Timed
from app.look.tables import Cell, Row, Table
from app.pages.compare.axes import Axis
from e2ed2.assets import EMOJI
from e2ed2.data.emoji import split_style
from e2ed2.inference.request import Request

SURE = 0.85  # similarity from which a drawing is shown for the prompt

Place = tuple[int, int]  # row and column


@dataclass(frozen=True, eq=False)
class Grid:
    """The requested pictures, and those finished so far."""

    rows: Axis
    columns: Axis
    requests: list[list[Request | str]]  # a text says why there is no request
    made: Mapping[Place, Timed]

    def name(self, place: Place) -> str:
        """The picture's name, as in `Table`."""
        return f"{self.rows.labels[place[0]]}, {self.columns.labels[place[1]]}"

    def request(self, place: Place) -> Request:
        found = self.requests[place[0]][place[1]]
        assert isinstance(found, Request)
        return found


@dataclass(frozen=True, eq=False)
class Compared:
    """The grid that a visitor is looking at: each picture and its request, by name."""

    address: str
    cells: Mapping[str, tuple[Request, Image.Image]]


def paint(services: Services, grid: Grid) -> Iterator[Grid]:
    """Generate the pictures, yielding the grid after each row."""
    pictures: dict[Place, Timed] = {}
    for row, requests in enumerate(grid.requests):
        for column, request in enumerate(requests):
            if isinstance(request, Request):
                pictures[row, column] = services.timed(request)
        yield Grid(grid.rows, grid.columns, grid.requests, pictures)


def table_of(grid: Grid) -> Table:
    def cell(row: int, column: int) -> Cell:
        request = grid.requests[row][column]
        if isinstance(request, str):
            return Cell(None, request)
        timed = grid.made.get((row, column))
        return Cell(timed.picture, f"{timed.seconds:.2f} s") if timed else Cell(None)

    columns = grid.columns.labels
    rows = tuple(
        Row(label, tuple(cell(number, column) for column in range(len(columns))))
        for number, label in enumerate(grid.rows.labels)
    )
    whole = len(grid.made) == sum(isinstance(one, Request) for row in grid.requests for one in row)
    return Table(columns, rows, turned=len(rows) > len(columns), choosable=whole)


def compared(grid: Grid, address: str) -> Compared:
    cells = {grid.name(place): (grid.request(place), one.picture) for place, one in grid.made.items()}
    return Compared(address, cells)


def manifest(grid: Grid) -> bytes:
    """JSON with each picture's row, column and all its settings."""
    rows = [
        {
            "row": grid.rows.labels[place[0]],
            "column": grid.columns.labels[place[1]],
            **asdict(grid.request(place)),
            "seconds": round(one.seconds, 3),
        }
        for place, one in grid.made.items()
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False).encode()


def drawings_of(services: Services, prompt: str) -> list[Table]:
    """Drawings of the prompt by the bundled set's artists, the style it names first; empty if there are none."""
    text, named = split_style(prompt)
    nearest = services.bundled.nearest(text, 1)
    if not nearest or nearest[0].similarity < SURE:
        return []
    name = nearest[0].name
    rows: list[Any] = pq.read_table(EMOJI, columns=["image", "style"], filters=[("caption", "=", name)]).to_pylist()
    rows.sort(key=lambda one: (one["style"] != named, one["style"]))
    cells = tuple(Cell(Image.open(BytesIO(one["image"]["bytes"])).convert("RGB")) for one in rows)
    return [Table(tuple(one["style"] for one in rows), (Row(f"“{name}” by the artists", cells),))]
