"""Adversarial losses: what the model and its discriminator minimise against each other."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Seen = Tensor | tuple[Tensor, ...]  # pictures [B, 3, H, W], or their features as maps [B, C, h, w]


class Judged(NamedTuple):
    """What a discriminator has to distinguish, as it is called with it."""

    fake: Seen
    real: Seen  # the same squares, or features, of the targets
    pooled: Tensor  # [B, D] the captions of both

    def detached(self) -> "Judged":
        fake = self.fake.detach() if isinstance(self.fake, Tensor) else tuple(one.detach() for one in self.fake)
        return self._replace(fake=fake)


class Losses(NamedTuple):
    generator: Callable[..., Tensor]  # (discriminator, *judged) => a scalar
    discriminator: Callable[..., Tensor]  # (discriminator, *judged, a generator of noise) => a scalar


def generator_loss(discriminator: nn.Module, fake: Tensor, real: Tensor, pooled: Tensor) -> Tensor:
    """How much less real the fakes look than their real partners, a scalar > 0."""
    return F.softplus(discriminator(real, pooled).detach() - discriminator(fake, pooled)).mean()


def discriminator_loss(
    discriminator: nn.Module,
    fake: Tensor,
    real: Tensor,
    pooled: Tensor,
    generator: torch.Generator,
    penalty: float = 1.0,
    sigma: float = 0.05,
) -> Tensor:
    """The mirrored loss plus R1 and R2, each by finite differences (Lin et al. 2025, eq. 3), a scalar.

    The squared change of the logit under a small noise, over sigma^2, estimates the squared gradient
    norm without a second backward pass.
    """
    on_real, on_fake = discriminator(real, pooled), discriminator(fake, pooled)
    noise = torch.randn(real.shape, generator=generator, device=real.device) * sigma
    r1 = (discriminator(real + noise, pooled) - on_real).square().mean() / sigma**2
    r2 = (discriminator(fake + noise, pooled) - on_fake).square().mean() / sigma**2
    return F.softplus(on_fake - on_real).mean() + penalty * (r1 + r2)


def hinge_generator_loss(discriminator: nn.Module, fake: Seen, real: Seen, pooled: Tensor) -> Tensor:
    return -discriminator(fake, pooled).mean()


def hinge_discriminator_loss(
    discriminator: nn.Module, fake: Seen, real: Seen, pooled: Tensor, generator: torch.Generator
) -> Tensor:
    """By how much the logits miss 1 for the real and -1 for the fake, a scalar; `generator` is not needed."""
    return F.relu(1 - discriminator(real, pooled)).mean() + F.relu(1 + discriminator(fake, pooled)).mean()


RELATIVISTIC = Losses(generator_loss, discriminator_loss)  # with penalties on both sides (R3GAN, Huang et al. 2024)
HINGE = Losses(hinge_generator_loss, hinge_discriminator_loss)
