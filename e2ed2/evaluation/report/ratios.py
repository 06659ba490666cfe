"""One training over another, paired by seed: the ratio, its 95% interval, and what that says of a claim."""

import math
from typing import Any, Literal

Ratio = tuple[float, float, float]  # and its 95% interval
Verdict = Literal["holds", "not", "open"]
WORDS: dict[Verdict, str] = {
    "holds": "the claim holds here",
    "not": "the claim does not hold here",
    "open": "inconclusive",
}


def paired(ours: dict[str, Any], theirs: dict[str, Any]) -> Ratio:
    """Of two figures with a value for each seed."""
    return ratio_of([math.log(a / b) for a, b in zip(ours["values"], theirs["values"], strict=True)])


def ratio_of(logs: list[float]) -> Ratio:
    """Geometric mean of paired ratios from their logarithms, and its 95% interval (Student's t)."""
    from scipy.stats import ttest_1samp  # a second to import, for which the pages need not wait

    low, high = ttest_1samp(logs, 0).confidence_interval()
    return math.exp(sum(logs) / len(logs)), math.exp(low), math.exp(high)


def judge_below(ratio: Ratio) -> Verdict:
    """Of a ratio that the claim says is below 1."""
    _, low, high = ratio
    return "holds" if high < 1 else "not" if low > 1 else "open"


def judge_above(ratio: Ratio) -> Verdict:
    _, low, high = ratio
    return "holds" if low > 1 else "not" if high < 1 else "open"


def times(ratio: Ratio, digits: int) -> str:
    value, low, high = ratio
    return f"{value:.{digits}f} times ({low:.{digits}f} to {high:.{digits}f})"


def mean_of(figure: dict[str, Any], digits: int) -> str:
    """With its 95% interval over seeds."""
    return f"{figure['mean']:.{digits}f} ± {figure['half_width']:.{digits}f}"
