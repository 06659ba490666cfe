"""Requests in a prompt that the models cannot fulfil: they draw one thing, of one size, on white."""

import re

ARTICLE = "(?:(?:an?|the|my|some) )?"
COUNT = "(?:two|three|four|five|six|seven|eight|nine|ten|a dozen|a pair of|several|many|[2-9])"
SIZE = "(?:tiny|little|small|big|large|huge|enormous)"
IGNORED = (
    rf"^{ARTICLE}{COUNT} (?:\w+ ){{0,2}}\w+s$",  # three red balloons; not "six strings" of a guitar
    rf"^{ARTICLE}{SIZE} (?:\w+ ){{0,2}}\w+$",  # a tiny house; not "big wheels" of a tractor
    r"\b(?:on|with|in front of|against) (?:an? |the )?(?:[\w-]+ ){0,2}background\b",
    r"^(?:an?|the|my) (?:\w+ ){1,2}(?:and|beside|next to|together with) (?:an?|the|my|his|her) \w+",  # a dog and a cat
)
PATTERN = re.compile("|".join(IGNORED), re.IGNORECASE)
WORD = re.compile(r"\w+")
OFTEN = {"a", "and", "the", "with"}  # common in names, too


def ignores(words: str, name: str) -> bool:
    """Whether a picture of `name` ignores a part of `words`; not if the name contains it too, as “two hearts” does."""
    wanted = PATTERN.search(words)
    return bool(wanted) and not leads(wanted.group(), name) and not is_one_pair(wanted.group(), name)


def is_one_pair(words: str, name: str) -> bool:
    """Whether the words ask for a pair and one drawing is one, such as scissors or glasses."""
    return "pair of " in words.lower() and name.endswith("s")


def leads(words: str, name: str) -> bool:
    """Whether the name begins like the words, apart from articles."""
    first, other = ([word for word in WORD.findall(text.lower()) if word not in OFTEN] for text in (words, name))
    return first[:1] == other[:1] and len(other) > 1
