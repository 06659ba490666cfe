"""Turns a visitor's pictures into a folder that a training reads."""

import csv
import re
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from app.look.words import counted
from e2ed2.data.decode import decode
from e2ed2.errors import UserError

FEWEST, MOST = 12, 500  # pictures
MEGABYTES = 50  # all together
TOO_LARGE = f"These files are too large: {MEGABYTES} MB are possible in all."
TWICE = "{} is there twice: give the pictures different names."
SIDE = 512  # px; larger pictures are scaled down
SMALL = 48  # px, beside a caption
CAPTION = "text"  # the column
TABLE = "metadata.csv"
SUFFIXES = {
    ".csv",
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
}  # what is taken from a folder
MEANINGLESS = re.compile(
    r"(img|dscn?|dscf|pxl|mvimg|image|photo|picture|screenshot|unnamed|untitled|download)?\d*|\d{8}t\d+|wa\d+"
)


@dataclass(frozen=True)
class Uploaded:
    """Pictures as they were uploaded or unpacked."""

    captions: dict[Path, str]  # of each picture; empty if none was found
    listed: bool  # the captions come from a table, not from file names


def take(files: Sequence[str], folder: Path, captions: Mapping[str, str] | None = None) -> None:
    """Check and copy the pictures, including those in a zip.

    Args:
        captions: what a person wrote, by file name; otherwise metadata.csv is used if it exists, or the file names.

    Raises:
        UserError: a file is no picture or too large, there are too few or too many, or one has no caption.
    """
    with opened(files) as uploaded:
        named = {path: (captions or {}).get(path.name, caption).strip() for path, caption in uploaded.captions.items()}
        if missing := [path.name for path, caption in named.items() if not caption]:
            better = "add a row for it" if uploaded.listed else "name it after what it shows"
            raise UserError(
                f"{TABLE if uploaded.listed else 'The name'} has no caption for {missing[0]}: {better}, or write one "
                "in the table of captions."
            )
        folder.mkdir(parents=True)
        rows = [(_copy(path, folder, number), caption) for number, (path, caption) in enumerate(named.items())]
    with open(folder / TABLE, "w", newline="") as file:
        csv.writer(file).writerows([("file_name", CAPTION), *rows])


def previews(files: Sequence[str]) -> list[tuple[str, str, Image.Image]]:
    """Name, caption and thumbnail of each. Raises UserError as `take` does, except for a missing caption."""
    with opened(files) as uploaded:
        return [(path.name, caption, _small(path, SMALL)) for path, caption in uploaded.captions.items()]


@contextmanager
def opened(files: Sequence[str]) -> Generator[Uploaded]:
    """The uploads, unpacked in a temporary folder.

    Raises UserError: too few, too many or too large, two of the same name, or an unusable table.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        paths = [path for file in files for path in _unpacked(Path(file), Path(unpacked))]
        if sum(path.stat().st_size for path in paths) > MEGABYTES * 2**20:
            raise UserError(TOO_LARGE)
        tables = [path for path in paths if path.name == TABLE]
        if other := [path.name for path in paths if path.suffix.lower() in (".csv", ".txt") and path.name != TABLE]:
            raise UserError(f"{other[0]} is not used: call the table of captions {TABLE}, or leave it out.")
        pictures = [path for path in paths if path not in tables]
        if not FEWEST <= len(pictures) <= MOST:
            are = "is" if len(pictures) == 1 else "are"
            raise UserError(f"There {are} {counted(len(pictures), 'picture')} in all: choose {FEWEST} to {MOST}.")
        name, times = Counter(path.name for path in pictures).most_common(1)[0]
        if times > 1:
            raise UserError(TWICE.format(name))
        listed = _captions(tables[0]) if tables else {}
        yield Uploaded({path: listed.get(path.name, "") if tables else _words(path) for path in pictures}, bool(tables))


def _unpacked(path: Path, folder: Path) -> list[Path]:
    """The files in a zip, from all of its folders; any other file is returned as it is.

    Raises UserError: it cannot be read, is too large when unpacked, or contains a file name twice.
    """
    if path.suffix.lower() != ".zip":
        return [path]
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir() and not _hidden(one.filename)]
            if sum(one.file_size for one in members) > MEGABYTES * 2**20 or len(members) > MOST + 1:
                raise UserError(f"{path.name} holds too much: {MOST} pictures and {MEGABYTES} MB are possible in all.")
            for one in members:
                target = folder / PurePosixPath(one.filename.replace("\\", "/")).name
                if target.exists():
                    raise UserError(TWICE.format(target.name))
                target.write_bytes(archive.read(one))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
        raise UserError(f"{path.name} cannot be read as a zip file.") from None
    return sorted(folder.iterdir())


def _hidden(name: str) -> bool:
    """Whether it is a file that an operating system adds to a zip."""
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in PurePosixPath(name).parts)


def _captions(table: Path) -> dict[str, str]:
    from e2ed2.data.sources import records  # seconds to import, for which the first page need not wait

    needed = f"{TABLE} needs the columns file_name and {CAPTION} in its first line"
    try:
        rows = records(table)
    except ValueError as error:
        raise UserError(f"{needed} ({str(error).rstrip('.')}).") from None
    if CAPTION not in rows[0]:
        raise UserError(f"{needed}.")
    return {Path(row["file_name"]).name: row[CAPTION] for row in rows}


def _words(path: Path) -> str:
    """`red-apple_2.png` => `red apple`; empty if the name was given by a camera or a program."""
    words = [word for word in path.stem.replace("_", " ").replace("-", " ").split() if not word.isdigit()]
    return "" if all(MEANINGLESS.fullmatch(word.lower()) for word in words) else " ".join(words)


def _copy(path: Path, folder: Path, number: int) -> str:
    name = f"{number:04d}.png"
    _small(path, SIDE).save(folder / name)
    return name


def _small(path: Path, side: int) -> Image.Image:
    image = decode(path, path.name)
    image.thumbnail((side, side))
    return image
