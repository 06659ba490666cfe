"""What the trainer asks of an objective."""

from typing import Any

import torch
from torch import Tensor, nn

from e2ed2.seeds import UpdateSeeds


class Objective(nn.Module):
    """What a training minimises: `model` is trained, averaged and saved; all else but an adversary is constant."""

    model: Any
    adversary: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.adversary = None

    def forward(self, batch: Any, seeds: UpdateSeeds) -> dict[str, Tensor]:
        """Weighted scalar terms; their sum is minimised."""
        raise NotImplementedError

    def adversary_terms(self, seeds: UpdateSeeds) -> dict[str, Tensor]:
        """The adversary's own terms on what the last `forward` made."""
        raise NotImplementedError

    def preview(self, model: Any, batch: Any) -> Tensor:
        """Images `[N, 3, H, W]` in [-1, 1] that show what `model` has learnt."""
        raise NotImplementedError


def total(terms: dict[str, Tensor]) -> Tensor:
    """The sum of the terms, a scalar."""
    return torch.stack(list(terms.values())).sum()


class DenoiserObjective(Objective):
    """Trains a denoiser on latents."""

    codec: Any
    sees_images: bool  # whether the batches need pixels
    sees_words: bool  # whether they need the captions' token states
