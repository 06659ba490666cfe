"""Discriminators: of pictures, of a frozen network's features of them, and of latents."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from e2ed2.losses.adversarial import HINGE, RELATIVISTIC, Judged
from e2ed2.types import TextEmbedding

LEAST_NOISE = 1e-3  # the lowest level of the noise on latents


class Discriminator(nn.Module):
    """Does this image fit this caption, and was it drawn by a person? A projection discriminator.

    Always in float32: the penalties divide small differences of logits by sigma^2.
    """

    losses = RELATIVISTIC

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


class Heads(nn.Module):
    """The same questions, answered by one head per layer of a frozen network (Sauer et al. 2023, StyleGAN-T).

    It builds on what the network already knows, so few weights have to learn, and they learn fast.
    """

    def __init__(self, features: Any, text_width: int, width: int = 64):
        """`features`: a network that returns a list of maps `[B, C, h, w]`, with their channels as `widths`."""
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

    def logits(self, maps: Iterable[Tensor], pooled: Tensor) -> Tensor:
        """`[B]` for captions `[B, D]`: the mean of all heads, in float32."""
        with torch.autocast(pooled.device.type, enabled=False):
            each = [head(one.float(), pooled.float()) for head, one in zip(self.heads, maps, strict=True)]
            return torch.stack(each).mean(dim=0)


class FeatureDiscriminator(Heads):
    """On features of pictures; the network is called in float32, too."""

    losses = RELATIVISTIC

    def forward(self, images: Tensor, pooled: Tensor) -> Tensor:
        """Logits `[B]` of images `[B, 3, H, W]` for captions `[B, D]`."""
        with torch.autocast(images.device.type, enabled=False):
            return self.logits(self.features(images.float()), pooled)


class LatentDiscriminator(Heads):
    """On what a frozen denoiser's blocks make of noised latents (LADD, Sauer et al. 2024): nothing is decoded.

    Much noise hides all but what is where, little noise shows the texture; each pair has its own level. The noise is
    also what keeps the heads from being too sure, so the loss has no penalties, and the heads learn from the features
    that the model was judged by.
    """

    losses = HINGE

    def shown(self, fake: Tensor, real: Tensor, text: TextEmbedding, generator: torch.Generator) -> Judged:
        """Features of latents `[B, C, h, w]` of the same captions, both under the same noise."""
        level = 1 - torch.rand(len(fake), generator=generator, device=fake.device)
        level, noise = level.clamp(min=LEAST_NOISE), torch.randn(fake.shape, generator=generator, device=fake.device)
        alpha, sigma = (value.view(-1, 1, 1, 1) for value in self.features.path.coefficients(level))
        features = self.features(alpha * fake + sigma * noise, level, text)
        with torch.no_grad():
            wanted = self.features(alpha * real + sigma * noise, level, text)
        return Judged(tuple(features), tuple(wanted), text.pooled)

    def forward(self, maps: tuple[Tensor, ...], pooled: Tensor) -> Tensor:
        """Logits `[B]` of features for captions `[B, D]`."""
        return self.logits(maps, pooled)


class Head(nn.Module):
    """Maps features to one logit: how real they are at each place, and how well they fit the caption."""

    def __init__(self, channels: int, text_width: int, width: int):
        super().__init__()
        self.enter = nn.Sequential(nn.GroupNorm(1, channels), nn.Conv2d(channels, width, 1), nn.SiLU())
        self.around = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU())
        self.score = nn.Conv2d(width, 1, 1)
        self.caption = nn.Linear(text_width, width, bias=False)

    def forward(self, features: Tensor, pooled: Tensor) -> Tensor:
        states = self.enter(features)
        states = states + self.around(states)
        match = (states * self.caption(pooled)[..., None, None]).sum(dim=1)
        return (self.score(states).squeeze(1) + match).mean(dim=(1, 2))
