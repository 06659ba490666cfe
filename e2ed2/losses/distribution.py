"""Losses whose optimum is the distribution of the targets, not their mean."""

from itertools import combinations

from torch import Tensor


def energy_score(samples: Tensor, target: Tensor, beta: float = 1.0, repulsion: float = 1.0) -> Tensor:
    """Energy score (Gneiting and Raftery 2007) of `m` samples for each caption, averaged over captions.

    `mean_i |x_i - x|^b - 1 / (2 m (m - 1)) sum_{i != j} |x_i - x_j|^b`, with the Euclidean norm divided by
    the square root of the dimension. Strictly proper for 0 < b < 2: the only optimum is the true distribution.

    With `repulsion` r < 1 the second term counts r times. Where a target is known up to an error of standard deviation
    s, samples of the true score spread as far as s; with r = 0.5 by 0.38 s, while far apart modes are still told apart.

    Args:
        samples: `[B, m, ...]`, m >= 2.
        target: `[B, ...]`.
    """
    flat, target = samples.flatten(2), target.flatten(1)
    scale = flat.shape[-1] ** 0.5
    left, right = pairs(samples.shape[1])
    between = _norm(flat[:, left] - flat[:, right], scale, beta)
    return energy(_norm(flat - target[:, None], scale, beta), between, repulsion)


def energy(to_target: Tensor, between: Tensor, repulsion: float = 1.0) -> Tensor:
    """The score from distances: of samples to their target, and between samples of one caption (each pair once)."""
    return to_target.mean() - repulsion * between.mean() / 2


def pairs(count: int) -> tuple[list[int], list[int]]:
    """Every pair of `count` samples once: the first ones' indices and the second ones'."""
    if count < 2:
        raise ValueError(f"the energy score needs at least 2 samples a caption, not {count}")
    left, right = zip(*combinations(range(count), 2), strict=True)
    return list(left), list(right)


def _norm(difference: Tensor, scale: float, beta: float) -> Tensor:
    # The gradient of a norm is undefined at 0.
    return ((difference.square().sum(dim=-1) + 1e-8).sqrt() / scale) ** beta
