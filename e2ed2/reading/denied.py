"""What a prompt excludes: `a cat, not a dog` is a cat."""

import re

FLAGS = re.IGNORECASE | re.ASCII
ONE = "(?:an?|the|any)"
# Each to the next comma or the like, or to what is wanted instead. What a thing lacks ("without", "with no") says what
# it is, as of a face without mouth, and stays.
DENIED = (
    rf"(?:\b(?:that|which|it)(?:['’]s| is) |\b(?:it|that|which) (?=isn['’]t))?\b(?:not|isn['’]t) {ONE}\b",
    r"\b(?:i )?(?:do not|don['’]t) (?:want|draw|paint|show|like)\b",
    r"\b(?:instead of|rather than)\b",
    r"^no\b(?= \w.*(?:[,;:]|\bbut\b|\bjust\b|\bonly\b))",
)
DENIAL = re.compile(rf"(?:{'|'.join(DENIED)})[^,.;:!?]*?(?=[,.;:!?]|\b(?:but|just|only)\b|$)", FLAGS)
# Of what is left, what names nothing; if there is nothing else, nothing is left out.
EMPTY = rf"{ONE}|but|just|only|and|please|i|me|want|draw|paint|show|it|is|that|what|which|s"
NOTHING = re.compile(rf"\b(?:{EMPTY})\b|[\s,.;:!?'’-]", FLAGS)
AROUND = re.compile(r"^[\s,.;:!?]+|[\s,;:]+$")


def wanted(text: str) -> str:
    """The text without what it excludes: `no dogs, just a cat` => `just a cat`; unchanged if it names nothing else."""
    if not DENIAL.search(text):
        return text
    left = AROUND.sub("", DENIAL.sub("", text))
    return left if NOTHING.sub("", left) else text
