"""Evidence that may be looked at after every rater: for a live dashboard, and for stopping early.

A p-value looked at again and again is wrong sooner or later; an e-value is not: if there is no preference, it reaches
1/alpha with a chance of at most alpha, at any time, however often one looks (Ville's inequality).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.stats.intervals import LEVEL, Interval
from study.stats.preference import outcomes

STAKES = np.linspace(-0.95, 0.95, 39)  # bets on either arm, in equal shares; 0 among them


@dataclass(frozen=True)
class Evidence:
    """Against "no preference between the two arms"."""

    raters: int
    e_value: float
    """Now. 20 is to this what p = 0.05 is to a single look."""
    highest: float
    """So far: whoever stops at the first crossing may use it."""
    interval: Interval
    """Of the net preference: 95%, valid at all times at once (a confidence sequence)."""
    path: tuple[float, ...]
    """The e-value after each rater."""


def evidence(answers: pd.DataFrame, arm: str, other: str, finished: set[str] | None = None) -> Evidence:
    """From the answers to one question.

    The unit is the rater: a rater's mean answer (+1, 0, -1) is one bet, won or lost, since the answers of one rater
    are not independent. It says whether raters prefer an arm *on these prompts*, and assumes that a rater's share of
    the prompts does not itself favour an arm.

    Args:
        answers: as for `preference`, and `time` (UTC, ISO 8601).
        finished: raters who will answer no more; by default all. Others wait, so that no bet is changed afterwards.
    """
    outcome, _ = outcomes(answers, arm, other)
    rows = answers[answers["left"].isin([arm, other]) & answers["right"].isin([arm, other])]
    rows = rows[rows["left"] != rows["right"]]
    by_rater = rows.assign(outcome=outcome).groupby("rater").agg(mean=("outcome", "mean"), time=("time", "max"))
    if finished is not None:
        by_rater = by_rater[by_rater.index.isin(finished)]
    means = by_rater.sort_values(["time", "mean"])["mean"].to_numpy()
    path = wealth(means, np.zeros(1))[:, 0]
    last = float(path[-1]) if len(path) else 1.0
    return Evidence(len(means), last, float(max(path, default=1.0)), _sequence(means), tuple(map(float, path)))


def wealth(values: np.ndarray, nulls: np.ndarray) -> np.ndarray:
    """E-value of "the mean is m" after each value: the mean over stakes c of prod(1 + c (x - m) / (1 + |m|)).

    Waudby-Smith & Ramdas (2024), section 4, with a mixture of constant bets.

    Args:
        values: in [-1, 1], `[n]`, in their order.
        nulls: in [-1, 1], `[k]`.

    Returns:
        `[n, k]`, at least 0.
    """
    gain = (values[:, None] - nulls) / (1 + np.abs(nulls))
    logs = np.log1p(STAKES * gain[..., None]).cumsum(0)
    return np.exp(logs).mean(-1)


def _sequence(values: np.ndarray) -> Interval:
    """The nulls that were never refuted."""
    nulls = np.linspace(-1, 1, 401)
    highest = wealth(values, nulls).max(0, initial=1.0)
    alive = nulls[highest < 1 / (1 - LEVEL)]
    return Interval(float(alive.min()), float(alive.max())) if len(alive) else Interval(float("nan"), float("nan"))
