"""The identity of the reader: its weights and its tables; with different ones, prompts would be read differently."""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from e2ed2.assets import READER
from e2ed2.data import colours, emoji, styles
from e2ed2.models.components import digest
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import WEIGHTS
from e2ed2.models.saved import ModelMixin
from e2ed2.reading import characters, denied, reader, scene, spelling, usual

MODULES = (
    characters,
    colours,
    denied,
    emoji,
    reader,
    scene,
    spelling,
    styles,
    usual,
)  # modules whose constants are tables
DATA = (bool, int, float, str, list, tuple, dict)


def reader_digest() -> str:
    """Twelve hex digits, independent of how sources and files are formatted and ordered."""
    config = {name: value for name, value in ModelMixin.load_config(READER).items() if not name.startswith("_")}
    content = json.dumps(
        [digest(READER / WEIGHTS), config, MiniLM.fingerprint, files_digest(), tables()], sort_keys=True
    )
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def tables() -> list[tuple[str, str]]:
    """Every word list, pattern and threshold by name, as JSON; one that several modules import appears once."""
    return sorted({(name, value) for module in MODULES for name, value in constants(module)})


def constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    """A module's constants (capitalised names of data); a pattern as its text and flags."""
    for name, value in vars(module).items():
        plain = [value.pattern, value.flags] if isinstance(value, re.Pattern) else value
        if name.isupper() and isinstance(plain, DATA):
            yield name, json.dumps(plain, sort_keys=True)


@cache
def files_digest() -> str:
    """A hash of data from files: names, keywords and groups of the drawings, emoji, English word frequencies."""
    kept = [emoji.bundled_words(), emoji.groups(), characters.emoji(), characters.emoticons(), spelling.english()]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
