"""Which two arms are compared: those whose answer is expected to say most about the order of the arms.

What is believed after the answers so far is Davidson's model (`study.stats.davidson`) with a normal prior, a normal
distribution around its most likely strengths. A pair's gain is the mutual information of its answer and of who is the
better of the two (Lindley 1956). A rater's pairs are drawn one after the other, each with the share `EXPLORED` of the
chance evenly among all pairs, and the rest in proportion to `gain ** FOCUS`; what a drawn pair is expected to teach is
taken as known for those after it. The probability of each pair drawn is kept: its propensity.
"""

import random
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from study.protocol.balanced import comparisons, rng_of
from study.protocol.parts import ANSWERS
from study.protocol.spec import StudySpec

EXPLORED = 0.2
FOCUS = 2.0
STEPS, CLOSE = 30, 1e-9  # of Newton's method: at most, and until they are as small
PRIOR_SD = 1.0  # log odds, of each strength, of the tie and of the side
DIGITS = 6  # of a propensity, so that every machine writes the same one
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(20)  # an even number: none is at 0, where nobody is better
WEIGHTS = WEIGHTS / WEIGHTS.sum()

PastAnswer = tuple[str, str, str]  # pair, hash of the left image, answer


def chosen(
    spec: StudySpec, units: Sequence[str], past: Iterable[PastAnswer], index: int, secret: str = ""
) -> dict[str, float]:
    """The pairs of one rater with their propensities: one for each of the units, none of them twice.

    Args:
        units: a prompt and copy for each comparison, as `slots` has them.
        past: all answers so far to the first question.
        index: the rater's place or number, which seeds the draw.
    """
    pairs = list(combinations(range(len(spec.arms)), 2))
    rng = rng_of(spec, secret, "adaptive", index)
    choices = draw(counts_of(spec, past), pairs, units, rng)
    return {f"{unit}:{spec.arms[a]}:{spec.arms[b]}": p for unit, (a, b), p in choices}


def counts_of(spec: StudySpec, past: Iterable[PastAnswer]) -> np.ndarray:
    """`[k, k, 3]`: answers by arm on the left, arm on the right, label."""
    counts, place = np.zeros((len(spec.arms),) * 2 + (3,)), {arm: i for i, arm in enumerate(spec.arms)}
    known = {pair.id: pair for pair in comparisons(spec)}
    for id, left, answer in past:
        pair = known[id]
        sides = (pair.first, pair.second) if pair.first.sha256 == left else (pair.second, pair.first)
        counts[place[sides[0].arm], place[sides[1].arm], ANSWERS.index(answer)] += 1
    return counts


def draw(
    counts: np.ndarray, pairs: Sequence[tuple[int, int]], units: Sequence[str], rng: random.Random
) -> list[tuple[str, tuple[int, int], float]]:
    """Unit, arms and propensity of each comparison.

    Args:
        counts: `[k, k, 3]`, as `counts_of` has them.
    """
    mean, information = believed(counts)
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    contrast = np.zeros((len(pairs), len(mean)))
    contrast[range(len(pairs)), first], contrast[range(len(pairs)), second] = 1, -1
    gap, free, choices = contrast @ mean, {unit: np.ones(len(pairs), bool) for unit in units}, []
    information_of = _expected_information(gap, mean[-2])
    for unit in units:
        spread = np.einsum("pi,ij,pj->p", contrast, np.linalg.inv(information), contrast)
        chance = _chances(gains(gap, np.sqrt(spread), mean[-2]), free[unit])
        one = rng.choices(range(len(pairs)), chance.tolist())[0]
        free[unit][one] = False
        information += information_of[one] * np.outer(contrast[one], contrast[one])
        choices.append((unit, pairs[one], round(float(chance[one]), DIGITS)))
    return choices


def _chances(gain: np.ndarray, free: np.ndarray) -> np.ndarray:
    sharp = np.where(free, (gain / gain[free].max()) ** FOCUS, 0)
    return EXPLORED * free / free.sum() + (1 - EXPLORED) * sharp / sharp.sum()


def gains(gap: np.ndarray, spread: np.ndarray, tie: float) -> np.ndarray:
    """Mutual information (nats) of an answer and of who is better, `[n]`, of pairs whose gap is normal.

    Args:
        gap, spread: mean and standard deviation of the difference of two strengths, `[n]`.
        tie: log odds, as `World.tie`.
    """
    values = gap[:, None] + spread[:, None] * NODES
    answers = _answers(values, tie)
    ahead = np.stack([values > 0, values <= 0], 1) * WEIGHTS  # [n, 2, nodes]
    joint = np.einsum("nsq,nqa->nsa", ahead, answers)
    apart = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    ratio = np.divide(joint, apart, out=np.ones_like(joint), where=joint > 0)
    return (joint * np.log(ratio)).sum((1, 2)).clip(1e-12)


def _answers(gap: np.ndarray, tie: float) -> np.ndarray:
    """Chances of left, tie, right, `[..., 3]`."""
    odds = np.exp(np.stack([gap / 2, np.full_like(gap, tie), -gap / 2], -1))
    return odds / odds.sum(-1, keepdims=True)


def _expected_information(gap: np.ndarray, tie: float) -> np.ndarray:
    """How much one answer is expected to tell about the gap, `[n]`."""
    left, _, right = np.moveaxis(_answers(gap, tie), -1, 0)
    return (left + right - (left - right) ** 2) / 4


def believed(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mode and information of the strengths, the tie and the side: `[k + 2]`, `[k + 2, k + 2]`."""
    k = len(counts)
    features = np.zeros((k, k, 3, k + 2))
    features[..., 0, :k] = (np.eye(k)[:, None] - np.eye(k)) / 2
    features[..., 0, k + 1], features[..., 1, k] = 0.5, 1
    features[..., 2, :] = -features[..., 0, :]
    table, features = counts.reshape(-1, 3), features.reshape(-1, 3, k + 2)
    compared = table.sum(1) > 0
    table, features = table[compared], features[compared]
    mode, prior, total = np.zeros(k + 2), np.eye(k + 2) / PRIOR_SD**2, table.sum(1, keepdims=True)
    for _ in range(STEPS):
        odds = np.exp(features @ mode)
        chance = odds / odds.sum(1, keepdims=True)
        mean = (chance[..., None] * features).sum(1)
        apart = (features - mean[:, None]).reshape(-1, k + 2)
        information = apart.T @ (apart * (total * chance).reshape(-1, 1)) + prior
        slope = ((table - total * chance)[..., None] * features).sum((0, 1)) - prior @ mode
        move = np.linalg.solve(information, slope)
        mode = mode + move / max(1.0, float(np.abs(move).max()))
        if np.abs(move).max() < CLOSE:
            break
    return mode, information
