"""A relativistic GAN loss with gradient penalties on both sides (R3GAN, Huang et al. 2024)."""

from itertools import pairwise
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Judged(NamedTuple):
    """What a discriminator has to distinguish."""

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

    @property
    def learned(self) -> list[nn.Parameter]:
        return list(self.parameters())

    def forward(self, images: Tensor, pooled: Tensor) -> Tensor:
        """Logits `[B]` of images `[B, 3, H, W]` for captions `[B, D]`."""
        with torch.autocast(images.device.type, enabled=False):
            features = self.features(images).mean(dim=(2, 3))
            match = (features * self.caption(pooled)).sum(dim=-1)
            return self.score(features).squeeze(-1) + match


class FeatureDiscriminator(nn.Module):
    """The same questions, answered by one head per layer of a frozen network (Sauer et al. 2023, StyleGAN-T).

    It builds on what the network already knows about pictures, so few weights have to learn, and they learn fast.
    """

    def __init__(self, features: Any, text_width: int, width: int = 64):
        """`features`: images to a list of maps `[B, C, h, w]`, with their channels as `widths`."""
        super().__init__()
        self.features = features
        self.heads = nn.ModuleList(Head(channels, text_width, width) for channels in features.widths)
        self.requires_grad_(True)

    @property
    def learned(self) -> list[nn.Parameter]:
        """The heads' weights."""
        return list(self.heads.parameters())

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Switch the gradients of the heads only: the network is a constant."""
        self.heads.requires_grad_(requires_grad)
        self.features.requires_grad_(False)
        return self

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, images: Tensor, pooled: Tensor) -> Tensor:
        """Logits `[B]` of images `[B, 3, H, W]` for captions `[B, D]`: the mean of all heads."""
        with torch.autocast(images.device.type, enabled=False):
            maps = self.features(images.float())
            logits = [head(one, pooled.float()) for head, one in zip(self.heads, maps, strict=True)]
            return torch.stack(logits).mean(dim=0)


class Head(nn.Module):
    """Maps features to one logit: how real they are at each place, and how well they fit the caption."""

    def __init__(self, channels: int, text_width: int, width: int):
        super().__init__()
        self.enter = nn.Sequential(nn.GroupNorm(1, channels), nn.Conv2d(channels, width, 1), nn.SiLU())
        self.around = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU())
        self.score = nn.Conv2d(width, 1, 1)
        self.caption = nn.Linear(text_width, width, bias=False)

    def forward(self, features: Tensor, pooled: Tensor) -> Tensor:
        found = self.enter(features)
        found = found + self.around(found)
        match = (found * self.caption(pooled)[..., None, None]).sum(dim=1)
        return (self.score(found).squeeze(1) + match).mean(dim=(1, 2))


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
