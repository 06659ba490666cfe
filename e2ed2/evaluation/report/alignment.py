"""What is recognised in the pictures (the concept, its style, its colour), beside the rates of real drawings."""

from typing import Any

from e2ed2.data.colours import COLOURS
from e2ed2.evaluation.emoji import COLOUR, WORDS
from e2ed2.evaluation.metrics.ceilings import Ceilings
from e2ed2.evaluation.report.colours import TURNED
from e2ed2.evaluation.report.tables import number, spread
from e2ed2.evaluation.results import Result
from e2ed2.evaluation.shown import table

Pictures = dict[str, dict[str, Result]]  # model, or real drawings => split => figures
STAND_IN = "{}, of training captions"
TYPED = """Nobody drew what people typed. The first two rows stand in for it: what the head makes of drawings of
training captions.
"""
UNSHOWN = """{asked} pairs of a thing and a colour that no training showed
([data.md](data.md#the-bundled-drawings-in-other-colours)). The first row is what drawings reach whose main colour was
turned to the one asked for, {drawn} of these pairs (the others have no main colour): the most that can be expected.
The head knows things in the colours that they were drawn in, and so finds few even there.
"""
FOUND = (("top1", "the thing found first"), ("top5", "the thing among five"))
EACH = "The colour asked for, by colour:\n"


def alignment(pictures: Pictures, aligned: Ceilings) -> str:
    """Captions as the models learned them, then what people type."""
    real = {kind: {split: {"alignment": rates} for split, rates in by.items()} for kind, by in aligned.items()}
    typed = [f"{name}{how}" for name in WORDS for how in (", read", "")]
    stand_ins = {
        STAND_IN.format(kind): {split: {"alignment": by["train"]} for split in typed} for kind, by in aligned.items()
    }
    learned = [*firsts("train", "combo", "concept"), ("train", "style", "style (train)")]
    read, plain = firsts(*(f"{name}, read" for name in WORDS)), firsts(*WORDS)
    shown = (
        rates(real | pictures, learned),
        TYPED,
        rates(stand_ins | pictures, read),
        rates(stand_ins | pictures, plain),
    )
    return "\n".join(shown)


def firsts(*splits: str) -> list[tuple[str, str, str]]:
    """Split, rate and heading: the concept found first, or among five."""
    return [(split, key, f"{split} {key.replace('top', 'top-')}") for split in splits for key in ("top1", "top5")]


def rates(pictures: Pictures, columns: list[tuple[str, str, str]]) -> str:
    """A table of rates; rows and columns without measurements are left out."""
    shown = [one for one in columns if any(one[0] in by for by in pictures.values())]
    rows = [
        [name, *(spread(by.get(split, {}), f"alignment.{key}", ".2f") for split, key, _ in shown)]
        for name, by in pictures.items()
    ]
    return table(["pictures", *(head for *_, head in shown)], [row for row in rows if any(row[1:])])


def coloured(pictures: Pictures, colours: dict[str, Any]) -> str:
    """Results on pairs that training never showed: is the colour right, the thing found, which colours are harder?"""
    asked = {name: by[COLOUR] for name, by in pictures.items() if COLOUR in by}
    if not colours or not asked:
        return "Run `python -m e2ed2.evaluation.report.measure_colours` first.\n"
    turned = colours[TURNED]
    columns = [(COLOUR, "colour", "the colour asked for"), *((COLOUR, *found) for found in FOUND)]
    each = {TURNED: turned["by_colour"]} | {
        name: found["by_colour"]
        for name, found in colours["models"].items()
        if name in asked and found["weights"] == asked[name]["choices"]["weights"]
    }
    count = max(result["choices"]["images"] for result in asked.values())
    return "\n".join(
        [
            UNSHOWN.format(asked=f"{count:,}", drawn=f"{turned['images']:,}"),
            rates({TURNED: {COLOUR: turned}} | {name: {COLOUR: result} for name, result in asked.items()}, columns),
            EACH,
            table(["pictures", *COLOURS], [[name, *_each(by_colour)] for name, by_colour in each.items()]),
        ]
    )


def _each(by_colour: dict[str, float]) -> list[str]:
    return [number(by_colour.get(colour), 2) for colour in COLOURS]
