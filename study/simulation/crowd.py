"""Raters with known preferences: answers to a design, and the truth that the statistics should find."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.protocol.parts import DEGRADED, GOLDEN

SYMBOLS = np.array(["left", "tie", "right"])
WEAK = -8.0  # log strength of a degraded copy in a gold pair: nobody who looks takes it for the picture
ALIKE = 1.5  # pictures of one arm, or one picture twice, are called a tie so much more often (log odds)


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
    halo: float = 0.0
    """Share of answers on one screen (joint mode) that copy the rater's answer to the first question."""
    spammers: float = 0.0
    """Share of raters who look at nothing: each clicks one side, or at random, fast."""

    def __post_init__(self) -> None:
        if len(self.strengths) < 2:
            raise StudyError("A study needs two arms at least.")
        if not all(0 <= share < 1 for share in (self.lapse, self.halo, self.spammers)):
            raise StudyError("The shares of lapses, halo and spammers must be at least 0 and less than 1.")
        if min(self.rater_sd, self.prompt_sd, self.tie_sd, self.side_sd) < 0:
            raise StudyError("A standard deviation cannot be negative.")


def probabilities(difference: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Chances of left, tie and right, `[..., 3]`, from log odds `d` and the log tie weight (Davidson 1970, eq. 2.4)."""
    logits = np.stack(np.broadcast_arrays(difference / 2, tie, -difference / 2), -1)
    logits = np.exp(logits - logits.max(-1, keepdims=True))
    return logits / logits.sum(-1, keepdims=True)


def shown(world: World, left: str, right: str) -> np.ndarray:
    """Chance that an honest rater answers left, tie, right, `[3]`: over raters and prompts.

    By Gauss-Hermite quadrature over the two normal mixtures, of log odds and of the tie weight.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    spread = np.sqrt(2 * (world.rater_sd**2 + world.prompt_sd**2) + world.side_sd**2)
    gap = world.strengths[left] - world.strengths[right] + world.side
    chance = probabilities((gap + spread * nodes)[:, None], world.tie + world.tie_sd * nodes[None])
    return (1 - world.lapse) * np.einsum("i,j,ijk->k", weights, weights, chance) + world.lapse / 3


def truth(world: World, arm: str, other: str) -> np.ndarray:
    """Chance of `arm`, tie, `other`, `[3]`: over raters, prompts and both sides."""
    return (shown(world, arm, other) + shown(world, other, arm)[::-1]) / 2


def answer(design: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """The design with answers.

    Args:
        design: rows with `rater`, `assignment`, `prompt`, `left`, `right`, `question`, `mode`.

    Returns:
        The same rows with `answer` and `response_ms`.
    """
    rater = pd.factorize(design["rater"])[0]
    people, n = int(rater.max()) + 1, len(design)
    chance = probabilities(*_log_odds(design, world, rater, rng))
    chance[rng.random(n) < world.lapse] = 1 / 3
    spammer = (rng.random(people) < world.spammers)[rater]
    chance[spammer] = rng.dirichlet((0.3, 0.1, 0.3), people)[rater[spammer]]
    chosen = (rng.random(n)[:, None] > chance.cumsum(1)[:, :2]).sum(1)
    pace = 1.2 + 0.3 * rng.standard_normal(people)[rater] - 2.5 * spammer
    response = 1000 * np.exp(pace + 0.4 * rng.standard_normal(n))
    if world.halo:
        first = np.unique(design["assignment"].to_numpy(str), return_index=True, return_inverse=True)[1:]
        copied = (rng.random(n) < world.halo) & (design["mode"] == "joint").to_numpy()
        chosen = np.where(copied, chosen[first[0][first[1]]], chosen)
    return design.assign(answer=SYMBOLS[chosen], response_ms=response.round())


def _log_odds(
    design: pd.DataFrame, world: World, rater: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of left and the log tie weight, `[n]` each."""
    names = pd.Index([*world.strengths, DEGRADED, GOLDEN])
    prompt = pd.factorize(design["prompt"])[0]
    left, right = (names.get_indexer(design[side]) for side in ("left", "right"))
    people, prompts, k = int(rater.max()) + 1, int(prompt.max()) + 1, len(world.strengths)
    spread = np.append(np.ones(k), 0)  # a degraded picture is degraded to everyone
    taste = world.rater_sd * spread * rng.standard_normal((people, k + 1)) + [
        *world.strengths.values(),
        WEAK,
    ]
    suits = world.prompt_sd * spread * rng.standard_normal((prompts, k + 1))
    side = world.side + world.side_sd * rng.standard_normal(people)
    taste, suits = (np.pad(table, ((0, 0), (0, 1))) for table in (taste, suits))  # GOLDEN: as an average arm
    worth = [taste[rater, arm] + suits[prompt, arm] for arm in (left, right)]
    tie = world.tie + world.tie_sd * rng.standard_normal(people)
    return worth[0] - worth[1] + side[rater], tie[rater] + ALIKE * (left == right)
