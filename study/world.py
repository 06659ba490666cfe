"""Raters with known preferences: answers to a design, and the truth that the statistics should find."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from study.errors import StudyError

SYMBOLS = np.array(["left", "tie", "right"])


@dataclass(frozen=True)
class World:
    """How simulated people answer. Strengths and standard deviations are in log odds.

    Rater r, shown arms a (left) and b (right) of prompt q, answers left : tie : right in the proportions
    exp(d/2) : exp(tie_r) : exp(-d/2) with d = s_a - s_b + u_ra - u_rb + v_qa - v_qb + side_r (Davidson 1970).
    """

    strengths: dict[str, float] = field(default_factory=lambda: {"ours": 0.3, "baseline": 0.0})
    """Log strength of each arm; equal values are equal arms."""
    tie: float = -0.7
    """Log odds of a tie between equal arms, against winning on one given side."""
    side: float = 0.0
    """Log odds for the left picture between equal arms."""
    rater_sd: float = 0.4
    """How much raters differ in what they like: of each arm's strength."""
    prompt_sd: float = 0.4
    """How much prompts differ in which arm they suit: of each arm's strength."""
    tie_sd: float = 0.5
    """How much raters differ in saying "tie"."""
    side_sd: float = 0.2
    """How much raters differ in leaning to one side."""
    lapse: float = 0.0
    """Share of answers given at random."""
    spammers: float = 0.0
    """Share of raters who look at nothing: each clicks one side, or at random, fast."""

    def __post_init__(self) -> None:
        if len(self.strengths) < 2:
            raise StudyError("A study needs two arms at least.")
        if not (0 <= self.lapse < 1 and 0 <= self.spammers < 1):
            raise StudyError("The shares of lapses and of spammers must be at least 0 and less than 1.")
        if min(self.rater_sd, self.prompt_sd, self.tie_sd, self.side_sd) < 0:
            raise StudyError("A standard deviation cannot be negative.")


def probabilities(difference: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Of left, tie and right, `[..., 3]`, from log odds `d` and the log tie weight (Davidson 1970, eq. 2.4)."""
    logits = np.stack(np.broadcast_arrays(difference / 2, tie, -difference / 2), -1)
    logits = np.exp(logits - logits.max(-1, keepdims=True))
    return logits / logits.sum(-1, keepdims=True)


def truth(world: World, arm: str, other: str) -> np.ndarray:
    """Chance that an honest rater says `arm`, tie, `other`, `[3]`: over raters, prompts and both sides.

    By Gauss-Hermite quadrature over the two normal mixtures, of log odds and of the tie weight.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    spread = np.sqrt(2 * (world.rater_sd**2 + world.prompt_sd**2) + world.side_sd**2)
    gap = world.strengths[arm] - world.strengths[other]
    tie = world.tie + world.tie_sd * nodes[None]
    both = [probabilities((gap + side + spread * nodes)[:, None], tie) for side in (world.side, -world.side)]
    mean = np.einsum("i,j,ijk->k", weights, weights, (both[0] + both[1]) / 2)
    return (1 - world.lapse) * mean + world.lapse / 3


def answer(design: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """The design with answers.

    Args:
        design: rows in each rater's order, with `rater`, `prompt`, `left`, `right`, `kind`, `question`; equal names
            in `left` and `right` are pictures of equal worth (for gold pairs the `gold` side is plainly better).

    Returns:
        The same rows with `answer` and `response_ms`.
    """
    left, tie, response = _log_odds(design, world, rng)
    chance = probabilities(left, tie)
    lapse = rng.random(len(design)) < world.lapse
    chance[lapse] = 1 / 3
    raters, code = np.unique(design["rater"].to_numpy(str), return_inverse=True)
    spammer = rng.random(len(raters)) < world.spammers
    habit = rng.dirichlet((0.3, 0.1, 0.3), len(raters))
    chance[spammer[code]] = habit[code[spammer[code]]]
    response = np.where(spammer[code], response * 0.15, response)
    chosen = (rng.random(len(design))[:, None] > chance.cumsum(1)[:, :2]).sum(1)
    return design.assign(answer=SYMBOLS[chosen], response_ms=response.round())


def _log_odds(
    design: pd.DataFrame, world: World, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log odds of left, the log tie weight, and milliseconds to answer, `[n]` each."""
    names = sorted(world.strengths)
    strength = np.array([world.strengths[name] for name in names])
    rater, prompt = (pd.factorize(design[name])[0] for name in ("rater", "prompt"))
    left, right = (np.searchsorted(names, design[name].to_numpy(str)) for name in ("left", "right"))
    people, prompts = rater.max() + 1, prompt.max() + 1
    draw: Callable = rng.standard_normal
    taste = world.rater_sd * draw((people, len(names))) + strength
    suits = world.prompt_sd * draw((prompts, len(names)))
    side = world.side + world.side_sd * draw(people)
    worth_left, worth_right = (taste[rater, arm] + suits[prompt, arm] for arm in (left, right))
    d = worth_left - worth_right + side[rater]
    gold = design["gold"].map({"left": 4.0, "right": -4.0}).fillna(0.0).to_numpy() if "gold" in design else 0.0
    tie = world.tie + world.tie_sd * draw(people)
    response = 1000 * np.exp(1.2 + 0.3 * draw(people)[rater] + 0.4 * draw(len(design)))
    return d + gold, tie[rater] + 1.5 * (left == right), response
