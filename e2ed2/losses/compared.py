"""The inputs of a loss term."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from e2ed2.losses.perceptual import PerceptualLoss


@dataclass(frozen=True)
class Compared:
    """Samples and what they are compared with, both as latents, or both as pictures in [-1, 1]."""

    made: Tensor  # [B * samples, C, h, w]
    targets: Tensor  # the same shape: each repeated for every sample of its caption
    pooled: Tensor  # [B * samples, P] of the captions
    samples: int  # per caption, adjacent
    repulsion: float  # of an energy score, 0 to 1
    in_parts: Callable[..., Tensor]  # applies a function to tensors, a few rows at a time if there are many
    held: Tensor | None = None  # latents that the initial model makes from the same noise
    network: PerceptualLoss | None = None  # for pictures, if a term is `perceptual`

    @property
    def groups(self) -> Tensor:
        """The samples of each caption, `[B, samples, C, h, w]`."""
        return self.made.unflatten(0, (-1, self.samples))

    @property
    def each(self) -> slice:
        """Selects one row per caption from rows that are repeated for each sample."""
        return slice(None, None, self.samples)

    @property
    def perceptual(self) -> Any:
        """The LPIPS network. Raises ValueError: the table of terms does not mark this term as needing it."""
        if self.network is None:
            raise ValueError("a term that looks at LPIPS's features must say so in e2ed2.losses.spec.TERMS")
        return self.network

    @cached_property
    def distance(self) -> Tensor:
        """LPIPS between each sample and its target, `[B * samples]`; computed once for all terms."""
        return self.in_parts(self.perceptual, self.made, self.targets)
