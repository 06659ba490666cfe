"""Where an arm wins: its effect in each category of prompts, drawn towards the mean of all categories.

Of many small categories some look strong by chance alone. Partial pooling says how much of a category's effect is its
own: the less is known of it, and the more alike the categories are, the more it is drawn to the mean. The effects are
taken as drawn from a normal distribution whose mean and spread have flat priors (Gelman 2006; the "eight schools" of
Rubin 1981). The observed effects have the errors of answers that share raters, so categories are not independent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from study.stats.intervals import LEVEL, Interval, covariance
from study.stats.preference import Preference, outcomes, preference

SPREADS = np.linspace(0.0, 2.0, 201)  # standard deviations between categories, of a net preference in [-1, 1]
VALUES = np.linspace(-1.0, 1.0, 2001)
Z = 1.959964  # quantile of the normal distribution
NO_CATEGORY = "no category"  # what prompts without one are called


@dataclass(frozen=True)
class Pooled:
    """One category's net preference for the first arm, in [-1, 1]."""

    category: str
    prompts: int
    answers: int
    alone: float
    """From its own answers."""
    value: float
    """Drawn towards the mean of all categories (posterior mean)."""
    interval: Interval
    """95% of its posterior."""


@dataclass(frozen=True)
class Pooling:
    arm: str
    other: str
    categories: tuple[Pooled, ...]
    """The one that suits `arm` most first."""
    spread: float
    """Standard deviation between categories (posterior median)."""
    spread_interval: Interval


def pooling(answers: pd.DataFrame, arm: str, other: str) -> Pooling | None:
    """From the comparisons of two arms on one question; None where they have fewer than three categories.

    Args:
        answers: as for `preference`, with `category`.
    """
    rows = answers[answers["left"].isin([arm, other]) & answers["right"].isin([arm, other])]
    names = sorted(rows["category"].astype(str).unique())
    if len(names) < 3:
        return None
    each = {name: preference(rows[rows["category"] == name], arm, other, resamples=0) for name in names}
    effects, errors = _effects(rows, arm, other, each)
    weights, means, variances = _posterior(effects, errors)
    found = [
        Pooled(
            name or NO_CATEGORY,
            int(rows.loc[rows["category"] == name, "prompt"].nunique()),
            each[name].net.n,
            float(effects[i]),
            float(np.clip(weights @ means[:, i], -1, 1)),
            _interval(weights, means[:, i], variances[:, i]),
        )
        for i, name in enumerate(names)
    ]
    low, middle, high = (float(SPREADS[np.searchsorted(weights.cumsum(), q)]) for q in _TAILS)
    ordered = tuple(sorted(found, key=lambda one: -one.value))
    return Pooling(arm, other, ordered, middle, Interval(low, high))


_TAILS = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)


def _effects(rows: pd.DataFrame, arm: str, other: str, each: dict[str, Preference]) -> tuple[np.ndarray, np.ndarray]:
    """Net preference in each category `[k]`, and the covariance of their errors `[k, k]`.

    Variances are those of the intervals, which hold where a category is unanimous; shared raters correlate them.
    """
    outcome, who = outcomes(rows, arm, other)
    within = np.stack([(rows["category"] == name).to_numpy(float) for name in each], 1)
    effects = np.array([one.net.value for one in each.values()])
    influence = within * (outcome[:, None] - effects) / within.sum(0)
    covariances, _ = covariance(influence, who)
    own = np.sqrt(np.maximum(np.diag(covariances), 1e-12))
    errors = np.array([one.net.interval.width for one in each.values()]) / 2 / Z
    correlation = np.clip(covariances / np.outer(own, own), -1, 1)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)  # two-way sums need not be a covariance
    correlation = vectors * np.maximum(values, 1e-6) @ vectors.T
    scale = np.sqrt(np.diag(correlation))
    return effects, correlation / np.outer(scale, scale) * np.outer(errors, errors)


def _posterior(effects: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight of each spread `[s]`; given it, mean and variance of each category's effect, `[s, k]` each."""
    k, one = len(effects), np.ones(len(effects))
    logs, means, variances = [], [], []
    for spread in SPREADS:
        total = errors + spread**2 * np.eye(k)
        inverse = np.linalg.inv(total)
        sure = one @ inverse @ one
        mean = one @ inverse @ effects / sure
        rest = effects - mean
        logs.append(-0.5 * (np.linalg.slogdet(total)[1] + np.log(sure) + rest @ inverse @ rest))
        shrinkage = spread**2 * inverse  # how far the observed effect counts
        means.append(mean + shrinkage @ rest)
        toward = (np.eye(k) - shrinkage) @ one
        variances.append(spread**2 * np.diag(np.eye(k) - shrinkage) + toward**2 / sure)
    weights = np.exp(np.array(logs) - max(logs))
    return weights / weights.sum(), np.array(means), np.maximum(np.array(variances), 1e-12)


def _interval(weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> Interval:
    """The middle 95% of a mixture of normal distributions, within [-1, 1]."""
    below = weights @ ndtr((VALUES - means[:, None]) / np.sqrt(variances)[:, None])
    low, _, high = (float(VALUES[min(np.searchsorted(below, q), len(VALUES) - 1)]) for q in _TAILS)
    return Interval(low, high)
