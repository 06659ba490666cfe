"""The rows of a training set: undecoded pictures with their texts, each read on demand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np


@dataclass(frozen=True)
class Row:
    """One picture that has not been decoded."""

    name: str  # for messages
    image: Path | bytes
    fields: dict[str, Any]  # all columns but the image's


class Rows:
    """A sequence of rows whose order never changes. Several threads may read it at a time."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, place: int) -> Row:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Row]:
        return (self[place] for place in range(len(self)))

    def values(self, column: str) -> list[Any]:
        """The column of every row, without reading the pictures; None if a row lacks it."""
        return [row.fields.get(column) for row in self]


class Listed(Rows):
    """Rows of a folder: their pictures are files."""

    def __init__(self, rows: Sequence[Row]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Row:
        return self.rows[place]


class Chosen(Rows):
    """A subset of other rows, in their order."""

    def __init__(self, rows: Rows, places: np.ndarray):
        """`places` are in ascending order."""
        self.rows, self.places = rows, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Row:
        return self.rows[int(self.places[place])]

    def __iter__(self) -> Iterator[Row]:
        if 2 * len(self) < len(self.rows):
            return super().__iter__()
        wanted = np.zeros(len(self.rows), dtype=bool)  # reading in sequence is quicker than looking up each place
        wanted[self.places] = True
        return (row for place, row in enumerate(self.rows) if wanted[place])


class ArrowRows(Rows):
    """Rows of a Hugging Face dataset, which maps its files into memory."""

    def __init__(self, table: datasets.Dataset, image_column: str, name: str):
        self.image_column, self.name = image_column, name
        labels = table.features.items()
        self.labels = {name: one for name, one in labels if isinstance(one, datasets.ClassLabel)}
        self.table = table.cast_column(image_column, datasets.Image(decode=False))  # bytes as they are stored

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, place: int) -> Row:
        return self._row(place, self.table[place])

    def __iter__(self) -> Iterator[Row]:
        return (self._row(place, fields) for place, fields in enumerate(self.table))

    def values(self, column: str) -> list[Any]:
        values = self.table[column]
        return [self._label_name(column, value) for value in values]

    def _row(self, place: int, fields: dict[str, Any]) -> Row:
        stored = fields.pop(self.image_column) or {}
        fields |= {name: self._label_name(name, fields[name]) for name in self.labels}
        data: bytes | None = stored.get("bytes")
        image = Path(stored.get("path") or "missing") if data is None else data
        return Row(f"{self.name} {stored.get('path') or f'row {place}'}".strip(), image, fields)

    def _label_name(self, column: str, value: Any) -> Any:
        """The name of a class label; any other value unchanged."""
        return self.labels[column].int2str(value) if column in self.labels and value is not None else value


class Joined(Rows):
    """Several sets as one; each row names its set under `split`."""

    def __init__(self, parts: dict[str, Rows]):
        self.parts = parts
        self.ends = np.cumsum([len(rows) for rows in parts.values()])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, place: int) -> Row:
        which = int(np.searchsorted(self.ends, place, side="right"))
        split = list(self.parts)[which]
        row = self.parts[split][place - int(self.ends[which])]  # from the end of its part
        return Row(row.name, row.image, {"split": split} | row.fields)

    def values(self, column: str) -> list[Any]:
        if column == "split":
            return [split for split, rows in self.parts.items() for _ in range(len(rows))]
        return [value for rows in self.parts.values() for value in rows.values(column)]


def chunks(places: range, size: int) -> Iterator[range]:
    """The places, at most `size` at a time."""
    return (places[start : start + size] for start in range(0, len(places), size))
