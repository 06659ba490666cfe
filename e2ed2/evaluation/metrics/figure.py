"""What a metric gives: figures by their names, which say where in a result they stand (`distance.fd`)."""

from dataclasses import dataclass

from torch import Tensor

SURE = 1.96  # standard errors to either side are 95%


@dataclass(frozen=True)
class Figure:
    """A number, and its 95% interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


Figures = dict[str, Figure]


def rate(right: Tensor) -> Figure:
    """The share that is true, of `[N]`, with Wilson's interval."""
    from scipy.stats import binomtest  # a second to import, for which the pages need not wait

    count, of = int(right.sum()), len(right)
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return Figure(count / of, float(interval.low), float(interval.high))
