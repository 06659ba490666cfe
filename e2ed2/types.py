"""Values passed between the stages.

One shape convention everywhere: images are float `[B, 3, H, W]` in [-1, 1], latents float
`[B, C, h, w]` with zero mean and unit variance per channel over the training set.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class TextEmbedding:
    """The text encoder's output for B captions."""

    tokens: Tensor  # [B, L, D] last hidden states; zeros where the mask is 0
    mask: Tensor  # [B, L] bool, true on real tokens
    pooled: Tensor  # [B, D] mean of the token states, scaled to unit length

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, rows: slice | Tensor) -> Self:
        return type(self)(self.tokens[rows], self.mask[rows], self.pooled[rows])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        return type(self)(self.tokens.to(device, dtype), self.mask.to(device), self.pooled.to(device, dtype))

    def first_words(self) -> Self:
        """The first token of each caption, for a model that reads only the pooled embeddings."""
        return type(self)(self.tokens[:, :1], self.mask[:, :1], self.pooled)

    def repeat(self, count: int) -> Self:
        """Each caption `count` times, next to each other: `[B * count, ...]`."""
        return type(self)(*(value.repeat_interleave(count, dim=0) for value in (self.tokens, self.mask, self.pooled)))


@dataclass(frozen=True)
class PictureBatch:
    """One update's worth of pictures, for the codec."""

    images: Tensor  # [B, 3, H, W] in [-1, 1]


@dataclass(frozen=True)
class CaptionedBatch:
    """One update's worth of captioned pictures, for the denoiser."""

    images: Tensor  # [B, 3, H, W] in [-1, 1]; [0, 3, H, W] for an objective that sees latents only
    latents: Tensor  # [B, C, h, w] of the same pictures
    text: TextEmbedding  # B captions
    named: Tensor  # [B] bool: whether it names the drawing's style, and so leaves less open
    captions: tuple[str, ...] = ()  # the captions' text, for another encoder; empty if only embeddings are stored
    noise: Tensor | None = None  # [B, C, h, w] that a teacher made the latents of; None if chains draw their own


@dataclass(frozen=True)
class VoteBatch:
    """One update's worth of answers, for a preference and its judge, each by name."""

    rows: Tensor  # [B] of the votes
    answers: dict[str, Any]  # `preference.model.Answers`, with standardised features of both images
    weights: dict[str, Tensor]  # [members, B] how often each member takes the answer; 0 of the other's raters
    images: Tensor = field(default_factory=lambda: torch.empty(0, 3, 1, 1))  # of a preview: every image there is
    features: dict[str, Tensor] = field(default_factory=dict)  # [F, size] of those images, standardised
    pooled: Tensor = field(default_factory=lambda: torch.empty(0))  # [F, P] of their captions


Batch = PictureBatch | CaptionedBatch | VoteBatch


@dataclass(frozen=True)
class TrajectoryStep:
    """One step of the sampler, as the callback sees it."""

    index: int  # 0 is the first step, from pure noise
    t: float  # noise level on entry, in (0, 1]
    noisy: Tensor  # [B, C, h, w] x_t on entry
    clean: Tensor  # [B, C, h, w] the step's estimate of x_0
