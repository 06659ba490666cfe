"""Which images a study is made of: folders, manifests, own gold pairs."""

import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError
from study.images.reading import NOT_READ, SUFFIXES, load_image
from study.protocol.parts import REFERENCE


@dataclass(frozen=True)
class Source:
    """One line of a manifest."""

    prompt: str
    arm: str
    file: Path
    category: str = ""


@dataclass(frozen=True)
class GoldSource:
    """An own gold pair: everybody who looks takes `better` for the better picture of the prompt."""

    prompt: str
    better: Path
    worse: Path


def sources_from_folders(arms: Mapping[str, Path], prompts: Path | None = None, by_name: bool = False) -> list[Source]:
    """One folder an arm: images in file-name order against a file of prompts, or each folder's manifest.jsonl.

    Args:
        arms: name to folder; REFERENCE may be one of them.
        by_name: there are no prompts, and images are told apart by the file names of the first folder.

    Raises:
        StudyError: all problems at once; files of one prompt whose names do not match are one.
    """
    problems, sources, lines = [], [], None
    by_arm: dict[str, list[Path]] = {}
    try:
        lines = _stems(next(iter(arms.values()))) if by_name else _prompt_lines(prompts) if prompts else None
    except StudyError as error:
        problems.append(str(error))
    for arm, folder in arms.items():
        if not folder.is_dir():
            problems.append(f"{folder} (arm {arm!r}) is not a folder.")
        elif prompts is None and not by_name:
            try:
                sources += _sources_from_manifest(folder / "manifest.jsonl", arm)
            except StudyError as error:
                problems.append(str(error))
        elif lines:
            files = by_arm[arm] = sorted(filter(_is_image, folder.iterdir()), key=_natural)
            heic = [file.name for file in folder.iterdir() if file.suffix.lower() in NOT_READ]
            if heic:
                problems.append(f"{folder} (arm {arm!r}) has HEIC files ({', '.join(sorted(heic))}): save them as PNG.")
            if len(files) != len(lines):
                wanted = f"the first folder has {len(lines)}" if by_name else f"{prompts} has {len(lines)} prompts"
                problems.append(f"{folder} (arm {arm!r}) has {len(files)} images, {wanted}.")
            sources += [Source(line, arm, file) for line, file in zip(lines, files, strict=False)]
    if len({len(files) for files in by_arm.values()}) == 1:
        problems += _unmatched(by_arm)
    if problems:
        raise StudyError("\n".join((*problems, *_unreadable(sources))))
    return sources


def pairing(sources: Sequence[Source]) -> Iterable[str]:
    """Which files are compared, a line for each prompt."""
    files: dict[str, list[str]] = {}
    for source in sources:
        files.setdefault(source.prompt, []).append(f"{source.arm}/{source.file.name}")
    return (f"{prompt}: {', '.join(shown)}" for prompt, shown in files.items())


def _is_image(file: Path) -> bool:
    """Hidden files are none, such as the ._1.png that a Mac leaves beside 1.png."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _unmatched(by_arm: Mapping[str, Sequence[Path]]) -> Iterable[str]:
    """Files that would be compared by their place alone, though their names or their numbers differ."""
    by_place = all(file.stem.isdecimal() for files in by_arm.values() for file in files)
    for place, files in enumerate(zip(*by_arm.values(), strict=True), 1):
        names = {file.stem.casefold() for file in files}
        numbers = {tuple(map(int, re.findall(r"[0-9]+", file.stem))) for file in files}
        if not by_place and len(names) > 1 and (len(numbers) > 1 or () in numbers):
            yield (
                f"Prompt {place} would compare {', '.join(map(str, files))}, whose names do not match: name the files "
                "of one prompt alike, or give --manifest."
            )


def sources_from_manifest(manifest: Path) -> list[Source]:
    """A CSV or JSONL file with prompt, arm, file and perhaps category; files are relative to it."""
    return _sources_from_manifest(manifest)


def _unreadable(sources: Iterable[Source]) -> Iterable[str]:
    for source in sources:
        try:
            load_image(source.file)
        except StudyError as error:
            yield str(error)


def _natural(file: Path) -> list[tuple[int, str]]:
    """2.png before 10.png."""
    parts = re.split(r"([0-9]+)", file.name.casefold())
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _stems(folder: Path) -> list[str]:
    files = sorted(filter(_is_image, folder.iterdir()), key=_natural) if folder.is_dir() else []
    return [file.stem for file in files]


def _prompt_lines(file: Path) -> list[str]:
    lines = [line.strip() for line in _lines(_read(file))]
    while lines and not lines[-1]:
        lines.pop()
    if not lines or not all(lines):
        raise StudyError(f"{file} must have one prompt per line, with no empty lines in between.")
    return lines


def _lines(text: str) -> list[str]:
    """At the ends of lines only: what else Python takes for one (U+2028, form feeds) may stand in a prompt."""
    return re.split("\r\n|\r|\n", text)


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
        return data.decode("utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise StudyError(f"{file} cannot be read as a text file.") from None


def gold_from_manifest(manifest: Path) -> list[GoldSource]:
    """A CSV or JSONL file with prompt, better and worse; files are relative to it. Raises StudyError."""
    columns, problems, pairs = ("prompt", "better", "worse"), [], []
    for number, row in enumerate(rows_of(manifest), 1):
        if not all(row.get(column) for column in columns):
            problems.append(f"Entry {number} of {manifest} needs prompt, better, and worse.")
            continue
        prompt, *files = (str(row[column]).strip() for column in columns)
        pairs.append(GoldSource(prompt, *(manifest.parent / file for file in files)))
    if problems or not pairs:
        raise StudyError("\n".join(problems) or f"{manifest} lists no gold pair.")
    return pairs


def rows_of(manifest: Path) -> list[dict]:
    """The rows of a CSV or JSONL file; a line that holds no object becomes an empty row."""
    text = _read(manifest)
    try:
        if manifest.suffix.lower() == ".csv":
            header = _lines(text)[0]
            delimiter = max(",;\t", key=header.count)
            rows = csv.DictReader(io.StringIO(text.replace(header, header.lower(), 1)), delimiter=delimiter)
            return [{str(name).strip(): value for name, value in row.items()} for row in rows]
        values = (json.loads(line) for line in _lines(text) if line.strip())
        return [row if isinstance(row, dict) else {} for row in values]
    except (ValueError, csv.Error) as error:
        raise StudyError(f"{manifest} cannot be read: {error}.") from None


def _sources_from_manifest(manifest: Path, arm: str | None = None) -> list[Source]:
    problems, sources = [], []
    for number, row in enumerate(rows_of(manifest), 1):
        of_arm = arm or row.get("arm")
        if not row.get("prompt") or not row.get("file") or not of_arm:
            problems.append(f"Entry {number} of {manifest} needs prompt, {'' if arm else 'arm, '}and file.")
            continue
        file = manifest.parent / str(row["file"])
        if row.get("reference"):
            beside = Source(str(row["prompt"]).strip(), REFERENCE, manifest.parent / str(row["reference"]))
            sources += [] if beside in sources else [beside]
        expected = row.get("sha256")
        if expected and file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            problems.append(f"{file} is not the image that {manifest} names: its hash differs.")
        sources.append(Source(str(row["prompt"]).strip(), str(of_arm).strip(), file, str(row.get("category") or "")))
    if problems or not sources:
        raise StudyError("\n".join(problems) or f"{manifest} lists no image.")
    return sources
