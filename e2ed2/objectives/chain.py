"""What the objectives of the denoiser share: noise, crops and previews."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from e2ed2.models.base import Codec
from e2ed2.seeds import stream
from e2ed2.types import CaptionedBatch


def noise_like(latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """White noise of the latents' shape; the same for every call without a generator."""
    generator = generator or stream(0, "image noise", device=latents.device)
    return torch.randn(latents.shape, generator=generator, device=latents.device, dtype=latents.dtype)


def in_parts(call: Callable[..., Tensor], *values: Tensor, rows: int | None = None) -> Tensor:
    """Apply `call` to `rows` rows at a time, recomputing each part in the backward pass; None: all at once."""
    if rows is None or len(values[0]) <= rows:
        return call(*values)
    parts = zip(*(value.split(rows) for value in values), strict=True)
    return torch.cat([checkpoint(call, *part, use_reentrant=False) for part in parts])


def decode_crop(
    codec: Codec,
    latents: Tensor,
    images: Tensor,
    generator: torch.Generator,
    size: int = 8,
    rows: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Decode a random `size` x `size` window of the latents, or all of them if they are no larger.

    Returns the decoded crops and the same crops of `images`. The decoder is convolutional, so near a
    window's inner edges it lacks a little context. `rows` at a time, as in `in_parts`.
    """
    scale = images.shape[-1] // latents.shape[-1]
    window = random_window(latents.shape[-2:], size, generator)
    down, across = (slice(side.start * scale, side.stop * scale) for side in window)
    return in_parts(codec.decode, latents[..., *window], rows=rows).float(), images[..., down, across]


def same_crop(fake: Tensor, real: Tensor, generator: torch.Generator, size: int = 64) -> tuple[Tensor, Tensor]:
    """The same random square of both, `size` pixels or the whole image: an adversary judges texture in patches."""
    window = random_window(fake.shape[-2:], size, generator)
    return fake[..., *window], real[..., *window]


def random_window(grid: Sequence[int], size: int, generator: torch.Generator) -> tuple[slice, slice]:
    """Rows and columns of a random window in the grid, `size` by `size` or the whole grid."""
    spaces = [max(0, side - size) for side in grid]
    top, left = (int(torch.randint(0, space + 1, (), generator=generator)) for space in spaces)
    return slice(top, top + min(size, grid[0])), slice(left, left + min(size, grid[1]))


def decode_preview(codec: Codec, batch: CaptionedBatch, latents: Tensor) -> Tensor:
    """Targets above samples, `[2 * B, 3, H, W]`."""
    return torch.cat([batch.images, codec.decode(latents).clamp(-1, 1)])
