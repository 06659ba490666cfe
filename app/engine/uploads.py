"""A visitor's pictures become a folder that a training reads."""

import csv
import re
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from app.look.words import counted
from e2ed2.data.decode import decode
from e2ed2.data.sources import records
from e2ed2.errors import UserError

FEWEST, MOST = 12, 500  # pictures
MEGABYTES = 50  # all together
TOO_LARGE = f"These files are too large: {MEGABYTES} MB are possible in all."
SIDE = 512  # px; larger ones are made smaller
CAPTION = "text"  # the column
TABLE = "metadata.csv"
MEANINGLESS = re.compile(
    r"(img|dscn?|dscf|pxl|mvimg|image|photo|picture|screenshot|unnamed|untitled|download)?\d*|\d{8}t\d+|wa\d+"
)


def take(files: Sequence[str], folder: Path) -> None:
    """Check and copy the pictures, also those in a zip. Captions: metadata.csv if it is there, else the file names.

    Raises:
        UserError: not pictures, too few, too many, too large, or a picture without a caption.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        _take([path for file in files for path in _unpacked(Path(file), Path(unpacked))], folder)


def _take(paths: Sequence[Path], folder: Path) -> None:
    if sum(path.stat().st_size for path in paths) > MEGABYTES * 2**20:
        raise UserError(TOO_LARGE)
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


def _unpacked(path: Path, folder: Path) -> list[Path]:
    """The files in a zip, whatever folders they stand in; any other file as it is.

    Raises UserError: it cannot be read, is too large unpacked, or has a file twice.
    """
    if path.suffix.lower() != ".zip":
        return [path]
    try:
        with zipfile.ZipFile(path) as archive:
            found = [one for one in archive.infolist() if not one.is_dir() and not _hidden(one.filename)]
            if sum(one.file_size for one in found) > MEGABYTES * 2**20 or len(found) > MOST + 1:
                raise UserError(f"{path.name} holds too much: {MOST} pictures and {MEGABYTES} MB are possible in all.")
            for one in found:
                target = folder / PurePosixPath(one.filename.replace("\\", "/")).name
                if target.exists():
                    raise UserError(f"{target.name} is there twice: give the pictures different names.")
                target.write_bytes(archive.read(one))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
        raise UserError(f"{path.name} cannot be read as a zip file.") from None
    return sorted(folder.iterdir())


def _hidden(name: str) -> bool:
    """What a system puts into a zip besides."""
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in PurePosixPath(name).parts)


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
