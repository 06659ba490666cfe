"""What a metric returns: figures by name; the name gives the place in a result (`distance.fd`)."""

from dataclasses import dataclass

from torch import Tensor

SURE = 1.96  # standard errors to either side are 95%


@dataclass(frozen=True)
class Figure:
    """A number, with a 95% interval if there is one."""

    value: float
    low: float | None = None
    high: float | None = None


Figures = dict[str, Figure]


def rate(right: Tensor) -> Figure:
    """The share of true values among `[N]`, with Wilson's interval."""
    from scipy.stats import binomtest  # takes a second to import, which the pages need not wait for

    count, of = int(right.sum()), len(right)
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return Figure(count / of, float(interval.low), float(interval.high))
