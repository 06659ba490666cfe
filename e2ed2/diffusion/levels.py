"""Noise levels of the flow path `x_t = (1 - t) x_0 + t z`, t in [0, 1]."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from e2ed2.errors import UserError


def uniform_levels(steps: int) -> tuple[float, ...]:
    """`steps + 1` levels from pure noise to the sample: 1 = t_T > ... > t_0 = 0.

    Raises:
        UserError: fewer than one step.
    """
    if steps < 1:
        raise UserError(f"{steps} steps make no sample: choose at least 1.")
    return (*(1 - i / steps for i in range(steps)), 0.0)


def check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """The levels, if they fall strictly from 1 to 0.

    Raises:
        UserError: they do not.
    """
    falling = all(t > s for t, s in pairwise(levels))
    if len(levels) < 2 or levels[0] != 1 or levels[-1] != 0 or not falling:
        raise UserError(f"Noise levels must fall from 1 to 0, for example 1,0.6,0.3,0; these are {list(levels)}.")
    return tuple(float(level) for level in levels)


def add_noise(x0: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """`x_t` of the flow path at level `t` `[B]` of samples `x0` and noise `z`, both `[B, ...]`."""
    t = t.view(-1, *[1] * (x0.dim() - 1))
    return (1 - t) * x0 + t * z
