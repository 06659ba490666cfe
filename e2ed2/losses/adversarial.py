"""A relativistic GAN loss with gradient penalties on both sides (R3GAN, Huang et al. 2024)."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Judged(NamedTuple):
    """What a discriminator is to tell apart."""

    fake: Tensor  # [B, 3, H, W]
    real: Tensor  # [B, 3, H, W] the same squares of the targets
    pooled: Tensor  # [B, D] the captions of both


class Discriminator(nn.Module):
    """Does this image fit this caption, and was it drawn by a person? A projection discriminator.

    Always in float32: the penalties divide small differences of logits by sigma^2.
    """

    def __init__(self, text_width: int, width: int = 48, stages: int = 4):
        super().__init__()
        widths = [3] + [min(width * 2**i, 4 * width) for i in range(stages)]
        self.features = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1), nn.GroupNorm(8, b), nn.SiLU())
                for a, b in pairwise(widths)
            )
        )
        self.score = nn.Linear(widths[-1], 1)
        self.caption = nn.Linear(text_width, widths[-1], bias=False)

    def forward(self, images: Tensor, pooled: Tensor) -> Tensor:
        """Logits `[B]` of images `[B, 3, H, W]` for captions `[B, D]`."""
        with torch.autocast(images.device.type, enabled=False):
            features = self.features(images).mean(dim=(2, 3))
            match = (features * self.caption(pooled)).sum(dim=-1)
            return self.score(features).squeeze(-1) + match


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
