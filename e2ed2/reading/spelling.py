"""Typing mistakes: a word that is not English, or very rare, may be meant as a known word that looks like it."""

import re
from collections import Counter
from collections.abc import Collection
from functools import cache

from rapidfuzz.distance import OSA
from spellchecker import SpellChecker

WORD = re.compile(r"[A-Za-z]+")
WHOLE = re.compile(r"(?<![^\W\d_])[A-Za-z]+(?![^\W\d_])")  # not a part of one with other letters, such as jalapeño
SHORTEST = 4  # letters; of shorter words, too many are alike
RARE = 50  # uses of a word in pyspellchecker's texts: such words as "appel" and "truk"
LIKE = 0.7  # least likeness of two words: 1 - optimal string alignment distance / length of the longer one
# What likeness is worth more: a word of a name, such as "elephant" beside "elegant"; the same first letter.
NAMED, FIRST = 0.15, 0.1


class Speller:
    """Corrects the words of a prompt to known ones."""

    def __init__(self, vocabulary: Collection[str], names: Collection[str]):
        """
        Args:
            vocabulary: words to choose from, in lower case; they are no mistakes.
            names: of things. Their words are preferred, and `teddybear` is "teddy bear".
        """
        named = set(words_of(names))
        self.worth = {word: NAMED if word in named else 0.0 for word in vocabulary}
        self.joined = {name.replace(" ", "").lower(): name for name in names if " " in name}

    def __call__(self, text: str) -> str:
        """Correct every mistake that looks like a known word; the rest of the text stays unchanged."""
        words = {word.lower() for word in WHOLE.findall(text) if len(word) >= SHORTEST}
        unknown = {word for word in words if word in self.joined or (word not in self.worth and is_rare(word))}
        meant = {word: self.joined.get(word) or self.most_like(word) for word in unknown}
        return WHOLE.sub(lambda match: meant.get(match[0].lower()) or match[0], text)

    def most_like(self, word: str) -> str:
        """The known word most similar to this one; empty if there is none."""
        alike = (
            (likeness + worth + FIRST * (known[0] == word[0]), known)
            for known, worth in self.worth.items()
            if (likeness := OSA.normalized_similarity(word, known)) >= LIKE
        )
        return max(alike, default=(0.0, ""))[1]


def words_of(texts: Collection[str]) -> list[str]:
    """Every word in the texts that is long enough to be matched, in lower case and sorted."""
    return sorted({word.lower() for text in texts for word in WORD.findall(text) if len(word) >= SHORTEST})


def is_rare(word: str) -> bool:
    """Whether the word is not English, or very rare. The first call takes half a second to load English."""
    return english()[word] <= RARE


@cache
def english() -> Counter[str]:
    """The frequency of each word; 0 for non-words."""
    return Counter(SpellChecker(language="en").word_frequency.dictionary)
