"""Intervals for figures of a population of raters *and* of prompts.

A rater answers many times and a prompt is answered by many raters, so answers are not independent. Every figure here
is an estimate with an *influence*: how much each answer moves it (`estimate - truth ~ sum(influence)`). From that:

- `covariance`: the two-way cluster sandwich, V = V_raters + V_prompts - V_cells (Cameron, Gelbach & Miller 2011,
  eq. 2.11), each part with G/(G-1), its diagonal never below V_raters or V_prompts alone.
- `bounded`: Wilson's interval with an effective sample size, n = p(1-p)/V, for figures between two limits (Dean &
  Pagano 2015, "modified Wilson"); it never leaves the limits, and stays honest where everybody agrees and V is 0.
- `unbounded`: estimate +- t V^0.5, for log strengths.
- `pigeonhole`: the crossed bootstrap (Owen 2007), weights = (times the rater was drawn) x (times the prompt was).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import betaincinv, stdtr, stdtrit

from study.stats.answers import Clusters

ALPHA = 0.05  # a difference is clear where its corrected p-value is below
LEVEL = 1 - ALPHA
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)

    @property
    def width(self) -> float:
        return self.high - self.low

    def mirrored(self) -> "Interval":
        return Interval(-self.high, -self.low)


@dataclass(frozen=True)
class Estimate:
    """A figure, and how sure it is."""

    value: float
    interval: Interval
    """95%, two-way clustered."""
    error: float
    """Standard error, in the figure's own unit."""
    df: float
    """Degrees of freedom of its t."""
    p: float
    """Two-sided p-value of "no difference", `nan` where the figure has no such value."""
    n: int
    """Answers behind it."""
    bootstrap: Interval | None = None
    """95%, percentiles of the pigeonhole bootstrap, where it was asked for: a check, on the wide side."""

    def mirrored(self) -> "Estimate":
        """The same figure with its sign turned."""
        bootstrap = self.bootstrap and self.bootstrap.mirrored()
        return replace(self, value=-self.value, interval=self.interval.mirrored(), bootstrap=bootstrap)


def covariance(influence: np.ndarray, clusters: Clusters) -> tuple[np.ndarray, np.ndarray]:
    """Two-way clustered covariance of k figures, and degrees of freedom of each.

    Args:
        influence: `[n, k]`, of each answer on each figure.
        clusters: of the n answers.

    Returns:
        `[k, k]` and `[k]`.
    """
    ways = [(code, count) for code, count in _ways(clusters) if count > 1]
    parts = [_one_way(influence, code, count) for code, count in ways]
    if len(parts) < 2:  # one rater or one prompt: the figure is about that one only
        part = parts[0] if parts else _one_way(influence, np.arange(len(influence)), len(influence))
        df = ways[0][1] - 1 if ways else max(len(influence) - 1, 1)
        return part, np.full(influence.shape[1], float(df))
    cells = _one_way(influence, clusters.cell, int(clusters.cell.max()) + 1)
    diagonals = [np.diag(part) for part in parts]
    total = _raise_diagonal(parts[0] + parts[1] - cells, np.maximum(*diagonals))
    return total, _satterthwaite(np.diag(total), diagonals, [count for _, count in ways])


def _ways(clusters: Clusters) -> list[tuple[np.ndarray, int]]:
    return [(clusters.rater, clusters.raters), (clusters.prompt, clusters.prompts)]


def _one_way(influence: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    sums = np.stack([np.bincount(code, column, count) for column in influence.T], 1)
    return sums.T @ sums * (count / max(count - 1, 1))


def _raise_diagonal(total: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """The covariance scaled so that no variance is below its floor; correlations stay within [-1, 1]."""
    diagonal = np.diag(total)
    wanted = np.maximum(diagonal, floor)
    if (diagonal > 0).all():
        scale = np.sqrt(wanted / diagonal)
        return total * np.outer(scale, scale)
    return total - np.diag(diagonal) + np.diag(wanted)


def _satterthwaite(total: np.ndarray, parts: list[np.ndarray], counts: list[int]) -> np.ndarray:
    """Degrees of freedom V^2 / sum(V_i^2 / (G_i - 1)) (Satterthwaite 1946), at least the smallest G_i - 1.

    The cells are left out of the sum: there are many of them.
    """
    pieces = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    degrees = np.divide(total**2, pieces, out=np.zeros_like(total), where=pieces > 0)
    return np.maximum(degrees, min(counts) - 1)


def unbounded(value: float, variance: float, df: float, n: int, null: float = 0.0) -> Estimate:
    """A figure without limits, such as a difference of log strengths."""
    error = float(np.sqrt(max(variance, 0.0)))
    half = float(stdtrit(df, 0.5 + LEVEL / 2)) * error
    p = float(2 * stdtr(df, -abs(value - null) / error)) if error > 0 else float("nan")
    return Estimate(value, Interval(value - half, value + half), error, df, p, n)


def bounded(
    value: float,
    variance: float,
    df: float,
    clusters: Clusters,
    low: float = 0.0,
    high: float = 1.0,
    null: float | None = None,
) -> Estimate:
    """A mean of one value or more between `low` and `high`, such as a win rate (0, 1) or a net preference (-1, 1).

    Where all answers are alike their variance says nothing. Without a null, the effective sample is then the number of
    raters or of prompts, whichever is smaller. With a null, which is the middle, no result is surer than if each rater
    (or prompt, where they are fewer) were one vote, and all agreed (Clopper & Pearson 1934; sign test): a few raters
    say little of all others, however alike their answers. So one more agreeing answer never makes a result less sure.
    """
    n, width = len(clusters.rater), high - low
    p, v = min(max((value - low) / width, 0.0), 1.0), variance / width**2
    spread = p * (1 - p)
    alike = float(n if null is not None else clusters.smaller)
    size = spread / v if v > 1e-12 and spread > 1e-12 else alike
    t2 = float(stdtrit(df, 0.5 + LEVEL / 2)) ** 2
    centre = (p + t2 / (2 * size)) / (1 + t2 / size)
    half = np.sqrt(t2 * spread / size + t2**2 / (4 * size**2)) / (1 + t2 / size)
    interval = Interval(low + width * max(centre - half, 0.0), low + width * min(centre + half, 1.0))
    probability = float("nan")
    if null is not None:
        surest = ((1 - LEVEL) / 2) ** (1 / clusters.smaller)
        interval = Interval(min(interval.low, low + width * surest), max(interval.high, high - width * surest))
        q = (null - low) / width
        probability = float(2 * stdtr(df, -abs(p - q) / np.sqrt(q * (1 - q) / size)))
        probability = max(probability, 0.5 ** (clusters.smaller - 1))
    return Estimate(value, interval, float(np.sqrt(max(variance, 0.0))), float(df), probability, n)


def exact(hits: int, n: int, level: float = LEVEL) -> Interval:
    """Interval of a chance, from independent tries (Clopper & Pearson 1934); all of [0, 1] without any."""
    tail = (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Interval(low, high)


def pigeonhole(clusters: Clusters, resamples: int, seed: int) -> np.ndarray:
    """Weights of the crossed bootstrap, `[resamples, n]` integers (as float32)."""
    rng = np.random.default_rng(seed)
    rater, prompt = (
        rng.multinomial(count, np.full(count, 1 / count), resamples).astype(np.float32) for _, count in _ways(clusters)
    )
    return rater[:, clusters.rater] * prompt[:, clusters.prompt]


def percentiles(samples: np.ndarray) -> Interval:
    """The middle 95% of bootstrap estimates, `nan` left out."""
    low, high = np.nanpercentile(samples, [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return Interval(float(low), float(high))


def holm(ps: Sequence[float]) -> list[float]:
    """p-values, `nan` among them, corrected by Holm's method (1979); one that is `nan` stays so and counts for nothing.

    As `statsmodels.stats.multitest.multipletests` does, but for its garbage collection at every call: that takes a
    tenth of a second and more, and a simulation calls this thousands of times.
    """
    values = np.array(ps, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known])]
    values[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1)
    return values.tolist()
