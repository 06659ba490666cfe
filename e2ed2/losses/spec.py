"""A loss as one string: `"l2"`, `"l2+lpips"`, `"l2:0.3+lpips:1+gan:0.1"`."""

import math
from dataclasses import dataclass

from e2ed2.errors import UserError

TERMS = ("l1", "l2", "lpips", "gan", "energy", "energy-lpips")


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term in the sum; a term that is absent weighs nothing."""

    weights: dict[str, float]

    def __contains__(self, term: str) -> bool:
        return term in self.weights

    def __getitem__(self, term: str) -> float:
        return self.weights[term]


def parse_loss(text: str) -> LossWeights:
    """Read `term[:weight]` joined by `+`; a weight is 1 where none is given.

    Raises:
        UserError: an unknown term (the known ones are listed), a repeated one, or a weight that is not positive.
    """
    weights: dict[str, float] = {}
    for part in text.split("+"):
        term, _, number = part.strip().partition(":")
        if term not in TERMS:
            raise UserError(f"Unknown loss {term!r} in {text!r}: choose from {', '.join(TERMS)}, joined by '+'.")
        if term in weights:
            raise UserError(f"Loss {term!r} appears twice in {text!r}: name it once, with its weight.")
        try:
            weights[term] = float(number or 1)
        except ValueError:
            weights[term] = math.nan
        if not 0 < weights[term] < math.inf:
            raise UserError(f"The weight {number!r} of {term!r} is not a positive number.")
    return LossWeights(weights)
