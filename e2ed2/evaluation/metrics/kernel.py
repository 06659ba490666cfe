"""Kernel distance between two sets of features (Binkowski et al. 2018): unlike FD, not larger for fewer pictures."""

from torch import Tensor, float64

from e2ed2.evaluation.metrics.figure import SURE, Figure

KID = "unbiased, all pairs, kernel (x·y / D + 1)^3; interval: jackknife over captions"


def kernel_distance(ours: Tensor, real: Tensor) -> Figure:
    """The squared maximum mean discrepancy, of features `[N, D]` and `[M, D]`, of numbers about 1.

    Each picture's pairs are summed apart, so that leaving it out, for the jackknife, costs nothing.
    """
    n, m = len(ours), len(real)
    within, among = _sums(ours), _sums(real).sum() / (m * (m - 1))
    across = _kernel(ours, real).mean(dim=1, dtype=float64)
    value = within.sum() / (n * (n - 1)) + among - 2 * across.mean()
    without = (within.sum() - 2 * within) / ((n - 1) * (n - 2)) + among - 2 * (across.sum() - across) / (n - 1)
    spread = ((n - 1) / n * (without - without.mean()).square().sum()).sqrt()
    return Figure(value.item(), (value - SURE * spread).item(), (value + SURE * spread).item())


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _sums(features: Tensor) -> Tensor:
    """The sum of each row's kernel with all others, `[N]`."""
    return _kernel(features, features).fill_diagonal_(0).sum(dim=1, dtype=float64)
