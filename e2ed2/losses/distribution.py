"""Losses whose optimum is the distribution of the targets, not their mean."""

from itertools import combinations

import torch
from torch import Tensor

SHAPES = (0.2, 0.5, 1.0, 2.0, 5.0)  # alpha of the rational quadratic kernels (Binkowski et al. 2018)
TOLERANCE = 0.5  # length scale of the captions' kernel, in cosine distance


def energy_score(samples: Tensor, target: Tensor, beta: float = 1.0, repulsion: float = 1.0) -> Tensor:
    """Energy score (Gneiting and Raftery 2007) of `m` samples for each caption, averaged over captions.

    `mean_i |x_i - x|^b - 1 / (2 m (m - 1)) sum_{i != j} |x_i - x_j|^b`, with the Euclidean norm divided by
    the square root of the dimension. Strictly proper for 0 < b < 2: the only optimum is the true distribution.

    With `repulsion` r < 1 the second term counts r times. Where a target is known up to an error of standard deviation
    s, samples of the true score spread by s; with r = 0.5 by 0.38 s, while modes that are far apart stay separate.

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
    """The score, from distances of samples to their target and between samples of one caption (each pair once)."""
    return to_target.mean() - repulsion * between.mean() / 2


def pairs(count: int) -> tuple[list[int], list[int]]:
    """Every pair of `count` samples once: the indices of the first and of the second members."""
    if count < 2:
        raise ValueError(f"the energy score needs at least 2 samples a caption, not {count}")
    left, right = zip(*combinations(range(count), 2), strict=True)
    return list(left), list(right)


def mmd(samples: Tensor, targets: Tensor, captions: Tensor) -> Tensor:
    """Squared maximum mean discrepancy (Gretton et al. 2012) of pictures with their captions, unbiased, a scalar.

    The kernel of two pictures with captions is the product of a mixture of rational quadratic kernels of the pictures,
    `(1 + |x - y|^2 / (2 a s))^-a` with s the targets' mean squared distance, and `exp((cos - 1) / 0.5)` of the
    captions; so it is 0 in the mean only where pictures have the targets' distribution and fit their captions. Two
    pictures of one caption are no independent draws, and are left out of every mean.

    Args:
        samples: `[B, m, D]` features of m samples of each caption.
        targets: `[B, D]`, B >= 2.
        captions: `[B, P]` of unit length.

    Raises:
        ValueError: one caption alone.
    """
    count, each = samples.shape[:2]
    if count < 2:
        raise ValueError("MMD needs at least 2 captions")
    with torch.autocast(samples.device.type, enabled=False):  # a distance is a small difference of products
        flat, targets, captions = samples.flatten(0, 1).float(), targets.float(), captions.float()
        apart = 1 - torch.eye(count, device=flat.device)
        alike = torch.exp((captions @ captions.T - 1) / TOLERANCE) * apart  # [B, B]
        between = squared_distances(targets, targets)
        scale = ((between * apart).sum() / apart.sum()).detach().clamp(min=1e-12)

        def mean(squares: Tensor, rows: int, columns: int) -> Tensor:
            """The mean over pairs of different captions, each of which has `rows` x `columns` entries."""
            weights = alike.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
            return (quadratic(squares / scale) * weights).sum() / (apart.sum() * rows * columns)

        within = mean(squared_distances(flat, flat), each, each)
        return within + mean(between, 1, 1) - 2 * mean(squared_distances(flat, targets), each, 1)


def quadratic(squares: Tensor) -> Tensor:
    """The mean of the rational quadratic kernels of relative squared distances: 1 at 0, and decreasing."""
    return torch.stack([(1 + squares / (2 * shape)) ** -shape for shape in SHAPES]).mean(dim=0)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances `[N, M]` between rows `[N, D]` and `[M, D]`, at least 0."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None]
    return (squares - 2 * a @ b.T).clamp(min=0)


def _norm(difference: Tensor, scale: float, beta: float) -> Tensor:
    # The gradient of a norm is undefined at 0.
    return ((difference.square().sum(dim=-1) + 1e-8).sqrt() / scale) ** beta
