"""Two arms: which is preferred, how often, how sure."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.stats.answers import Clusters, clusters
from study.stats.intervals import RESAMPLES, Estimate, Interval, bounded, covariance, percentiles, pigeonhole


@dataclass(frozen=True)
class Preference:
    """One arm against another on one question. Shares are in [0, 1], `net` is in [-1, 1]."""

    arm: str
    other: str
    wins: int
    ties: int
    losses: int
    win_rate_decided: Estimate
    """wins / (wins + losses): ties left out."""
    win_rate_ties_half: Estimate
    """(wins + ties / 2) / all."""
    tie_rate: Estimate
    """ties / all."""
    net: Estimate
    """(wins - losses) / all; its p-value is that of "no preference"."""


def preference(answers: pd.DataFrame, arm: str, other: str, resamples: int = RESAMPLES, seed: int = 0) -> Preference:
    """`arm` against `other`, from the answers to one question.

    Args:
        answers: rows with `rater`, `prompt`, `left`, `right`, `answer`, `question`; those on other arms are left out.
        resamples: of the bootstrap that checks the intervals; 0 for none.

    Raises:
        StudyError: the answers are to several questions.
    """
    outcome, who = outcomes(answers, arm, other)
    weights = pigeonhole(who, resamples, seed) if resamples and len(outcome) else None
    win, tie, loss = (outcome == value for value in (1, 0, -1))
    decided = _ratio(win, win | loss, who, weights, null=0.5)
    everything = np.ones_like(win)
    net = _ratio(outcome, everything, who, weights, low=-1, null=0)
    return Preference(
        arm,
        other,
        int(win.sum()),
        int(tie.sum()),
        int(loss.sum()),
        decided,
        _ratio((outcome + 1) / 2, everything, who, weights, null=0.5),
        _ratio(tie, everything, who, weights),
        net,
    )


def against_others(answers: pd.DataFrame, arm: str) -> Estimate:
    """Win rate of `arm` against all other arms together, a tie counting half, from the answers to one question."""
    other = "\0"  # no arm is called so
    rows = answers[(answers["left"] == arm) != (answers["right"] == arm)]
    rows = rows.assign(**{side: rows[side].where(rows[side] == arm, other) for side in ("left", "right")})
    return preference(rows, arm, other, resamples=0).win_rate_ties_half


def outcomes(answers: pd.DataFrame, arm: str, other: str) -> tuple[np.ndarray, Clusters]:
    """+1 where `arm` was preferred to `other`, 0 for a tie, -1 where it lost, `[n]`; and whose answers these are."""
    if answers["question"].nunique() > 1:
        raise StudyError("The answers are to several questions: choose those to one.")
    left, right = answers["left"].to_numpy(str), answers["right"].to_numpy(str)
    forward, backward = (left == arm) & (right == other), (left == other) & (right == arm)
    rows = answers[forward | backward]
    side = np.select([rows["answer"] == "left", rows["answer"] == "right"], [1, -1], 0)
    return np.where(forward[forward | backward], side, -side), clusters(rows)


def _ratio(
    top: np.ndarray,
    bottom: np.ndarray,
    who: Clusters,
    weights: np.ndarray | None,
    low: float = 0.0,
    null: float | None = None,
) -> Estimate:
    """sum(top) / sum(bottom), by its influence (top - value bottom) / sum(bottom)."""
    top, bottom = top.astype(np.float32), bottom.astype(np.float32)
    total = float(bottom.sum())
    if total == 0:
        return Estimate(float("nan"), Interval(low, 1.0), float("nan"), float("nan"), float("nan"), 0)
    value = float(top.sum()) / total
    variance, df = covariance(((top - value * bottom) / total)[:, None].astype(float), who)
    estimate = bounded(value, float(variance[0, 0]), float(df[0]), who, low, 1.0, null)
    estimate = replace(estimate, n=int(total))
    if weights is None:
        return estimate
    with np.errstate(invalid="ignore"):
        return replace(estimate, bootstrap=percentiles((weights @ top) / (weights @ bottom)))
