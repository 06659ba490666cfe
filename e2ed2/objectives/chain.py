"""What the objectives of the denoiser share: noise, crops and previews."""

import torch
from torch import Tensor

from e2ed2.models.base import Codec
from e2ed2.seeds import stream
from e2ed2.types import CaptionedBatch


def noise_like(latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """White noise of the latents' shape; the same for every call without a generator."""
    generator = generator or stream(0, "image noise", device=latents.device)
    return torch.randn(latents.shape, generator=generator, device=latents.device, dtype=latents.dtype)


def decode_crop(
    codec: Codec, latents: Tensor, images: Tensor, generator: torch.Generator, size: int = 8
) -> tuple[Tensor, Tensor]:
    """Decode a random `size` x `size` window of the latents, or all of them where there are no more.

    Returns the decoded crops and the same crops of `images`. The decoder is convolutional, so near a
    window's inner edges it lacks a little context.
    """
    grid, pixels = latents.shape[-1], images.shape[-1]
    size, scale = min(size, grid), pixels // grid
    top, left = torch.randint(0, grid - size + 1, (2,), generator=generator).tolist()
    window = latents[..., top : top + size, left : left + size]
    rows, columns = (slice(first * scale, (first + size) * scale) for first in (top, left))
    return codec.decode(window).float(), images[..., rows, columns]


def same_crop(fake: Tensor, real: Tensor, generator: torch.Generator, size: int = 64) -> tuple[Tensor, Tensor]:
    """The same random square of both, `size` pixels or all there are: an adversary judges texture by patches."""
    space = max(0, fake.shape[-1] - size)
    top, left = torch.randint(0, space + 1, (2,), generator=generator).tolist()
    window = (..., slice(top, top + size), slice(left, left + size))
    return fake[window], real[window]


def decode_preview(codec: Codec, batch: CaptionedBatch, latents: Tensor) -> Tensor:
    """Targets above what was sampled, `[2 * B, 3, H, W]`."""
    return torch.cat([batch.images, codec.decode(latents).clamp(-1, 1)])
