"""A visitor's pictures become a folder that a training reads."""

import csv
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from app.look.words import counted
from e2ed2.errors import UserError

FEWEST, MOST = 12, 500  # pictures
MEGABYTES = 50  # all together
SIDE = 512  # px; larger ones are made smaller
CAPTION = "text"  # the column
TABLE = "metadata.csv"


def take(files: Sequence[str], folder: Path) -> None:
    """Check and copy the pictures, with captions from metadata.csv if it is there, else from the file names.

    Raises:
        UserError: not pictures, too few, too many, too large, or a picture without a caption.
    """
    paths = [Path(file) for file in files]
    if sum(path.stat().st_size for path in paths) > MEGABYTES * 2**20:
        raise UserError(f"These files are too large: {MEGABYTES} MB are possible in all.")
    tables = [path for path in paths if path.name == TABLE]
    pictures = [path for path in paths if path.suffix.lower() not in (".csv", ".txt")]
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
    with open(table, newline="", errors="replace") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"file_name", CAPTION} <= set(rows[0]):
        raise UserError(f"{TABLE} needs the columns file_name and {CAPTION} in its first line.")
    return {Path(row["file_name"] or "").name: row[CAPTION] or "" for row in rows}


def _words(path: Path) -> str:
    """`red-apple_2.png` => `red apple`."""
    return " ".join(word for word in path.stem.replace("_", " ").replace("-", " ").split() if not word.isdigit())


def _copy(path: Path, folder: Path, number: int) -> str:
    name = f"{number:04d}.png"
    try:
        with Image.open(path) as image:
            image.thumbnail((SIDE, SIDE))
            image.convert("RGB").save(folder / name)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(f"{path.name} is not a picture that can be read: leave it out.") from error
    return name
