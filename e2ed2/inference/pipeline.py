"""A trained model as a diffusers pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import BaseOutput
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
)
from PIL import Image
from torch import Tensor

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.models.base import Codec, Denoiser, TextEncoder
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import load_codec, load_denoiser
from e2ed2.types import TextEmbedding, TrajectoryStep


@dataclass
class E2ED2Output(BaseOutput):
    images: list[Image.Image]  # one for each prompt


class E2ED2Pipeline(DiffusionPipeline):
    """Prompt to picture in a few steps.

    pipe = E2ED2Pipeline.from_pretrained("assets/checkpoints/l2-lpips")
    pipe("red apple", num_inference_steps=4, generator=torch.Generator().manual_seed(7)).images[0]
    """

    def __init__(self, denoiser: Denoiser, codec: Codec, text_encoder: TextEncoder | None = None):
        """Pipelines may share a text encoder, which none of them changes."""
        super().__init__()
        self.register_modules(denoiser=denoiser, codec=codec)
        self.text_encoder = text_encoder or MiniLM()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike | None,
        *,
        torch_dtype: torch.dtype | None = None,
        text_encoder: TextEncoder | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | PathLike | None = None,
        local_files_only: bool = False,
        **unknown: Any,
    ) -> Self:
        """Load a folder, or a repository of the Hugging Face hub by its id, on the CPU: `.to("cuda")` moves it.

        Args:
            torch_dtype: of the weights; float32 by default.
            revision, token, cache_dir, local_files_only: of a hub's repository, as diffusers has them.

        Raises:
            UserError: neither exists, the files are damaged, or an option is not one of these.
        """
        if unknown:
            raise UserError(f"E2ED2Pipeline.from_pretrained does not know {', '.join(sorted(unknown))}: leave it out.")
        path = pretrained_model_name_or_path or "no path"
        folder = Path(path)
        if not folder.is_dir():
            try:
                cache = None if cache_dir is None else Path(cache_dir)
                downloaded = snapshot_download(
                    str(path), revision=revision, token=token, cache_dir=cache, local_files_only=local_files_only
                )
                folder = Path(downloaded)
            except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
                raise UserError(f"No model at {path}: give a model's folder, or the id of one on a hub.") from error
        pipeline = cls(load_denoiser(folder), load_codec(folder), text_encoder)
        return pipeline if torch_dtype is None else pipeline.to(torch_dtype)

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        num_inference_steps: int = 4,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        callback: Callable[[TrajectoryStep], None] | None = None,
    ) -> E2ED2Output:
        """Paint one picture for each prompt.

        Pictures are painted one by one, so that the same prompt and generator give the same bytes on one
        machine, whatever else is asked for.

        Args:
            generator: one for all prompts, or one for each; on the CPU, so that seeds mean the same everywhere.
            callback: sees each step of each picture (batches of one).
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt) if isinstance(prompt, Sequence) else []
        if not prompts or not all(isinstance(one, str) for one in prompts):
            raise UserError("The prompt must be a text, or a list of texts.")
        generators = list(generator) if isinstance(generator, Sequence) else [generator] * len(prompts)
        if len(generators) != len(prompts):
            raise UserError(
                f"{len(generators)} generators do not fit {len(prompts)} prompts: give one for each, or one."
            )
        images = [
            self.paint(self.text_encoder([one]), num_inference_steps, source, callback)
            for one, source in zip(prompts, generators, strict=True)
        ]
        return E2ED2Output(images=images)

    @torch.no_grad()
    def paint(
        self,
        text: TextEmbedding,
        steps: int,
        generator: torch.Generator | None = None,
        callback: Callable[[TrajectoryStep], None] | None = None,
    ) -> Image.Image:
        """One picture of one embedded caption, or of a point between two: `e2ed2.text.between`."""
        device, dtype = self.device, self.denoiser.dtype
        z = torch.randn(1, *self.denoiser.latent_shape, generator=generator).to(device, dtype)
        latents = sample(self.denoiser, z, text.to(device, dtype), uniform_levels(steps), callback=callback)
        return self.picture(latents)

    @torch.no_grad()
    def picture(self, latents: Tensor) -> Image.Image:
        """Decode latents `[1, C, h, w]`, also those that a step of the sampler shows its callback."""
        return to_image(self.codec.decode(latents)[0])


def to_image(image: Tensor) -> Image.Image:
    """`[3, H, W]` in [-1, 1] (clipped) => RGB picture."""
    pixels = image.float().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels.cpu().numpy()))
