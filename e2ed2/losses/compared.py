"""What a term of a loss may look at."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from e2ed2.losses.perceptual import PerceptualLoss


@dataclass(frozen=True)
class Compared:
    """Samples beside what they are compared with, both as latents, or both as pictures in [-1, 1]."""

    made: Tensor  # [B * samples, C, h, w]
    targets: Tensor  # the same shape: each as often as its caption has samples
    pooled: Tensor  # [B * samples, P] of the captions
    samples: int  # of each caption, next to each other
    repulsion: float  # of an energy score, 0 to 1
    in_parts: Callable[..., Tensor]  # calls the first on the others, a few rows at a time where there are many
    held: Tensor | None = None  # of latents: what the start of the training makes of the same noise
    network: PerceptualLoss | None = None  # of pictures, where a term is `perceptual`

    @property
    def groups(self) -> Tensor:
        """The samples of each caption, `[B, samples, C, h, w]`."""
        return self.made.unflatten(0, (-1, self.samples))

    @property
    def each(self) -> slice:
        """Of rows that stand there once for each sample, one for each caption."""
        return slice(None, None, self.samples)

    @property
    def perceptual(self) -> Any:
        """LPIPS. Raises ValueError: the table of terms does not say that this one needs it."""
        if self.network is None:
            raise ValueError("a term that looks at LPIPS's features must say so in e2ed2.losses.spec.TERMS")
        return self.network

    @cached_property
    def distance(self) -> Tensor:
        """LPIPS of each sample and its target, `[B * samples]`; measured once for all terms."""
        return self.in_parts(self.perceptual, self.made, self.targets)
