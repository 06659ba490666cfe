"""The interface between the trainer and an objective."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from e2ed2.data.config import DataConfig
from e2ed2.data.from_disk import open_held_out, open_pictures
from e2ed2.data.pictures import PictureSet
from e2ed2.errors import UserError
from e2ed2.losses.adversarial import Judged
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import Batch


class Batches(Protocol):
    @property
    def pictures(self) -> PictureSet: ...

    def __call__(self, update: int, process: int, processes: int) -> Batch: ...

    def preview(self) -> Batch: ...


class Objective(nn.Module):
    """What a training minimises: `model` is trained, averaged and saved; all else is constant, except an adversary."""

    model: Any
    config: Any  # the ObjectiveConfig that built it
    adversary: Any  # a discriminator, or None
    caches_gradient = False  # whether the loss is on the samples of all batches of an update
    needs_held_out = False  # whether a training makes no sense without a held-out batch

    def __init__(self) -> None:
        super().__init__()
        self.adversary = None

    def pictures(self, data: DataConfig) -> PictureSet:
        """The pictures to learn from. Raises UserError: they cannot be read."""
        return open_pictures(data)

    def amount(self, pictures: PictureSet) -> int:
        """The size of the training set, in `unit`s."""
        return len(pictures)

    def held_out(self, data: DataConfig, count: int) -> PictureSet | None:
        """At most `count` pictures to measure the loss on; None if there are none."""
        return open_held_out(data, count)

    def card(self, pictures: PictureSet) -> str:
        """Additional text for a finished model's card, in Markdown."""
        return ""

    def batches(
        self, pictures: PictureSet, size: int, seed: int, device: torch.device, once: bool = False
    ) -> "Batches":
        """Training batches of `size` pictures per update. `once`: only one is needed, so nothing is precomputed."""
        raise NotImplementedError

    def forward(self, batch: Any, seeds: UpdateSeeds) -> "Outcome":
        raise NotImplementedError

    def samples(self, batch: Any, seeds: UpdateSeeds) -> Any:
        """The samples that `forward` judges, without a gradient; called only if `caches_gradient`."""
        raise NotImplementedError

    def watched(self, batch: Any) -> dict[str, Tensor]:
        """Scalars logged beside the loss on the held-out batch."""
        return {}

    def exhausted(self, watched: list[dict[str, float]]) -> bool:
        """Whether to stop early, judging by everything watched so far, newest last."""
        return False

    def best(self, watched: list[dict[str, float]]) -> int | None:
        """The index of the measurement whose weights to write; None: always the last weights."""
        return None

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The trained parameters as optimizer groups, each with its own full learning rate."""
        return [{"params": trained(self.model), "lr": lr}]

    def beside(self) -> list[nn.Module]:
        """Networks that it uses and does not own."""
        return []

    def compiled_parts(self) -> list[nn.Module]:
        """The modules that `trainer.compile` compiles: those called with tensors."""
        return [self.model]

    def rounding_note(self) -> str:
        """A warning for users who train it in bfloat16; empty if that does no harm."""
        return ""

    def blocks(self) -> list[nn.Module]:
        """The parts of the model that `trainer.shard` shards each by itself: called one after the other by all
        processes alike. None where that is not for this objective."""
        return []

    def preview(self, model: Any, batch: Any) -> Tensor:
        """Images `[N, 3, H, W]` in [-1, 1] that show what `model` has learned."""
        raise NotImplementedError

    def export(self, folder: Path, pictures: PictureSet) -> None:
        """Write the finished model.

        Raises:
            UserError: the weights are not finite, so the model could only produce black pictures.
        """
        if not all(torch.isfinite(weights).all() for weights in self.model.parameters()):
            raise UserError("The trained weights are not finite, so no model is written: train again at a lower rate.")
        self.write(folder, pictures)

    def write(self, folder: Path, pictures: PictureSet) -> None:
        raise NotImplementedError


def trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


@dataclass(frozen=True)
class Outcome:
    """The result of an objective on one batch."""

    terms: dict[str, Tensor]  # scalars, without their weights
    weights: dict[str, float]  # of each term in the sum
    judged: Judged | None = None  # what an adversary learns from, if there is one

    def __post_init__(self) -> None:
        """Raises ValueError: a weighted term was not computed, so something else would be minimised."""
        if missing := [name for name, weight in self.weights.items() if weight and name not in self.terms]:
            raise ValueError(f"the loss has {', '.join(missing)}, and the objective computed no such term")

    def total(self) -> Tensor:
        """The sum that is minimised, a scalar."""
        return torch.stack([self.weights[name] * term.float() for name, term in self.terms.items()]).sum()

    def detached(self) -> dict[str, Tensor]:
        return {name: term.detach() for name, term in self.terms.items()}
