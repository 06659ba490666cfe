"""What a training costs, counted and not timed."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from e2ed2.objectives.objective import Batches, Objective
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.adversary import judge, learning


def update_flops(objective: Objective, batches: Batches, updates: int = 8) -> float:
    """Floating-point operations of one update, backward pass and adversary included.

    A mean over `updates`, since the number of steps T may be drawn at each. Gradients are dropped again.
    """
    with flop_counter() as counter:
        for update in range(updates):
            seeds = UpdateSeeds(0, update, device=next(objective.parameters()).device)
            batch = batches(update, 0, 1)
            if objective.caches_gradient:
                objective.samples(batch, seeds)  # sampled twice
            outcome = objective(batch, seeds)
            outcome.total().backward()
            if objective.adversary is not None and outcome.judged is not None:
                with learning(objective.adversary):
                    judge(objective.adversary, outcome.judged, seeds).backward()
    objective.zero_grad()
    return counter.get_total_flops() / updates


def flop_counter() -> FlopCounterMode:
    """torch's own, but for the gradient of a convolution's weights, which it counts as if there were no groups."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: convolution_backward})


def convolution_backward(
    grad_out: Sequence[int],
    x: Sequence[int],
    weights: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    wanted: Sequence[bool],
    out_shape: Any = None,
) -> int:
    """FLOPs, from shapes: the gradients of the input and of the weights each cost what the convolution does."""
    places = prod((x if transposed else grad_out)[2:])
    return (wanted[0] + wanted[1]) * 2 * x[0] * places * prod(weights)
