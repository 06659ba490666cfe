"""Three arms or more: Bradley-Terry with ties (Davidson 1970) and a side term.

With log strengths s and d = s_left - s_right + side:

    P(left) : P(tie) : P(right) = exp(d / 2) : exp(tie) : exp(-d / 2)

which is Davidson's eq. 2.4 with nu = exp(tie); the order effect of Davidson & Beaver (1977) is exp(-side).
Strengths sum to 0, so a difference of two is the log odds of being preferred among decided answers, sides balanced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components

from study.errors import StudyError
from study.stats.answers import LABELS, Clusters, clusters, weights
from study.stats.intervals import RESAMPLES, Estimate, covariance, holm, percentiles, pigeonhole, unbounded

PSEUDO = 0.5  # answers of each kind for each compared pair, where the likelihood has no maximum (Haldane 1956)
RIDGE = 1e-2  # keeps a resample finite in which an arm lost every answer: a normal prior of 10 log odds


@dataclass(frozen=True)
class Fit:
    """Maximum likelihood. Parameters in the order: strengths (k, sum 0), tie, side; log odds."""

    arms: tuple[str, ...]
    strengths: np.ndarray
    tie: float
    """log nu; -inf where nobody said "tie"."""
    side: float
    """For the left picture."""
    log_likelihood: float
    separated: bool
    """Some group of arms never lost (or tied) to the rest: the maximum is at infinity, and pseudo-answers hold it."""


@dataclass(frozen=True)
class Difference:
    arm: str
    other: str
    estimate: Estimate
    """s_arm - s_other, log odds."""
    p_holm: float
    """Two-sided, corrected for all pairs of arms (Holm 1979), and for the questions where there are several."""


@dataclass(frozen=True)
class Ranking:
    """Arms by strength, best first."""

    fit: Fit
    strengths: dict[str, Estimate]
    """Log odds against the average arm."""
    tie: Estimate | None
    """log nu; None where nobody said "tie"."""
    side: Estimate
    differences: tuple[Difference, ...]
    """Every pair of arms, the stronger one first."""


def fit(counts: np.ndarray, arms: tuple[str, ...]) -> Fit:
    """Davidson's model by maximum likelihood.

    Args:
        counts: `[k, k, 3]` answers: arm on the left, arm on the right, label (left, tie, right).

    Raises:
        StudyError: no decided answer, or arms that no chain of comparisons connects.
    """
    check_connected(counts, arms)
    separated = not _strongly_connected(counts)
    if separated:
        compared = counts.sum(2, keepdims=True) + counts.sum(2, keepdims=True).swapaxes(0, 1) > 0
        counts = counts + PSEUDO * compared * np.array([1, 0, 1])
    ties = counts[:, :, 1].sum() > 0
    design, table = _design(counts, ties)
    optimum = minimize(
        _objective,
        np.zeros(design.shape[2]),
        (design, table),
        jac=True,  # it returns both
        hess=_hessian,
        method="trust-exact",
        options={"gtol": 1e-9 * max(counts.sum(), 1.0), "maxiter": 500},
    )
    x = _newton(optimum.x, design, table[None], steps=3, ridge=0.0)[0]  # to the last digits
    strengths, tie, side = _unpack(x, len(arms), ties)
    return Fit(arms, strengths, tie, side, -_objective(x, design, table)[0], separated)


def check_connected(counts: np.ndarray, arms: tuple[str, ...]) -> None:
    """Raises StudyError where the arms fall into groups that were never compared with one another."""
    if not counts[:, :, [0, 2]].sum():
        raise StudyError("Every answer is a tie: strengths cannot be told apart.")
    groups, member = connected_components(counts.sum(2) > 0, directed=False)
    if groups > 1:
        named = (", ".join(arm for arm, i in zip(arms, member, strict=True) if i == g) for g in range(groups))
        raise StudyError(f"No comparison connects these groups of arms: {' | '.join(named)}. Rank each group alone.")


def _strongly_connected(counts: np.ndarray) -> bool:
    """Ford's condition (1957), a tie counting for both: only then is the maximum finite; the same for the side."""
    beaten = counts[:, :, 0] + counts[:, :, 1] + (counts[:, :, 1] + counts[:, :, 2]).T
    sides = counts.sum((0, 1))
    both_sides = (sides[0] > 0 or sides[1] > 0) and (sides[2] > 0 or sides[1] > 0)
    return both_sides and connected_components(beaten > 0, directed=True, connection="strong")[0] == 1


def _design(counts: np.ndarray, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Features of each label for each compared ordered pair, `[m, 3, parameters]`, and the counts, `[m, 3]`.

    The last arm's strength is minus the sum of the others.
    """
    k = len(counts)
    left, right = np.nonzero(counts.sum(2))
    contrast = np.vstack([np.eye(k - 1), -np.ones(k - 1)])
    difference = np.hstack([contrast[left] - contrast[right], np.ones((len(left), 1))]) / 2  # and the side
    features = np.zeros((len(left), 3, k + ties))
    features[:, 0, :k], features[:, 2, :k] = difference, -difference
    if ties:
        features[:, 1, k] = 1
    return features, counts[left, right]


def _unpack(x: np.ndarray, k: int, ties: bool) -> tuple[np.ndarray, float, float]:
    return np.append(x[: k - 1], -x[: k - 1].sum()), float(x[k]) if ties else -np.inf, float(x[k - 1])


def _probabilities(x: np.ndarray, design: np.ndarray) -> np.ndarray:
    """`[..., m, 3]`; without ties in the data the tie's column is 0."""
    logits = np.einsum("mlp,...p->...ml", design, x)
    if not design[:, 1].any():
        logits = np.where(np.array([False, True, False]), -np.inf, logits)
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def _objective(x: np.ndarray, design: np.ndarray, table: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log likelihood and its gradient."""
    chance = _probabilities(x, design)
    value = -float((table * np.log(np.where(table > 0, chance, 1))).sum())
    return value, -np.einsum("ml,mlp->p", table - table.sum(1, keepdims=True) * chance, design)


def _hessian(x: np.ndarray, design: np.ndarray, table: np.ndarray) -> np.ndarray:
    """`[..., p, p]` for tables `[..., m, 3]`: the expected information, which is the observed one for this family."""
    chance = _probabilities(x, design)
    mean = np.einsum("...ml,mlp->...mp", chance, design)
    weight = table.sum(-1)
    outer = np.einsum("...m,...ml,mlp,mlq->...pq", weight, chance, design, design, optimize=True)
    return outer - np.einsum("...m,...mp,...mq->...pq", weight, mean, mean, optimize=True)


def _newton(start: np.ndarray, design: np.ndarray, tables: np.ndarray, steps: int, ridge: float) -> np.ndarray:
    """Newton's method for many tables at once, `[b, m, 3] -> [b, parameters]`; a step is at most 1 log odd."""
    x = np.repeat(start[None], len(tables), 0)
    eye = np.eye(len(start))
    for _ in range(steps):
        residual = tables - tables.sum(-1, keepdims=True) * _probabilities(x, design)
        gradient = np.einsum("bml,mlp->bp", residual, design) - ridge * x
        step = np.linalg.solve(_hessian(x, design, tables) + (ridge + 1e-9) * eye, gradient[..., None])[..., 0]
        x = x + step / np.maximum(np.abs(step).max(1, keepdims=True), 1)
    return x


def ranking(answers: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> Ranking:
    """Arms ranked from the answers to one question.

    Args:
        answers: rows with `rater`, `prompt`, `left`, `right`, `answer`, `question`, and perhaps `propensity`.
        resamples: of the bootstrap that checks the intervals; 0 for none.

    Raises:
        StudyError: several questions, no answers, or arms that no chain of comparisons connects.
    """
    if answers["question"].nunique() != 1:
        raise StudyError("A ranking needs the answers to one question.")
    arms = tuple(sorted({*answers["left"], *answers["right"]}))
    cells, shape = _cells(answers, arms)
    weight = weights(answers)
    counts = np.bincount(cells, weight, minlength=int(np.prod(shape))).reshape(shape)
    model = fit(counts, arms)
    who = clusters(answers)
    transform = _transform(len(arms), np.isfinite(model.tie))
    influence = weight[:, None] * _influence(model, counts, cells) @ transform.T
    values = transform @ _pack(model)
    variance, df = covariance(influence, who)
    estimates = [unbounded(float(v), float(variance[i, i]), float(df[i]), len(answers)) for i, v in enumerate(values)]
    if resamples:
        samples = _bootstrap(model, counts, cells, weight, who, resamples, seed) @ transform.T
        estimates = [replace(e, bootstrap=percentiles(samples[:, i])) for i, e in enumerate(estimates)]
    return _named(model, estimates)


def _cells(answers: pd.DataFrame, arms: tuple[str, ...]) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Which of the k x k x 3 counts each answer is in, `[n]`."""
    left, right = (pd.Index(arms).get_indexer(answers[side]) for side in ("left", "right"))
    label = pd.Index(LABELS).get_indexer(answers["answer"])
    if (label < 0).any():
        raise StudyError("An answer is none of left, tie, right.")
    shape = (len(arms), len(arms), 3)
    return np.ravel_multi_index((left, right, label), shape), shape


def _pack(model: Fit) -> np.ndarray:
    x = np.append(model.strengths[:-1], model.side)
    return np.append(x, model.tie) if np.isfinite(model.tie) else x


def _transform(k: int, ties: bool) -> np.ndarray:
    """From free parameters to what is reported: k strengths, every difference, side, tie."""
    size = k + ties
    strengths = np.zeros((k, size))
    strengths[:, : k - 1] = np.vstack([np.eye(k - 1), -np.ones(k - 1)])
    differences = [strengths[a] - strengths[b] for a, b in combinations(range(k), 2)]
    return np.vstack([strengths, *differences, np.eye(size)[k - 1 :]])


def _influence(model: Fit, counts: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Influence of each answer on each free parameter: inverse information times score, `[n, parameters]`."""
    ties = bool(np.isfinite(model.tie))
    design, table = _design(counts, ties)
    x = _pack(model)
    chance = _probabilities(x, design)
    scores = np.zeros((*counts.shape, len(x)))
    left, right = np.nonzero(counts.sum(2))
    scores[left, right] = design - np.einsum("ml,mlp->mp", chance, design)[:, None]
    information = _hessian(x, design, table)
    return np.linalg.solve(information, scores.reshape(-1, len(x))[cells].T).T


def _bootstrap(
    model: Fit,
    counts: np.ndarray,
    cells: np.ndarray,
    weight: np.ndarray,
    who: Clusters,
    resamples: int,
    seed: int,
) -> np.ndarray:
    """Free parameters refitted to pigeonhole resamples, `[resamples, parameters]`."""
    kinds, code = np.unique(cells, return_inverse=True)
    weighted = np.zeros((len(cells), len(kinds)), np.float32)
    weighted[np.arange(len(cells)), code] = weight
    full = np.zeros((resamples, counts.size))
    full[:, kinds] = pigeonhole(who, resamples, seed) @ weighted
    design, _ = _design(counts, bool(np.isfinite(model.tie)))
    left, right = np.nonzero(counts.sum(2))
    tables = full.reshape(resamples, *counts.shape)[:, left, right]
    return _newton(_pack(model), design, tables, steps=8, ridge=RIDGE)


def _named(model: Fit, estimates: list[Estimate]) -> Ranking:
    k = len(model.arms)
    strengths = dict(zip(model.arms, estimates[:k], strict=True))
    pairs = list(combinations(range(k), 2))
    between = estimates[k : k + len(pairs)]
    corrected = holm([1.0 if np.isnan(e.p) else e.p for e in between])
    differences = []
    for (a, b), estimate, p in zip(pairs, between, corrected, strict=True):
        first, second, shown = (a, b, estimate) if estimate.value >= 0 else (b, a, mirrored(estimate))
        differences.append(Difference(model.arms[first], model.arms[second], shown, p))
    rest = estimates[k + len(pairs) :]
    order = sorted(strengths, key=lambda arm: -strengths[arm].value)
    differences.sort(key=lambda d: (order.index(d.arm), order.index(d.other)))
    return Ranking(
        model, {arm: strengths[arm] for arm in order}, rest[1] if len(rest) > 1 else None, rest[0], tuple(differences)
    )


def corrected_together(rankings: Mapping[str, Ranking]) -> dict[str, Ranking]:
    """The rankings of several questions, their p-values corrected for all of these differences at once."""
    ps = [d.estimate.p for ranking in rankings.values() for d in ranking.differences]
    corrected = iter(holm([1.0 if np.isnan(p) else p for p in ps]))
    return {
        key: replace(ranking, differences=tuple(replace(d, p_holm=next(corrected)) for d in ranking.differences))
        for key, ranking in rankings.items()
    }


def mirrored(estimate: Estimate) -> Estimate:
    """The same figure with the two arms exchanged."""
    bootstrap = estimate.bootstrap and estimate.bootstrap.mirrored()
    return replace(estimate, value=-estimate.value, interval=estimate.interval.mirrored(), bootstrap=bootstrap)
