"""Emoji and emoticons in a prompt, by the drawings' names, not Unicode's own (❤ is "heavy black heart" there)."""

import json
import re
import unicodedata
from functools import cache

from e2ed2.assets import EMOJI_CHARACTERS
from e2ed2.models.minilm import spelt_out

DRAWN = "[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]"  # how an emoji is drawn, the tone of a skin: both say nothing here


def spelt(text: str) -> str:
    """`a 😡` => `a  enraged face`; `:)`, if there is nothing else, => `slightly smiling face`."""
    if text in emoticons():
        return emoticons()[text]
    return spelt_out(any_emoji().sub(lambda match: f" {emoji()[match[0]]} ", re.sub(DRAWN, "", text))).strip()


def named(text: str) -> list[str]:
    """The names of the emoji in the text."""
    return [emoji()[one] for one in any_emoji().findall(re.sub(DRAWN, "", text))]


def says_nothing(text: str) -> bool:
    """Whether the text is punctuation only."""
    return all(one.isspace() or unicodedata.category(one).startswith("P") for one in text)


@cache
def any_emoji() -> re.Pattern[str]:
    """🐻‍❄️ before 🐻: the longest that fits."""
    return re.compile("|".join(sorted(emoji(), key=lambda one: (-len(one), one))))


def emoji() -> dict[str, str]:
    return _table()["emoji"]


def emoticons() -> dict[str, str]:
    return _table()["emoticons"]


@cache
def _table() -> dict[str, dict[str, str]]:
    return json.loads(EMOJI_CHARACTERS.read_text())
