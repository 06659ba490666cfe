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
PEOPLE, ANIMALS = "people-body", "animals-nature"  # of Unicode's groups
FACE, SKIN = re.compile(r"\bface\b"), ("black", "brown", "white")  # no face is turned to a colour of skin
OTHER_WORDS = {"gray": "grey", "golden": "gold", "violet": "purple", "crimson": "red", "scarlet": "red"}
WORDS = {colour: colour for colour in COLOURS} | OTHER_WORDS
ANY = "|".join(WORDS)
FLAGS = re.IGNORECASE | re.ASCII  # as the web page reads them
COLOUR = re.compile(rf"\b({ANY})\b", FLAGS)
FIRST = re.compile(rf"^({ANY}) ", FLAGS)
# What follows one of these is another thing.
BESIDE = "with|on|in|at|under|near|beside|behind|wearing|holding|eating|of|and a|and the"
# Of a thing in two colours no drawing is shown: "a black and white cow".
ONE = rf"^(?!.*\b(?:{ANY})(?:,|,? and|,? or) (?:{ANY})\b)"
# Of a prompt, before any other thing, or at the end: "a green car on a road", "the car is green".
ASKED = (
    rf"{ONE}(?:(?!\b(?:{BESIDE})\b).)*?\b({ANY})\b",
    rf"{ONE}.*\b(?:in|is|are|painted|coloured|colored) ({ANY})\W*$",
)


def in_colour(name: str, colour: str) -> str:
    """`automobile` => `green automobile`; `red apple` => `green apple`."""
    return f"{colour} {FIRST.sub('', name)}"


def can_have(name: str, group: str, colour: str) -> bool:
    """Whether a thing is shown in that colour: not where its name holds another, and people in none but their own.

    Args:
        group: what Unicode counts it among.
    """
    face = FACE.search(name) and group != ANIMALS
    return not keeps_colour(name) and group != PEOPLE and not (face and colour in SKIN)


def keeps_colour(name: str) -> bool:
    """Whether a colour in the name says what the thing is, as in `large blue diamond`."""
    return bool(COLOUR.search(FIRST.sub("", name)))


def asked_colour(prompt: str) -> str:
    """In which colour a prompt wants the thing that it is about, as captions call it; empty where it names none.

    `a green car` and `the car is green` ask for green, `a cat with a green hat` asks for nothing.
    """
    for pattern in ASKED:
        if match := re.search(pattern, prompt, FLAGS):
            return WORDS[match[1].lower()]
    return ""
