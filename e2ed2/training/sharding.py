"""Where the weights of a training lie: whole on every process, or a part of each on every one (torch's FSDP2).

What the trainer asks is the same of both. A checkpoint is whole in either case, so that one goes on from the other's.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from e2ed2.errors import UserError
from e2ed2.objectives.objective import Objective
from e2ed2.training.config import TrainerConfig


class Whole:
    """Every process has all weights; of several processes, the gradients are averaged (DistributedDataParallel)."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator

    @property
    def takes_part(self) -> bool:
        """Does this process compute what the first one alone shows or writes?"""
        return self.accelerator.is_main_process

    def prepare(self, objective: Objective) -> Any:
        """The objective to call in an update; before its optimizer is made."""
        return self.accelerator.prepare(objective)

    @contextmanager
    def no_sync(self, objective: Any) -> Generator[None]:
        """Gradients stay with their process meanwhile."""
        with self.accelerator.no_sync(objective):
            yield

    def clip(self, model: nn.Module, most: float) -> Tensor:
        """Scale the gradient down to a norm of `most`; returns the norm that it had, of all parts together."""
        return self.accelerator.clip_grad_norm_(model.parameters(), most)

    def parts(self, weights: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """What of the weights lies here, in the same memory."""
        return list(weights)

    def joined(self, parts: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        """`parts`, which lie here as those of `weights` do, as what `whole` can put together."""
        return list(parts)

    def whole(self, state: Any) -> Any:
        """Each tensor of a state, put together on the first process; every process that `takes_part` must ask."""
        return state

    def cut(self, value: Any, weights: Tensor) -> Any:
        """What lies here of a value that goes with these weights, such as their average or their moments."""
        return value

    def finished(self, objective: Objective, fresh: Callable[[], Objective]) -> Objective | None:
        """The objective with its model whole, where this is the first process. `fresh` builds another one."""
        return objective


class Sharded(Whole):
    """Each process has a part of each weight, of its gradient, its moments and its average.

    A block's weights are put together when it is called, and again for its gradient; those outside of the blocks for
    as long as the objective is called. What is not trained beside the model (codec, judges, a teacher) stays whole.
    """

    @property
    def takes_part(self) -> bool:
        return True  # whatever calls the model needs everybody's parts

    def prepare(self, objective: Objective) -> Any:
        """In place. Raises UserError: it has no blocks."""
        if not (blocks := objective.blocks()):
            raise UserError("This training has no blocks to divide among processes: leave --trainer.shard out.")
        mesh = init_device_mesh(self.accelerator.device.type, (self.accelerator.num_processes,))
        for block in blocks:
            fully_shard(block, mesh=mesh)
        beside = set(objective.parameters()) - set(objective.model.parameters())
        # Put away after each call: what is averaged or saved between two calls are the parts.
        fully_shard(objective, mesh=mesh, reshard_after_forward=True, ignored_params=beside)
        register_fsdp_forward_method(objective, "preview")
        return self.accelerator.prepare_model(objective, evaluation_mode=True)  # not wrapped once more

    @contextmanager
    def no_sync(self, objective: Any) -> Generator[None]:
        objective.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            objective.set_requires_gradient_sync(True)

    def clip(self, model: nn.Module, most: float) -> Tensor:
        norm: Any = super().clip(model, most)
        return norm.full_tensor()

    def parts(self, weights: Sequence[Any]) -> list[nn.Parameter]:
        return [nn.Parameter(one.detach().to_local()) for one in weights]

    def joined(self, parts: Sequence[Tensor], weights: Sequence[Any]) -> list[Tensor]:
        return [
            DTensor.from_local(part, one.device_mesh, one.placements, shape=one.shape, stride=one.stride())
            for part, one in zip(parts, weights, strict=True)
        ]

    def whole(self, state: Any) -> Any:
        """In the CPU's memory; other processes have None instead of each tensor."""
        if isinstance(state, dict):
            return {name: self.whole(value) for name, value in state.items()}
        if isinstance(state, list):
            return [self.whole(value) for value in state]
        if not isinstance(state, DTensor):
            return state
        full = state.full_tensor()
        return full.cpu() if self.accelerator.is_main_process else None

    def cut(self, value: Any, weights: Any) -> Any:
        if not isinstance(weights, DTensor) or value.shape != weights.shape:  # a buffer, or a count of updates
            return value
        own = value.to(weights.device, weights.dtype)
        return distribute_tensor(own, weights.device_mesh, weights.placements, src_data_rank=None)

    def finished(self, objective: Objective, fresh: Callable[[], Objective]) -> Objective | None:
        weights = self.whole(objective.model.state_dict())
        if not self.accelerator.is_main_process:
            return None
        made = fresh()
        made.model.load_state_dict(weights)
        return made


def sharding_of(config: TrainerConfig, accelerator: Accelerator) -> Whole:
    """Raises UserError: weights are to be divided among one process."""
    if not config.shard:
        return Whole(accelerator)
    if accelerator.num_processes == 1:
        raise UserError(
            "--trainer.shard divides the weights among processes, and this is the only one: launch several, with "
            "`accelerate launch` or `torchrun`, or leave it out."
        )
    return Sharded(accelerator)
