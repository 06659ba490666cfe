"""A visitor's pictures become a folder that a training reads."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from app.look.words import counted
from e2ed2.data.decode import decode
from e2ed2.data.sources import records
from e2ed2.errors import UserError

FEWEST, MOST = 12, 500  # pictures
MEGABYTES = 50  # all together
SIDE = 512  # px; larger ones are made smaller
CAPTION = "text"  # the column
TABLE = "metadata.csv"
MEANINGLESS = re.compile(
    r"(img|dscn?|dscf|pxl|mvimg|image|photo|picture|screenshot|unnamed|untitled|download)?\d*|\d{8}t\d+|wa\d+"
)


def take(files: Sequence[str], folder: Path) -> None:
    """Check and copy the pictures, with captions from metadata.csv if it is there, else from the file names.

    Raises:
        UserError: not pictures, too few, too many, too large, or a picture without a caption.
    """
    paths = [Path(file) for file in files]
    if sum(path.stat().st_size for path in paths) > MEGABYTES * 2**20:
        raise UserError(f"These files are too large: {MEGABYTES} MB are possible in all.")
    tables = [path for path in paths if path.name == TABLE]
    if other := [path.name for path in paths if path.suffix.lower() in (".csv", ".txt") and path.name != TABLE]:
        raise UserError(f"{other[0]} is not used: call the table of captions {TABLE}, or leave it out.")
    pictures = [path for path in paths if path not in tables]
    if not FEWEST <= len(pictures) <= MOST:
        raise UserError(f"These are {counted(len(pictures), 'picture')}: choose {FEWEST} to {MOST}.")
    captions = _captions(tables[0]) if tables else {path.name: _words(path) for path in pictures}
    missing = [path.name for path in pictures if not captions.get(path.name, "").strip()]
    if missing:
        better = "add a row for it" if tables else "name it after what it shows"
        raise UserError(f"{TABLE if tables else 'The name'} has no caption for {missing[0]}: {better}.")
    folder.mkdir(parents=True)
    rows = [(_copy(path, folder, number), captions[path.name].strip()) for number, path in enumerate(pictures)]
    with open(folder / TABLE, "w", newline="") as file:
        csv.writer(file).writerows([("file_name", CAPTION), *rows])


def _captions(table: Path) -> dict[str, str]:
    needed = f"{TABLE} needs the columns file_name and {CAPTION} in its first line"
    try:
        rows = records(table)
    except ValueError as error:
        raise UserError(f"{needed} ({str(error).rstrip('.')}).") from None
    if CAPTION not in rows[0]:
        raise UserError(f"{needed}.")
    return {Path(row["file_name"]).name: row[CAPTION] for row in rows}


def _words(path: Path) -> str:
    """`red-apple_2.png` => `red apple`; empty where the name is one that a camera or a program gave."""
    words = [word for word in path.stem.replace("_", " ").replace("-", " ").split() if not word.isdigit()]
    return "" if all(MEANINGLESS.fullmatch(word.lower()) for word in words) else " ".join(words)


def _copy(path: Path, folder: Path, number: int) -> str:
    name = f"{number:04d}.png"
    image = decode(path, path.name)
    image.thumbnail((SIDE, SIDE))
    image.save(folder / name)
    return name
