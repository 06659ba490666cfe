"""One training over another, paired by seed: the ratio, its 95% interval, and what that says of a claim."""

import math
from typing import Any, Literal

Ratio = tuple[float, float, float]  # the ratio and its 95% interval
Verdict = Literal["holds", "not", "open"]
WORDS: dict[Verdict, str] = {
    "holds": "the claim holds here",
    "not": "the claim does not hold here",
    "open": "inconclusive",
}
ANSWERS: dict[Verdict, str] = {"holds": "yes", "not": "no", "open": "inconclusive"}  # answers to a question of ours
DISTANCES = {"kid": "KID", "fd": "FD"}  # to drawings; KID is unbiased, and so comes first
DISTANCE_DIGITS = {"kid": 3, "fd": 1}


def paired(ours: dict[str, Any], theirs: dict[str, Any]) -> Ratio:
    """The ratio of two figures with a value for each seed."""
    return ratio_of([math.log(a / b) for a, b in zip(ours["values"], theirs["values"], strict=True)])


def ratio_of(logs: list[float]) -> Ratio:
    """Geometric mean of paired ratios from their logarithms, and its 95% interval (Student's t)."""
    from scipy.stats import ttest_1samp  # takes a second to import, which the pages need not wait for

    low, high = ttest_1samp(logs, 0).confidence_interval()
    return math.exp(sum(logs) / len(logs)), math.exp(low), math.exp(high)


def distances(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Ratio]:
    """How far ours are from drawings over how far theirs are, by each distance."""
    return {key: paired(ours[key], theirs[key]) for key in DISTANCES}


def judge_nearer(ratios: dict[str, Ratio]) -> Verdict:
    """The verdict on being nearer; open if the distances disagree."""
    verdicts = {judge_below(ratio) for ratio in ratios.values()}
    return verdicts.pop() if len(verdicts) == 1 else "open"


def judge_below(ratio: Ratio) -> Verdict:
    """The verdict on a ratio that the claim says is below 1."""
    _, low, high = ratio
    return "holds" if high < 1 else "not" if low > 1 else "open"


def judge_above(ratio: Ratio) -> Verdict:
    _, low, high = ratio
    return "holds" if low > 1 else "not" if high < 1 else "open"


def times(ratio: Ratio, digits: int) -> str:
    value, low, high = ratio
    return f"{value:.{digits}f} times ({low:.{digits}f} to {high:.{digits}f})"


def times_each(ratios: dict[str, Ratio], digits: int) -> str:
    return " and ".join(f"{times(ratio, digits)} the {DISTANCES[key]}" for key, ratio in ratios.items())


def mean_of(figure: dict[str, Any], digits: int) -> str:
    """The mean, with its 95% interval over seeds."""
    return f"{figure['mean']:.{digits}f} ± {figure['half_width']:.{digits}f}"
