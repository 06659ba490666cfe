"""How far the answers can be trusted: between raters, within a rater, between the sides, between the questions."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.stats.answers import Clusters, clusters, codes
from study.stats.intervals import Estimate, Interval, bounded, covariance, unbounded


@dataclass(frozen=True)
class Agreement:
    """Between raters, on one question."""

    alpha: Estimate
    """Krippendorff's alpha, nominal: 1 is full agreement, 0 is chance, below 0 is worse."""
    observed: float
    """Chance in [0, 1] that two raters of a pair gave the same answer."""
    pairs: int
    """Pairs with two raters at least."""


@dataclass(frozen=True)
class Consistency:
    """How raters agree with their own earlier answer when a pair comes back with its sides exchanged."""

    same: Estimate
    """Share of the same answer, in [0, 1]."""
    same_side: int
    """Answers that named the same side twice, and so the other picture."""
    chance: float
    """Share that raters would reach who answer independently with these frequencies."""


@dataclass(frozen=True)
class SideBias:
    left: Estimate
    """Share of "left" among decided comparisons, in [0, 1]; its p-value is that of "no bias"."""
    identical_ties: Estimate
    """Share of ties where both pictures were the same, in [0, 1]."""


@dataclass(frozen=True)
class Checks:
    """Pairs that say more of the raters than of the arms. Shares in [0, 1]."""

    gold: Estimate
    """Right answers to gold pairs."""
    same_arm_ties: Estimate
    """Ties between two pictures of one arm."""


@dataclass(frozen=True)
class Halo:
    """How much the answers of one rater to the questions on one pair agree beyond chance, in one mode."""

    alpha: Estimate
    """Krippendorff's alpha with the questions as the coders."""
    all_same: Estimate
    """Share of pairs with the same answer to all questions, in [0, 1]."""


def side_free(answers: pd.DataFrame) -> np.ndarray:
    """+1 where the arm (or, within an arm, the file) whose name sorts first was preferred, 0 tie, -1, `[n]`."""
    side = np.select([answers["answer"] == "left", answers["answer"] == "right"], [1, -1], 0)
    left = answers["left"].astype(str) + "\0" + answers["image_left"].astype(str)
    right = answers["right"].astype(str) + "\0" + answers["image_right"].astype(str)
    return np.where(left <= right, side, -side)


def agreement(answers: pd.DataFrame) -> Agreement:
    """Between raters, from the comparisons on one question."""
    unit = pd.factorize(answers["pair"])[0]
    value, influence, observed = krippendorff(unit, side_free(answers))
    return Agreement(_alpha_estimate(value, influence, clusters(answers)), observed, int((np.bincount(unit) > 1).sum()))


def krippendorff(unit: np.ndarray, label: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Krippendorff's alpha for nominal labels (Krippendorff 2011, section C).

    Args:
        unit: code of what was judged, `[n]`; units with one judgement do not count.
        label: `[n]`.

    Returns:
        alpha (`nan` where nobody disagrees or could), the influence of each judgement `[n]`, observed agreement.
    """
    names, label = np.unique(label, return_inverse=True)
    counts = np.zeros((int(unit.max(initial=-1)) + 1, len(names)))
    np.add.at(counts, (unit, label), 1)
    size = counts.sum(1)
    counts, size = counts[size > 1], np.where(size > 1, size, 0)
    m = counts.sum(1)
    n, totals = m.sum(), counts.sum(0)
    influence = np.zeros(len(unit))
    expected = n * n - (totals**2).sum()
    if expected == 0:
        return float("nan"), influence, float("nan")
    agreeing = ((counts**2).sum(1) - m) / (m - 1)
    value = 1 - (n - 1) * (n - agreeing.sum()) / expected
    used = size[unit] > 1
    u, c = (np.cumsum(size > 1) - 1)[unit[used]], label[used]
    influence[used] = _slope(counts, m, agreeing, u, c)
    return float(value), influence, float(agreeing.sum() / n)


def _slope(counts: np.ndarray, m: np.ndarray, agreeing: np.ndarray, u: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Derivative of alpha by the weight of a judgement with label c in unit u, judgements weighted and none paired
    with itself: the coincidences of a unit are (s s' - diag(sum w^2)) m / (m^2 - sum w^2)."""
    n, totals = m.sum(), counts.sum(0)
    d_agreeing = (2 * counts[u, c] - 2) / (m[u] - 1) - agreeing[u] / m[u]
    share = counts / (m * (m - 1))[:, None]
    d_squares = 2 * (totals[c] * (m[u] - 2) / (m[u] - 1) + (share @ totals)[u])
    disagreeing, expected = n - agreeing.sum(), n * n - (totals**2).sum()
    top, d_top = (n - 1) * disagreeing, disagreeing + (n - 1) * (1 - d_agreeing)
    slope = -d_top / expected + top * (2 * n - d_squares) / expected**2
    return slope - slope.mean()


def _alpha_estimate(value: float, influence: np.ndarray, who: Clusters) -> Estimate:
    if np.isnan(value):
        return Estimate(value, Interval(-1, 1), float("nan"), float("nan"), float("nan"), len(influence))
    variance, df = covariance(influence[:, None], who)
    estimate = unbounded(value, float(variance[0, 0]), float(df[0]), len(influence))
    return replace(estimate, interval=Interval(max(estimate.interval.low, -1), min(estimate.interval.high, 1)))


def consistency(answers: pd.DataFrame) -> Consistency:
    """From all answers to one question: repeats against the first showing."""
    first = answers.assign(first=side_free(answers)).set_index("assignment")["first"]
    again = answers[(answers["kind"] == "repeat") & answers["repeat_of"].isin(first.index)]
    before, after = first.loc[again["repeat_of"]].to_numpy(), side_free(again)
    chance = sum(float((before == label).mean() * (after == label).mean()) for label in (-1, 0, 1)) if len(again) else 0
    return Consistency(share(before == after, again), int((before * after == -1).sum()), float(chance))


def side_bias(answers: pd.DataFrame) -> SideBias:
    """From all answers to one question, or to several."""
    decided = answers[(answers["kind"] == "comparison") & (answers["answer"] != "tie")]
    same = answers[answers["kind"] == "identical"]
    return SideBias(share(decided["answer"] == "left", decided, null=0.5), share(same["answer"] == "tie", same))


def checks(answers: pd.DataFrame) -> Checks:
    """From all answers to one question."""
    gold, same = answers[answers["gold"].fillna("") != ""], answers[answers["kind"] == "same_arm"]
    return Checks(share(gold["answer"] == gold["gold"], gold), share(same["answer"] == "tie", same))


def halo(answers: pd.DataFrame) -> dict[str, Halo]:
    """By mode, from all comparisons on several questions; empty where there is one question only."""
    judged = answers[answers["kind"] == "comparison"]
    if judged["question"].nunique() < 2:
        return {}
    return {str(mode): _halo(rows) for mode, rows in judged.groupby("mode", sort=True)}


def _halo(rows: pd.DataFrame) -> Halo:
    value, influence, _ = _between_questions(rows)
    shown = rows.groupby(["rater", "pair", "prompt"], sort=False)["answer"]
    same = (shown.nunique() == 1)[shown.size() > 1].reset_index()
    return Halo(_alpha_estimate(value, influence, clusters(rows)), share(same["answer"], same))


def halo_of_one_screen(answers: pd.DataFrame) -> Estimate | None:
    """Alpha between questions, joint minus separate; None where only one mode was used.

    Pictures that are better in every way make the answers agree in both modes; the difference is the screen's doing.
    """
    judged = answers[answers["kind"] == "comparison"]
    modes = [judged[judged["mode"] == mode] for mode in ("joint", "separate")]
    if judged["question"].nunique() < 2 or any(rows.empty for rows in modes):
        return None
    (joint, a, _), (separate, b, _) = (_between_questions(rows) for rows in modes)
    if np.isnan(joint - separate):
        return None
    both = pd.concat(modes)
    variance, df = covariance(np.concatenate([a, -b])[:, None], codes(both["rater"], both["prompt"]))
    return unbounded(joint - separate, float(variance[0, 0]), float(df[0]), len(both))


def _between_questions(rows: pd.DataFrame) -> tuple[float, np.ndarray, float]:
    unit = pd.factorize(rows["rater"].astype(str) + "\0" + rows["pair"].astype(str))[0]
    return krippendorff(unit, side_free(rows))


def share(hit: pd.Series | np.ndarray, rows: pd.DataFrame, null: float | None = None) -> Estimate:
    """The share of true values, clustered by the rows' raters and prompts."""
    hit, who = np.asarray(hit, float), clusters(rows)
    if not len(hit):
        return Estimate(float("nan"), Interval(0, 1), float("nan"), float("nan"), float("nan"), 0)
    value = float(hit.mean())
    variance, df = covariance(((hit - value) / len(hit))[:, None], who)
    return bounded(value, float(variance[0, 0]), float(df[0]), who, null=null)
