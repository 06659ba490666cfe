"""The cost of a training, counted rather than timed."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from e2ed2.objectives.objective import Batches, Objective
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.adversary import judge, learning


def update_flops(objective: Any, batches: Batches, updates: int = 8) -> float:
    """Floating-point operations of one update, backward pass and adversary included. Gradients are discarded.

    For a chain, each possible number of steps is counted once; for other objectives it is a mean over `updates`.
    A teacher's steps all cost the same, so only two of them are made.
    """
    config = objective.config
    cases = config.draws() or [config] * updates
    taught = config.folded_guidance() > 0
    work = [counted(objective, batches, at, _taught(case, 1) if taught else case) for at, case in enumerate(cases)]
    mean = sum(work) / len(work)
    if not taught:
        return mean
    step = counted(objective, batches, 0, _taught(cases[0], 2)) - work[0]
    return mean + (config.teacher_steps - 1) * step


def _taught(config: Any, steps: int) -> Any:
    return replace(config, teacher_steps=steps)


def counted(objective: Any, batches: Batches, update: int, config: Any) -> float:
    """The FLOPs of the update with this config."""
    seeds = UpdateSeeds(0, update, device=next(objective.parameters()).device)
    batch = batches(update, 0, 1)
    with with_config(objective, config), flop_counter() as counter:
        differentiate(objective, batch, seeds)
    objective.zero_grad()
    return counter.get_total_flops()


@contextmanager
def with_config(objective: Any, config: Any) -> Generator[None]:
    """Temporarily give the objective another config."""
    before, objective.config = objective.config, config
    try:
        yield
    finally:
        objective.config = before


def differentiate(objective: Objective, batch: Any, seeds: UpdateSeeds) -> None:
    """Accumulate the gradients of an update, including an adversary's."""
    if objective.caches_gradient:
        objective.samples(batch, seeds)  # samples are made twice
    outcome = objective(batch, seeds)
    outcome.total().backward()
    if objective.adversary is not None and outcome.judged is not None:
        with learning(objective.adversary):
            judge(objective.adversary, outcome.judged, seeds).backward()


def flop_counter() -> FlopCounterMode:
    """torch's FLOP counter, corrected for the gradient of grouped convolutions' weights, where it ignores groups."""
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
