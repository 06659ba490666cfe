"""Words for colours, and where they stand in a prompt."""

import re

# In OKLab (Ottosson 2020): lightness in [0, 1], chroma, hue in degrees.
COLOURS = {
    "red": (0.59, 0.22, 27.0),
    "orange": (0.74, 0.17, 58.0),
    "yellow": (0.88, 0.17, 96.0),
    "green": (0.65, 0.18, 143.0),
    "blue": (0.58, 0.17, 255.0),
    "purple": (0.54, 0.19, 305.0),
    "pink": (0.78, 0.14, 355.0),
    "brown": (0.48, 0.09, 50.0),
    "black": (0.27, 0.0, 0.0),
    "white": (0.93, 0.0, 0.0),
    "grey": (0.66, 0.0, 0.0),
    "gold": (0.76, 0.14, 85.0),
}
OTHER_WORDS = {"gray": "grey", "golden": "gold", "violet": "purple", "crimson": "red", "scarlet": "red"}
WORDS = {colour: colour for colour in COLOURS} | OTHER_WORDS
COLOUR = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
FIRST = re.compile(rf"({'|'.join(WORDS)}) ", re.IGNORECASE)


def in_colour(name: str, colour: str) -> str:
    """`automobile` => `green automobile`; `red apple` => `green apple`."""
    return f"{colour} {FIRST.sub('', name, count=1) if FIRST.match(name) else name}"


def colour_of(text: str) -> str:
    """The first colour that a text names, as captions call it; empty where it names none."""
    found = COLOUR.search(text)
    return WORDS[found[1].lower()] if found else ""
