"""Evidence that may be looked at after every rater: for a live dashboard, and for stopping early.

A p-value looked at again and again is wrong sooner or later; an e-value is not: if there is no preference, it reaches
1/alpha with a chance of at most alpha, at any time, however often one looks (Ville's inequality).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from study.stats.intervals import LEVEL, Interval
from study.stats.preference import outcomes

STAKES = np.linspace(-0.95, 0.95, 39)  # bets on either arm, in equal shares; 0 among them
NULLS = np.linspace(-1, 1, 401)  # net preferences
NOTHING = Interval(float("nan"), float("nan"))


@dataclass(frozen=True)
class Evidence:
    """Against "no preference between the two arms". All of it but `new_prompts` speaks of the study's own prompts."""

    raters: int
    e_value: float
    """Now. 20 is to this what p = 0.05 is to a single look."""
    highest: float
    """So far: whoever stops at the first crossing may use it."""
    interval: Interval
    """95% interval of the net preference on these prompts, valid at all times at once (a confidence sequence)."""
    new_prompts: Interval
    """The same for new prompts like these: wider, since other prompts might have suited the other arm."""
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
    rows = _rows(answers, arm, other, finished)
    means, by_prompt = _means(rows), rows.groupby("prompt")["outcome"].mean()
    path = wealth(means, np.zeros(1))[:, 0]
    here, narrower = ([Interval(-1.0, 1.0), *sequence(means, error)][-1] for error in (1 - LEVEL, (1 - LEVEL) / 2))
    return Evidence(
        len(means),
        float(path[-1]) if len(path) else 1.0,
        float(path.max(initial=1.0)),
        here,
        for_new_prompts(narrower, by_prompt.to_numpy()),
        tuple(map(float, path)),
    )


def highest(answers: pd.DataFrame, arm: str, other: str, finished: set[str]) -> float:
    """The highest e-value so far, as in `evidence`, without all that costs more."""
    return float(wealth(_means(_rows(answers, arm, other, finished)), np.zeros(1)).max(initial=1.0))


def _rows(answers: pd.DataFrame, arm: str, other: str, finished: set[str] | None) -> pd.DataFrame:
    """The comparisons of the two arms by these raters, each with its outcome for `arm`."""
    outcome, _ = outcomes(answers, arm, other)
    rows = answers[answers["left"].isin([arm, other]) & answers["right"].isin([arm, other])]
    rows = rows[rows["left"] != rows["right"]].assign(outcome=outcome)
    return rows if finished is None else rows[rows["rater"].isin(finished)]


def _means(rows: pd.DataFrame) -> np.ndarray:
    """The mean outcome of each rater, in the order in which they finished."""
    by_rater = rows.groupby("rater").agg(mean=("outcome", "mean"), time=("time", "max"))
    return by_rater.sort_values(["time", "mean"])["mean"].to_numpy()


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


def for_new_prompts(limits: Interval, by_prompt: np.ndarray) -> Interval:
    """95% for the mean over raters *and* prompts, whatever the number of looks.

    At all times the raters say between which limits the mean of these prompts lies, with an error of alpha / 2. Prompts
    are drawn once: Student's t says, with the same error, how far their mean is from that of all prompts. It needs the
    spread of the prompts' true means; that of the observed ones has the raters' noise on top.

    Args:
        limits: of the mean of these prompts, from `sequence` with an error of (1 - LEVEL) / 2.
        by_prompt: mean outcome of each prompt, in [-1, 1], `[p]`.
    """
    if len(by_prompt) < 2 or np.isnan(limits.low):
        return Interval(-1.0, 1.0)
    quantile = float(stdtrit(len(by_prompt) - 1, 0.75 + LEVEL / 4))
    further = quantile * float(by_prompt.std(ddof=1)) / len(by_prompt) ** 0.5
    return Interval(max(limits.low - further, -1.0), min(limits.high + further, 1.0))


def sequence(values: np.ndarray, error: float) -> list[Interval]:
    """After each value: from the first to the last null that was never refuted (a confidence sequence)."""
    refuted = np.maximum.accumulate(wealth(values, NULLS), 0) >= 1 / error
    possible = [NULLS[~row] for row in refuted]
    return [Interval(float(alive[0]), float(alive[-1])) if len(alive) else NOTHING for alive in possible]
