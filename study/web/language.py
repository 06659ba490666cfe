"""The rater's pages in several languages: a catalogue file for each, from the English sentence to its own."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

CATALOGUES = Path(__file__).parent / "catalogues"
RIGHT_TO_LEFT = ("ar",)


def translator(language: str) -> Callable[..., str]:
    """From an English sentence, with `{names}` of what it is given; what no catalogue has stays as it is."""
    known = _catalogue(language)

    def translate(sentence: str, **values: object) -> str:
        translated = known.get(sentence, sentence)
        return translated.format(**values) if values else translated

    return translate


@lru_cache
def _catalogue(language: str) -> dict[str, str]:
    file = CATALOGUES / f"{language}.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}
