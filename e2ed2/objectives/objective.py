"""What the trainer asks of an objective."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

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
    """What a training minimises: `model` is trained, averaged and saved; all else but an adversary is constant."""

    model: Any
    adversary: Any  # a discriminator, or None
    caches_gradient = False  # whether the loss is on the samples of all batches of an update
    needs_held_out = False  # whether a training makes no sense without a batch to watch

    def __init__(self) -> None:
        super().__init__()
        self.adversary = None

    @classmethod
    def of(cls, config: Any, resolution: int) -> Self:
        """The one that the config describes, with the models that it names.

        Raises:
            UserError: such a model is missing or damaged, or does not fit the resolution.
        """
        raise NotImplementedError

    def pictures(self, data: DataConfig) -> PictureSet:
        """What it learns from. Raises UserError: it cannot be read."""
        return open_pictures(data)

    def amount(self, pictures: PictureSet) -> int:
        """How many of its `unit` it learns from."""
        return len(pictures)

    def held_out(self, data: DataConfig, count: int) -> PictureSet | None:
        """At most `count` pictures to measure the loss on; None where there are none."""
        return open_held_out(data, count)

    def card(self) -> str:
        """What a finished model's card says beside the usual, in Markdown."""
        return ""

    def batches(
        self, pictures: PictureSet, size: int, seed: int, device: torch.device, once: bool = False
    ) -> "Batches":
        """What it learns from, `size` pictures an update. `once`: one batch is asked for, so nothing is precomputed."""
        raise NotImplementedError

    def forward(self, batch: Any, seeds: UpdateSeeds) -> "Outcome":
        raise NotImplementedError

    def samples(self, batch: Any, seeds: UpdateSeeds) -> Any:
        """What `forward` judges, without a gradient; asked for where `caches_gradient`."""
        raise NotImplementedError

    def watched(self, batch: Any) -> dict[str, Tensor]:
        """Scalars that are logged beside the loss on a batch that is not trained on."""
        return {}

    def exhausted(self, watched: list[dict[str, float]]) -> bool:
        """Is there nothing more to be had, by all that was watched so far, the newest last?"""
        return False

    def best(self, watched: list[dict[str, float]]) -> int | None:
        """At which measurement the weights were those to write; None where it is always the last ones."""
        return None

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """What is trained, as an optimizer takes it: each group with its own full learning rate."""
        return [{"params": trained(self.model), "lr": lr}]

    def compiled_parts(self) -> list[nn.Module]:
        """What `trainer.compile` compiles: modules that are called with tensors."""
        return [self.model]

    def rounding_note(self) -> str:
        """What its user should know who trains it in bfloat16; empty where that does no harm."""
        return ""

    def blocks(self) -> list[nn.Module]:
        """The parts of the model that `trainer.shard` shards each by itself: called one after the other by all
        processes alike. None where that is not for this objective."""
        return []

    def preview(self, model: Any, batch: Any) -> Tensor:
        """Images `[N, 3, H, W]` in [-1, 1] that show what `model` has learnt."""
        raise NotImplementedError

    def export(self, folder: Path, pictures: PictureSet) -> None:
        """Write the finished model.

        Raises:
            UserError: the weights are not finite, so that the model could only make black pictures.
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
    """What an objective makes of one batch."""

    terms: dict[str, Tensor]  # scalars, without their weights
    weights: dict[str, float]  # of each in the sum
    judged: Judged | None = None  # what an adversary is to learn from, where there is one

    def __post_init__(self) -> None:
        """Raises ValueError: a term that counts was not computed, so that something else would be minimised."""
        if missing := [name for name, weight in self.weights.items() if weight and name not in self.terms]:
            raise ValueError(f"the loss has {', '.join(missing)}, and the objective computed no such term")

    def total(self) -> Tensor:
        """The sum that is minimised, a scalar."""
        return torch.stack([self.weights[name] * term.float() for name, term in self.terms.items()]).sum()

    def detached(self) -> dict[str, Tensor]:
        return {name: term.detach() for name, term in self.terms.items()}
