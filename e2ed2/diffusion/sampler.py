"""Noise to sample in T steps: one function, for training through and for sampling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from e2ed2.diffusion.levels import check_levels
from e2ed2.diffusion.path import Path, step
from e2ed2.types import TextEmbedding, TrajectoryStep

StepEnd = Callable[[int, float, Tensor, Tensor], Tensor]  # (index, t, x after the step, x0) => the x to continue with


class Denoiser(Protocol):
    """`f(x_t, t, c)`: predicts the clean sample x_0, whatever its network predicts (`prediction.clean_of`)."""

    @property
    def path(self) -> Path: ...

    def condition(self, z: Tensor, text: TextEmbedding) -> Any:
        """What depends on the caption and the initial noise only; computed once, used in every step."""
        ...

    def __call__(self, x: Tensor, t: Tensor, text: TextEmbedding, conditioning: Any, step: int) -> Tensor: ...


@dataclass(frozen=True)
class Gradient:
    """How a gradient passes the chain, in training."""

    steps: int | None = None  # the last N alone; None: all
    detach_inputs: bool = False  # none through what the denoiser reads; a step is passed by at a constant velocity
    checkpointed: bool = False  # recompute each step in the backward pass instead of storing it


def sample(
    denoiser: Denoiser,
    z: Tensor,
    text: TextEmbedding,
    levels: Sequence[float],
    *,
    gradient: Gradient | None = None,
    callback: Callable[[TrajectoryStep], None] | None = None,
    on_step_end: StepEnd | None = None,
) -> Tensor:
    """The chain of E2ED2 (Fig. 1b): pure noise `z` `[B, C, h, w]` => sample x_0 of the same shape.

    Args:
        levels: T + 1 noise levels that fall from 1 to 0.
        gradient: build the graph through the chain; None builds none.
        callback: sees each step's noisy input and clean estimate.
        on_step_end: may replace what a step ends with.

    Raises:
        UserError: levels that do not fall from 1 to 0.
    """
    levels = check_levels(levels)
    steps = len(levels) - 1
    how = gradient or Gradient()
    first_with_grad = 0 if how.steps is None else steps - how.steps
    with torch.set_grad_enabled(gradient is not None):
        conditioning = denoiser.condition(z, text)
        x = z
        for i, (t, s) in enumerate(denoiser.path.jumps(levels)):
            read = x.detach() if how.detach_inputs else x
            arguments = (read, x.new_full((len(x),), t), text, conditioning, i)
            with torch.set_grad_enabled(gradient is not None and i >= first_with_grad):
                x0 = checkpoint(denoiser, *arguments, use_reentrant=False) if how.checkpointed else denoiser(*arguments)
                if how.detach_inputs:  # adds zeros, whose gradient is that of x
                    x0 = x0 + denoiser.path.carried(t) * (x - read)
                if callback is not None:
                    callback(TrajectoryStep(index=i, t=t, noisy=x.detach(), clean=x0.detach()))
                x = step(denoiser.path, x, x0, t, s)
            if on_step_end is not None:
                x = on_step_end(i, t, x, x0)
    return x
