"""A model's three parts, and sampling images with them, without diffusers, which takes seconds to import."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import StepEnd, sample
from e2ed2.errors import UserError
from e2ed2.inference import checks
from e2ed2.inference.checks import Generators
from e2ed2.inference.request import is_stock
from e2ed2.models.base import Codec, Denoiser, TextEncoder
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import load_codec, load_denoiser
from e2ed2.types import TextEmbedding, TrajectoryStep


class Sampling:
    """Sampling with a model's parts; the base of `Model` and of the diffusers pipeline."""

    denoiser: Any  # a `Denoiser`, and a module
    codec: Any  # a `Codec`
    text_encoder: TextEncoder
    device: torch.device

    @torch.no_grad()
    def images(self, prompts: Sequence[str], steps: int, generators: Sequence[torch.Generator]) -> list[Image.Image]:
        """One image per prompt, sampled as one batch: they may differ by rounding from those sampled one by one."""
        text = self.text_encoder(prompts)
        latents = self._chain(text, self._noise(len(prompts), generators), steps, None)
        return [to_image(image) for image in self.codec.decode(latents)]

    @torch.no_grad()
    def sample(
        self,
        text: TextEmbedding,
        steps: int,
        generator: torch.Generator | None = None,
        callback: Callable[[TrajectoryStep], None] | None = None,
    ) -> Image.Image:
        """One image of an embedded caption, or of a point between two (`e2ed2.models.minilm.between`)."""
        return self.image(self._chain(text, self._noise(1, generator), steps, callback))

    @torch.no_grad()
    def image(self, latents: Tensor) -> Image.Image:
        """Decode latents `[1, C, h, w]`: final ones, or those that the sampler passes to its callback."""
        return to_image(self.codec.decode(latents)[0])

    def _chain(
        self,
        text: TextEmbedding,
        z: Tensor,
        steps: int,
        callback: Callable[[TrajectoryStep], None] | None,
        on_step_end: StepEnd | None = None,
    ) -> Tensor:
        text = text.to(self.device, self.denoiser.dtype)
        return sample(self.denoiser, z, text, uniform_levels(steps), callback=callback, on_step_end=on_step_end)

    def _noise(self, count: int, generator: Generators, given: Tensor | None = None) -> Tensor:
        """Initial noise `[count, C, h, w]`, drawn separately for each image."""
        shape = self.denoiser.latent_shape
        if given is None:
            sources = checks.generators(generator, count)
            noise = [torch.randn(shape, generator=one, device=one.device if one else None) for one in sources]
            return torch.stack([z.to(self.device, self.denoiser.dtype) for z in noise])
        if generator is not None:
            raise UserError("With latents a generator has no effect: give one of the two.")
        return checks.latents(given, (count, *shape)).to(self.device, self.denoiser.dtype)


class Model(Sampling):
    """The parts alone; `E2ED2Pipeline` is the equivalent for users of diffusers."""

    def __init__(self, denoiser: Denoiser, codec: Codec, text_encoder: TextEncoder):
        """Models may share a text encoder: each moves its own module, and weights are copied only when moved."""
        self.denoiser, self.codec, self.text_encoder = denoiser, codec, apart(text_encoder)
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> Self:
        for part in (self.denoiser, self.codec, self.text_encoder):
            if isinstance(part, nn.Module):
                part.to(device)
        self.device = device
        return self


def load_parts(
    folder: Path, dtype: torch.dtype = torch.float32, text_encoder: TextEncoder | None = None
) -> tuple[Denoiser, Codec, TextEncoder]:
    """The parts of a model's folder, or a trained backbone's, on the CPU; a given text encoder is used as it is.

    Raises:
        UserError: the files are damaged.
    """
    if is_stock(folder):
        from e2ed2.models.backbones.opening import open_parts  # imports diffusers

        denoiser, codec, encoder = open_parts(folder, dtype)
        return denoiser, codec, text_encoder or encoder
    denoiser, codec = load_denoiser(folder, dtype), load_codec(folder, dtype)
    return denoiser, codec, text_encoder or MiniLM.from_pretrained(folder / "text_encoder", torch_dtype=dtype)


def apart(encoder: TextEncoder) -> TextEncoder:
    """A separate module with the same weights: moving or casting one leaves the other unchanged."""
    if not isinstance(encoder, nn.Module):
        return encoder
    tokenizer = getattr(encoder, "tokenizer", None)
    alike: dict[int, Any] = {id(tokenizer): tokenizer}
    alike |= {id(weights): nn.Parameter(weights.data, weights.requires_grad) for weights in encoder.parameters()}
    alike |= {id(buffer): buffer.detach() for buffer in encoder.buffers()}
    return copy.deepcopy(encoder, alike)


def to_image(image: Tensor) -> Image.Image:
    """`[3, H, W]` in [-1, 1] (clipped) => RGB image."""
    pixels = image.float().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels.cpu().numpy()))
