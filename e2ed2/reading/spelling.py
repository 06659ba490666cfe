"""Typing mistakes: a word that is not English may be the known word that looks most like it."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import cache

from spellchecker import SpellChecker

WORD = re.compile(r"[A-Za-z]+")
SHORTEST = 4  # letters; of shorter words, too many are alike
LIKE = 0.8  # least likeness, difflib's ratio
TRIED = 3  # known words for each mistake


def spellings(text: str, vocabulary: Collection[str]) -> list[str]:
    """The text as it is, then with its mistakes corrected, the likeliest words first: at most `1 + TRIED` texts.

    Args:
        vocabulary: words to choose from, in lower case; they are no mistakes.
    """
    words = {word.lower() for word in WORD.findall(text) if len(word) >= SHORTEST}
    others = words - set(vocabulary)
    unknown = english().unknown(others) if others else set()  # the first time, English takes half a second to read
    likely = {word: get_close_matches(word, vocabulary, n=TRIED, cutoff=LIKE) for word in sorted(unknown)}
    likely = {word: found for word, found in likely.items() if found}

    def corrected(choice: int) -> str:
        def word(match: re.Match[str]) -> str:
            found = likely.get(match[0].lower(), [match[0]])
            return found[min(choice, len(found) - 1)]

        return WORD.sub(word, text)

    most = max(map(len, likely.values()), default=0)
    return [text, *(corrected(choice) for choice in range(most))]


def words_of(texts: Collection[str]) -> list[str]:
    """Every word in the texts that is long enough to be looked for, in lower case and sorted."""
    return sorted({word.lower() for text in texts for word in WORD.findall(text) if len(word) >= SHORTEST})


@cache
def english() -> SpellChecker:
    return SpellChecker(language="en")
