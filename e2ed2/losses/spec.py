"""A loss as one string: `"l2"`, `"l2+lpips"`, `"l2:0.3+lpips:1+gan:0.1"`."""

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple, Self

from tyro.constructors import PrimitiveConstructorSpec

from e2ed2.errors import UserError

OFFLINE_CRITIC = "alexnet"  # a feature network for gan that needs no download: LPIPS's
START_CRITIC = "start"  # the blocks of the backbone that a training starts from, which gan looks through at latents
PREFERENCE = "preference"  # for all questions of a study, or one: "preference.aesthetic"


class Kind(NamedTuple):
    """What a term compares, and what computes it."""

    space: Literal["latents", "pictures"]
    function: str = ""  # takes a `Compared`; module.name in `e2ed2.losses`; empty: see `own`
    perceptual: bool = False  # whether it looks at LPIPS's features

    @property
    def own(self) -> bool:
        """Whether the objective computes it, with a network that learns beside the model or has learned from votes."""
        return not self.function

    def __call__(self, compared: Any) -> Any:
        """The term's value for a `Compared`, a scalar. torch is imported here: parsing a command line needs none."""
        module, _, name = self.function.partition(".")
        return getattr(import_module(f"e2ed2.losses.{module}"), name)(compared)


# Every term, in the order of computation and summation, on which the last bits of a training depend.
TERMS = {
    "l1": Kind("latents", "terms.l1"),
    "l2": Kind("latents", "terms.l2"),
    "energy": Kind("latents", "terms.energy"),
    "anchor": Kind("latents", "terms.anchor"),
    "mmd": Kind("pictures", "terms.mmd", perceptual=True),
    "lpips": Kind("pictures", "terms.lpips", perceptual=True),
    "energy-lpips": Kind("pictures", "terms.energy_lpips", perceptual=True),
    PREFERENCE: Kind("pictures"),
    "gan": Kind("pictures"),
}


class Term(NamedTuple):
    name: str  # one of TERMS
    weight: float  # in the sum, > 0


@dataclass(frozen=True)
class LossSpec:
    """The terms of a sum, each with its weight; the only reader and writer of the string."""

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `term[:weight]` joined by `+`; a weight is 1 if none is given.

        Raises:
            UserError: an unknown term (the known ones are listed), a repeated one, or a weight that is not positive.
        """
        terms: list[Term] = []
        for part in text.split("+"):
            name, _, number = part.strip().partition(":")
            if name not in TERMS and not question_of(name):
                raise UserError(f"Unknown loss {name!r} in {text!r}: choose from {', '.join(TERMS)}, joined by '+'.")
            if name in {term.name for term in terms}:
                raise UserError(f"Loss {name!r} appears twice in {text!r}: name it once, with its weight.")
            try:
                weight = float(number or 1)
            except ValueError:
                weight = math.nan
            if not 0 < weight < math.inf:
                raise UserError(f"The weight {number!r} of {name!r} is not a positive number.")
            terms.append(Term(name, weight))
        return cls(tuple(terms))

    def with_term(self, name: str, weight: float) -> Self:
        """This sum plus one more term."""
        return type(self)((*self.terms, Term(name, weight)))

    def __str__(self) -> str:
        return "+".join(name if weight == 1 else f"{name}:{_shortest(weight)}" for name, weight in self.terms)

    def __contains__(self, name: str) -> bool:
        return name in self.weights

    @property
    def weights(self) -> dict[str, float]:
        return dict(self.terms)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each term, in the table's order."""
        places = list(TERMS)
        table = {name: PREFERENCE if question_of(name) else name for name in self.weights}
        return {name: TERMS[table[name]] for name in sorted(table, key=lambda name: places.index(table[name]))}

    @property
    def on_pictures(self) -> list[str]:
        """The terms that look at decoded pictures."""
        return [name for name, kind in self.kinds.items() if kind.space == "pictures"]

    @property
    def preferences(self) -> dict[str, str]:
        """The question of each preference term; "" stands for all questions."""
        return {name: question_of(name) for name in self.weights if name == PREFERENCE or question_of(name)}


def question_of(name: str) -> str:
    """The question that a preference term names; empty if it names none."""
    return name.removeprefix(f"{PREFERENCE}.") if name.startswith(f"{PREFERENCE}.") else ""


def _shortest(weight: float) -> str:
    """`0.3`, `2`: reads back as the same number."""
    return str(weight).removesuffix(".0")


# How a command line reads it: one word, not the fields of a class.
ON_COMMAND_LINE = PrimitiveConstructorSpec(
    nargs=1,
    metavar="LOSS",
    instance_from_str=lambda words: LossSpec.parse(words[0]),
    is_instance=lambda value: isinstance(value, LossSpec),
    str_from_instance=lambda spec: [str(spec)],
)
