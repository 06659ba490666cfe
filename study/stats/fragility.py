"""How little would change a verdict: answers turned over, raters or prompts left out.

Walsh et al. (2014), "The statistical significance of randomized controlled trial results is frequently fragile", for
clustered answers. The numbers are found by trying a few orders, so they suffice; fewer might, too. Where one rater, or
one prompt, is enough, that is found.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.stats.answers import Clusters, codes
from study.stats.intervals import ALPHA, bounded, covariance
from study.stats.preference import outcomes


@dataclass(frozen=True)
class Fragility:
    """How few changes would overturn "one arm is preferred" or "no clear winner"; None if no number would."""

    preferred: bool
    """Whether one arm is preferred with all answers."""
    answers: int | None
    """Answers that overturn it when turned over (a win into a loss)."""
    raters: int | None
    """Raters that overturn it when left out."""
    prompts: int | None


def fragility(answers: pd.DataFrame, arm: str, other: str, correction: float = 1.0) -> Fragility:
    """How fragile the verdict on two arms is, from the answers to one question.

    Args:
        correction: factor for p-values, at least 1: p_holm / p with all answers.
    """
    outcome, who = outcomes(answers, arm, other)
    if not len(outcome):
        return Fragility(False, None, None, None)

    def preferred(values: np.ndarray, clusters: Clusters) -> bool:
        return min(_p(values, clusters) * correction, 1.0) < ALPHA

    holds = preferred(outcome, who)
    winner = 1 if outcome.sum() >= 0 else -1
    gain = outcome * (winner if holds else -winner)  # what speaks for the verdict that shall change

    def turning(rows: np.ndarray) -> int | None:
        return _fewest(lambda n: preferred(_turned(outcome, rows[:n], winner, holds), who) != holds, len(rows))

    turned = min((count for rows in _orders(gain, who) if (count := turning(rows))), default=None)
    left_out = [_without(outcome, who, gain, which, preferred, holds) for which in ("rater", "prompt")]
    return Fragility(holds, turned, *left_out)


def _p(outcome: np.ndarray, who: Clusters) -> float:
    """Two-sided, of a net preference of 0, as `preference` has it."""
    if not len(outcome):
        return 1.0
    value = float(outcome.mean())
    variance, df = covariance(((outcome - value) / len(outcome))[:, None], who)
    return bounded(value, float(variance[0, 0]), float(df[0]), who, -1.0, 1.0, 0.0).p


def _orders(gain: np.ndarray, who: Clusters) -> Iterable[np.ndarray]:
    """Ways in which to turn answers over, those that speak for the verdict first in each.

    One rater (or prompt) after the other, from the weakest or the strongest: where they come to differ more, a mean is
    less sure; where they come to differ less, it is surer.
    """
    for code in (who.rater, who.prompt):
        support = np.bincount(code, gain)[code]
        for sign in (1, -1):
            yield np.lexsort((code, sign * support, -gain))


def _turned(outcome: np.ndarray, rows: np.ndarray, winner: int, holds: bool) -> np.ndarray:
    """These answers against the winner where it is preferred, for it where it is not yet."""
    changed = outcome.copy()
    changed[rows] = -winner if holds else winner
    return changed


def _without(
    outcome: np.ndarray,
    who: Clusters,
    gain: np.ndarray,
    which: str,
    preferred: Callable[[np.ndarray, Clusters], bool],
    holds: bool,
) -> int | None:
    code = getattr(who, which)

    def without(removed: np.ndarray) -> tuple[np.ndarray, Clusters]:
        kept = ~np.isin(code, removed)
        return outcome[kept], codes(who.rater[kept], who.prompt[kept])

    def changing(order: np.ndarray) -> int | None:
        return _fewest(lambda count: preferred(*without(order[:count])) != holds, len(order) - 1)

    support = np.bincount(code, gain - gain.mean())
    alone = np.array([_p(*without(np.array([one]))) for one in range(len(support))])  # where one is enough, it is first
    orders = (np.argsort(ranks, kind="stable") for ranks in (-support, -alone if holds else alone))
    return min((count for order in orders if (count := changing(order))), default=None)


def _fewest(changes: Callable[[int], bool], most: int) -> int | None:
    """The first count that changes it, looked for in growing steps and then between the last two."""
    low, high = 0, 1
    while high < most and not changes(high):
        low, high = high, 2 * high
    high = min(high, most)
    if high < 1 or not changes(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if changes(middle) else (middle, high)
    return high
