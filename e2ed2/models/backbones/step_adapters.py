"""An adapter for every step of a chain, on one frozen network (independent parameters, Fig. 4).

Adapter k is active in step k: in sampling, in training, and when a step or a block is recomputed in the backward pass.
"""

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from e2ed2.errors import UserError

NAME = "step_"


def step_adapters(count: int) -> list[str]:
    """The adapters' names, in the order of the steps; a folder has each one's weights in a file of that name."""
    return [f"{NAME}{number}" for number in range(1, count + 1)]


def independent_steps_of(network: Any) -> int | None:
    """How many steps have an adapter each; None if all share what there is."""
    return sum(name.startswith(NAME) for name in getattr(network, "peft_config", ())) or None


@contextmanager
def one_of_several() -> Generator[None]:
    """Meanwhile peft does not warn of a network that has adapters already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        yield


def network_of(pipeline: Any) -> Any:
    """The network that a pipeline calls in every step; None if it has none of the usual names."""
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def check_steps(network: Any, steps: int) -> None:
    """Raises UserError: its adapters are those of the steps of another chain."""
    if (count := independent_steps_of(network)) not in (None, steps):
        raise UserError(f"This model has {count} independent steps: choose {count}, not {steps}.")


def activate(network: nn.Module, step: int) -> None:
    """Make `step`'s adapter the active one. Raises UserError: there are fewer."""
    count = independent_steps_of(network) or 0
    if step >= count:
        raise UserError(f"This model has {count} independent steps: it cannot take more.")
    use(network, step_adapters(count)[step])


def use(module: nn.Module, adapter: str) -> None:
    """Not by peft's `set_adapter`, which would also decide which adapters are trained: here all are."""
    for layer in adapted(module):
        layer._active_adapter = [adapter]


def adapted(module: nn.Module) -> Generator[Any]:
    """The layers that have adapters."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # takes seconds, only needed with adapters

    return (layer for layer in module.modules() if isinstance(layer, BaseTunerLayer))


def recompute(block: nn.Module, *given: Any) -> Any:
    """Call a network's block, and call it again in the backward pass, with the adapter that is active now."""
    active = next((layer.active_adapters[0] for layer in adapted(block)), None)

    def call(*again: Any) -> Any:
        if active is not None:
            use(block, active)
        return block(*again)

    return checkpoint(call, *given, use_reentrant=False)


def in_turn(network: nn.Module, then: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A pipeline's `callback_on_step_end` that makes the next step's adapter active, then calls `then`."""
    count = independent_steps_of(network) or 1

    def callback(pipeline: Any, index: int, level: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        activate(network, (index + 1) % count)
        return tensors if then is None else then(pipeline, index, level, tensors)

    return callback
