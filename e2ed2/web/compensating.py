"""Rounding with compensation: the rounding error of an input channel is absorbed by correlated channels.

As GPTQ does (Frantar et al. 2023), with the step of each channel that `packing` gives it. What counts is no longer how
far the weights are off, but what the matrix makes of the inputs that it gets.
"""

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DAMPING = 0.01  # of the mean second moment: inputs that were not among the examples come, too
BLOCK = 64  # channels between two updates of all following ones

Moments = dict[bytes, np.ndarray]  # `key_of` a matrix => second moments of its inputs, float64 [in, in]


def key_of(weights: np.ndarray) -> bytes:
    """The key of a float32 matrix `[in, out]`, from its values: a graph and its module name matrices differently."""
    return hashlib.sha256(weights.tobytes()).digest()


@torch.no_grad()
def moments(module: nn.Module, examples: Iterable[tuple[Tensor, ...]]) -> Moments:
    """The input moments of all linear layers in a module, from calling it with each of the examples."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    seen: dict[nn.Linear, list[Tensor]] = {layer: [] for layer in layers}

    def look(rows: list[Tensor], layer: nn.Module, given: tuple[Any, ...]) -> None:
        rows.append(given[0].reshape(-1, given[0].shape[-1]))

    hooks = [layer.register_forward_pre_hook(partial(look, seen[layer])) for layer in layers]
    try:
        for example in examples:
            module(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return {key_of(layer.weight.numpy().T): _moment(rows) for layer, rows in seen.items() if rows}


def _moment(rows: list[Tensor]) -> np.ndarray:
    inputs = torch.cat(rows)
    return (inputs.T @ inputs / len(inputs)).double().numpy()


def compensated(weights: np.ndarray, step: np.ndarray, moment: np.ndarray, most: int) -> np.ndarray:
    """The weights as integer multiples of the steps, int32 `[in, out]`, from `-most` to `most - 1`.

    Args:
        weights: `[in, out]`.
        step: `[in]`.
        moment: `[in, in]` second moments of the inputs.
    """
    left, count = weights.astype(np.float64), len(weights)
    damped = moment + np.eye(count) * (DAMPING * np.diag(moment).mean() + np.finfo(np.float32).tiny)
    pull = np.linalg.cholesky(np.linalg.inv(damped)).T
    multiples = np.empty(weights.shape, np.int32)
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        lost = np.empty((end - start, weights.shape[1]))
        for row in range(start, end):
            multiples[row] = np.rint(left[row] / step[row]).clip(-most, most - 1)
            lost[row - start] = (left[row] - multiples[row] * float(step[row])) / pull[row, row]
            left[row + 1 : end] -= np.outer(pull[row, row + 1 : end], lost[row - start])
        left[end:] -= pull[start:end, end:].T @ lost
    return multiples
