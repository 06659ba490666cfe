"""The memory that an update needs, predicted from a few pictures; and advice if there is not enough."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, fields
from typing import Any

from e2ed2.objectives.objective import Batches, Objective, trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.alive import bytes_of, most_alive
from e2ed2.training.config import RunConfig
from e2ed2.training.flops import differentiate, with_config
from e2ed2.types import Batch, CaptionedBatch, PictureBatch, VoteBatch

SHARE = 8  # 1/8 and 2/8 of a batch are measured
GB = 1e9


@dataclass(frozen=True)
class UpdateMemory:
    """Peak memory of an update, in bytes, on one process."""

    weights: int  # of all networks, including frozen ones
    gradients: int
    optimizer: int  # AdamW's two moments
    average: int  # of the weights
    activations: int  # added by a batch while its gradient is computed

    @property
    def total(self) -> int:
        return sum(astuple(self))

    def __str__(self) -> str:
        parts = ", ".join(f"{one.name} {getattr(self, one.name) / GB:.2f}" for one in fields(self))
        return f"{self.total / GB:.2f} GB of memory at the most of an update: {parts}"


def update_memory(
    objective: Objective, batches: Batches, size: int, autocast: Callable[[], AbstractContextManager[Any]]
) -> UpdateMemory:
    """The memory of an update on batches of `size`, for the longest chain that it may draw."""
    learned = bytes_of(trained(objective.model))
    adversary = objective.adversary
    critic = 0 if adversary is None else bytes_of(adversary.learned)
    seeds = UpdateSeeds(0, 0, device=next(objective.parameters()).device)

    def call(batch: Any) -> None:
        with autocast():
            differentiate(objective, batch, seeds)

    with with_config(objective, objective.config.longest()):
        activations = predicted_peak(call, batches(0, 0, 1), size, objective.config.decoded_together())
    objective.zero_grad()
    return UpdateMemory(resident(objective), learned + critic, 2 * (learned + critic), learned, activations)


def predicted_peak(call: Callable[[Any], None], batch: Batch, size: int, together: int = 2) -> int:
    """Peak bytes that `call` adds on a batch of `size`, extrapolated linearly from two smaller batches.

    Args:
        together: pictures that are recomputed at a time; with fewer the line would be too steep.
    """
    few = max(2, together, size // SHARE)
    if 2 * few >= size or isinstance(batch, VoteBatch):
        call(batch)  # allocates the gradients, which are counted separately
        return most_alive(lambda: call(batch))
    call(first_of(batch, few))
    less, more = (most_alive(lambda count=count: call(first_of(batch, count))) for count in (few, 2 * few))
    return less + max(0, more - less) * (size - few) // few


def first_of(batch: PictureBatch | CaptionedBatch, count: int) -> PictureBatch | CaptionedBatch:
    """The first `count` pictures of the batch."""
    if isinstance(batch, PictureBatch):
        return PictureBatch(batch.images[:count])
    seen = batch.images[:count], batch.latents[:count]
    noise = None if batch.noise is None else batch.noise[:count]
    return CaptionedBatch(*seen, batch.text[:count], batch.named[:count], batch.captions[:count], noise)


def resident(objective: Objective) -> int:
    """Bytes of the networks on the objective's device, including those that it uses and does not own."""
    device = next(objective.parameters()).device
    tensors = [
        value for module in (objective, *objective.beside()) for value in (*module.parameters(), *module.buffers())
    ]
    return bytes_of(value for value in tensors if value.device == device)


def what_to_lower(config: RunConfig) -> str:
    """Advice if a training does not fit, starting with settings that the same run can resume with."""
    levers, trainer = config.objective.less_memory(), config.trainer
    fewer = f"lower --trainer.batch-size ({trainer.batch_size}) and raise --trainer.accumulate ({trainer.accumulate})"
    go_on = f"{', '.join(levers)}, with which the same command goes on from what was saved; or " if levers else ""
    return f"{go_on}{fewer} as much, in a folder of its own (--out)"
