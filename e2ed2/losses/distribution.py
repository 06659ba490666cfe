"""Losses whose optimum is the distribution of the targets, not their mean."""

from torch import Tensor


def energy_score(samples: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """Energy score (Gneiting and Raftery 2007) of `m` samples for each caption, averaged over captions.

    `mean_i |x_i - x|^b - 1 / (2 m (m - 1)) sum_{i != j} |x_i - x_j|^b`, with the Euclidean norm divided by
    the square root of the dimension. Strictly proper for 0 < b < 2: the only optimum is the true distribution.

    Args:
        samples: `[B, m, ...]`, m >= 2.
        target: `[B, ...]`.
    """
    count = samples.shape[1]
    if count < 2:
        raise ValueError(f"the energy score needs at least 2 samples a caption, not {count}")
    flat, target = samples.flatten(2), target.flatten(1)
    scale = flat.shape[-1] ** 0.5
    accuracy = _norm(flat - target[:, None], scale, beta).mean()
    pairs = _norm(flat[:, :, None] - flat[:, None, :], scale, beta)
    spread = pairs.sum(dim=(1, 2)).mean() / (2 * count * (count - 1))
    return accuracy - spread


def _norm(difference: Tensor, scale: float, beta: float) -> Tensor:
    # The gradient of a norm is undefined at 0, where each sample meets itself.
    return ((difference.square().sum(dim=-1) + 1e-8).sqrt() / scale) ** beta
