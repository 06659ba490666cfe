"""Distances between a sample and its target, element by element."""

from torch import Tensor


def l1(sample: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, a scalar."""
    return (sample - target).abs().mean()


def l2(sample: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, a scalar."""
    return (sample - target).square().mean()


def edges(sample: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference between the image gradients (to the neighbour below and to the right), a scalar."""
    difference = sample - target
    return difference.diff(dim=-2).abs().mean() + difference.diff(dim=-1).abs().mean()
