"""What an organiser's files say of the rater's pages: consent, instructions, practice, questionnaire."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.images.library import Library, encode
from study.images.reading import load_image
from study.images.sources import rows_of
from study.protocol.choices import Pages
from study.protocol.parts import ANSWERS, Item, Page, PracticePair, is_name

TABLES = ("practice.csv", "practice.jsonl")


def page_of(pages: Pages, library: Library, old: Page, quality: int | None = None) -> Page:
    """`old` with what the organiser names; own practice images are stored.

    Raises:
        StudyError: a file that cannot be read, or does not say what it must.
    """
    changes: dict[str, Any] = {
        name: value
        for name in ("language", "comment", "desktop_only", "min_size")
        if (value := getattr(pages, name)) is not None
    }
    for name in ("consent", "instructions"):
        if file := getattr(pages, name):
            changes[name] = _text(file)
    if pages.practice is not None:
        changes["practice"] = _practice(pages.practice, library, quality)
    if pages.questionnaire:
        changes["questionnaire"] = _items(pages.questionnaire)
    return replace(old, **changes)


def _text(file: Path) -> str:
    try:
        text = file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise StudyError(f"{file} cannot be read as a text file.") from None
    if not text:
        raise StudyError(f"{file} is empty.")
    return text


def _practice(named: str, library: Library, quality: int | None) -> tuple[PracticePair, ...] | None:
    """None for the drawn pairs."""
    if named == "drawn":
        return None
    if named == "none":
        return ()
    table = next((file for name in TABLES if (file := Path(named) / name).is_file()), None)
    if table is None:
        raise StudyError(f"{named} has no practice.csv: give a folder that has one, or drawn, or none.")
    pairs = []
    for number, row in enumerate(rows_of(table), 1):
        values = {name: str(row.get(name) or "").strip() for name in ("prompt", "left", "right", "expected", "because")}
        if not values["left"] or not values["right"] or values["expected"] not in ("", *ANSWERS):
            raise StudyError(f"Entry {number} of {table} needs left and right; expected: left, tie, right or nothing.")
        images = [load_image(table.parent / values[side]) for side in ("left", "right")]
        if images[0].size != images[1].size:
            raise StudyError(f"The images of entry {number} of {table} differ in size: make them equal.")
        stored = [library.add(encode(image, quality)) for image in images]
        pairs.append(PracticePair(values["prompt"], *stored, values["expected"], values["because"]))
    if not pairs:
        raise StudyError(f"{table} lists no pair.")
    return tuple(pairs)


def _items(file: Path) -> tuple[Item, ...]:
    items = []
    for number, row in enumerate(rows_of(file), 1):
        key, text = (str(row.get(name) or "").strip() for name in ("key", "text"))
        if not is_name(key) or not text or key in {item.key for item in items}:
            raise StudyError(f"Entry {number} of {file} needs a key of its own (letters, digits, _ and -) and a text.")
        choices = (choice.strip() for choice in str(row.get("choices") or "").split("|"))
        items.append(Item(key, text, tuple(choice for choice in choices if choice)))
    if not items:
        raise StudyError(f"{file} has no question.")
    return tuple(items)
