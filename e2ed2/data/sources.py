"""What a training set can be: rows of a folder, of Parquet files, of WebDataset shards, of a Hugging Face dataset.

Nothing is decoded here. Every text stays as it was written: `None` and `NA` are words like others.
"""

import glob
import io
import json
import re
import tarfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
from datasets.exceptions import DatasetsError

from e2ed2.data.config import HUB
from e2ed2.data.rows import ArrowRows, Joined, Listed, Row, Rows
from e2ed2.data.tars import TarRows
from e2ed2.errors import UserError
from e2ed2.files import data_folder
from e2ed2.models.hub import check_repository

SAVED = ("dataset_dict.json", "state.json")  # what datasets' save_to_disk leaves
IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLITS = ("train", "test", "validation", "val")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
POSSIBLE = (
    "give a folder of pictures with metadata.csv or .jsonl, whose column file_name names each, a .parquet file or a "
    "folder of them, .tar shards, what datasets' save_to_disk wrote, or hf: and the id of a dataset on the hub"
)


@dataclass(frozen=True)
class Table:
    rows: Rows
    columns: list[str]
    unlisted: list[str]  # pictures in the folder that no line of its table names


def read_table(path: str, image_column: str, stream: bool = False) -> Table:
    """
    Args:
        stream: keep Parquet files as an Arrow file on disk, once, to read from at any place, and not in memory.

    Raises:
        UserError: nothing at the path that can be read; the message says what is possible.
    """
    place = Path(path)
    with as_unreadable(path):
        if path.startswith(HUB):
            return _saved(_on_hub(path.removeprefix(HUB)), image_column, path)
        if place.is_dir():
            if any((place / name).is_file() for name in SAVED):
                return _saved(datasets.load_from_disk(str(place)), image_column, place.name)
            if tars := sorted(place.glob("*.tar")):
                return _shards(tars, image_column)
            if any(place.glob("**/*.parquet")) and not any(place.glob("**/metadata.parquet")):
                return _parquet(sorted(place.glob("**/*.parquet")), image_column, stream)
            return _folder(place)
        files = [place] if place.is_file() else _matching(path)
        if files and all(file.suffix == ".parquet" for file in files):
            return _parquet(files, image_column, stream)
        if files and all(file.suffix == ".tar" for file in files):
            return _shards(files, image_column)
    raise UserError(f"No pictures at {path}: {POSSIBLE}.")


def _matching(pattern: str) -> list[Path]:
    """Files that match a pattern with `*`, `?`, and ranges such as `{000..041}`, each file of which must exist."""
    if span := RANGE.search(pattern):
        first, last = span.groups()
        numbers = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        every = [pattern[: span.start()] + number + pattern[span.end() :] for number in numbers]
        return [file for one in every for file in _matching(one)]
    files = [Path(file) for file in sorted(glob.glob(pattern))]
    if not files and not glob.has_magic(pattern) and Path(pattern).suffix:
        raise FileNotFoundError(f"{pattern} is missing")
    return files


UNREADABLE = (OSError, ValueError, TypeError, LookupError, NotImplementedError, tarfile.TarError, DatasetsError)


@contextmanager
def as_unreadable(path: str) -> Generator[None]:
    """Turn what libraries raise for an empty folder, a table without file names or a damaged file into a UserError."""
    try:
        yield
    except UNREADABLE as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(f"{path} cannot be read ({reason}): {POSSIBLE}.") from error


def _folder(folder: Path) -> Table:
    """A folder with a table beside the pictures, or a text beside each, or subfolders named after what they show."""
    pictures = sorted(file for file in folder.rglob("*") if _is_picture(file, folder))
    tables = sorted(file for name in TABLES for file in folder.rglob(name))
    rows = [row for table in tables for row in _listed(table, folder)] if tables else _unlisted(pictures, folder)
    if not rows:
        raise ValueError("it holds no picture with a caption")
    named = {row.image for row in rows}
    columns = list(dict.fromkeys(column for row in rows for column in row.fields))
    return Table(
        Listed(rows), ["image", *columns], [str(file.relative_to(folder)) for file in pictures if file not in named]
    )


def _is_picture(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in file.relative_to(folder).parts)
    return file.suffix.lower() in IMAGES and not hidden


def _listed(table: Path, folder: Path) -> Iterable[Row]:
    for number, fields in enumerate(records(table), 1):
        name = fields.pop("file_name", None)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"entry {number} of {table.relative_to(folder)} has no file_name")
        file = table.parent / name.strip().replace("\\", "/")
        called = str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
        yield Row(called, file, _split(file, folder) | fields)


def records(table: Path) -> list[dict[str, Any]]:
    """A table's lines, every cell of a CSV as text."""
    if table.suffix == ".parquet":
        return pd.read_parquet(table).to_dict("records")
    text = text_of(table)
    if table.suffix == ".jsonl":
        lines = [_entry(line, f"line {number} of {table.name}") for number, line in enumerate(text.split("\n"), 1)]
        if not any(lines):
            raise ValueError(f"{table.name} has no line")
        return [line for line in lines if line]
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True)
    if "file_name" not in rows.columns:
        raise ValueError(f"{table.name} has no column file_name, only {', '.join(rows.columns)}")
    if rows.empty:
        raise ValueError(f"{table.name} has a header and no line")
    return rows.to_dict("records")


def _entry(line: str, name: str) -> dict[str, Any]:
    """One line of JSONL as an entry; a blank line is an empty entry."""
    try:
        entry = json.loads(line) if line.strip() else {}
    except ValueError as error:
        raise ValueError(f"{name} is no JSON: {error}") from None
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is no object with file_name and a caption")
    return entry


def text_of(table: Path) -> str:
    """UTF-8, with or without a byte order mark, or what Excel calls Unicode (UTF-16)."""
    data = table.read_bytes()
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{table.name} is not in UTF-8: save it as UTF-8 ({error.reason} at byte {error.start})"
        ) from error


def _unlisted(pictures: list[Path], folder: Path) -> list[Row]:
    """Rows with captions from `picture.txt` beside `picture.png`, or with the folders' names as labels."""
    if texts := {file: file.with_suffix(".txt") for file in pictures if file.with_suffix(".txt").is_file()}:
        return [
            Row(str(file.relative_to(folder)), file, _split(file, folder) | {"text": text_of(text).strip()})
            for file, text in texts.items()
        ]
    inner = {file: [part for part in file.relative_to(folder).parts[:-1] if part not in SPLITS] for file in pictures}
    return [
        Row(str(file.relative_to(folder)), file, _split(file, folder) | {"label": parts[-1].replace("_", " ")})
        for file, parts in inner.items()
        if parts
    ]


def _split(file: Path, folder: Path) -> dict[str, str]:
    """Folders `train` and `test` are splits."""
    first = file.relative_to(folder).parts[0] if file.is_relative_to(folder) else ""
    return {"split": "validation" if first == "val" else first} if first in SPLITS else {}


def _parquet(files: list[Path], image_column: str, stream: bool) -> Table:
    if stream:
        names = [str(file) for file in files]
        table: Any = datasets.load_dataset("parquet", data_files=names, split="train", cache_dir=_arrow())
    else:
        tables = [datasets.Dataset.from_parquet(str(file), keep_in_memory=True) for file in files]
        table = datasets.concatenate_datasets(tables)
    return _arrow_table({"": table}, image_column, files[0].name)


def _arrow() -> str:
    """The folder where datasets keeps the Arrow files that it maps into memory."""
    return str(data_folder() / "cache" / "datasets")


def _on_hub(name: str) -> Any:
    """The dataset with that id on the hub, or its local copy. Raises OSError or ValueError: there is neither."""
    caches = Path(_arrow()).glob(f"{name.partition('/')[0]}*")
    if not any(caches):
        check_repository(name, "dataset")
    return datasets.load_dataset(name, cache_dir=_arrow())


def _saved(found: Any, image_column: str, name: str) -> Table:
    """A dataset, or one for each split."""
    splits = {str(name): one for name, one in found.items()} if isinstance(found, datasets.DatasetDict) else {"": found}
    return _arrow_table(splits, image_column, name)


def _arrow_table(splits: dict[str, datasets.Dataset], image_column: str, name: str) -> Table:
    columns = list(dict.fromkeys(column for table in splits.values() for column in table.column_names))
    if not all(image_column in table.column_names for table in splits.values()):
        return Table(Listed([]), columns, [])
    parts: dict[str, Rows] = {split: ArrowRows(table, image_column, name) for split, table in splits.items()}
    if list(parts) == [""]:
        return Table(parts[""], columns, [])
    return Table(Joined(parts), list(dict.fromkeys([*columns, "split"])), [])


def _shards(files: list[Path], image_column: str) -> Table:
    rows = TarRows(files, image_column)
    return Table(rows, rows.columns, [])
