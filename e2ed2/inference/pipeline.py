"""A trained model as a diffusers pipeline."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from e2ed2.diffusion.sampler import StepEnd
from e2ed2.errors import UserError
from e2ed2.inference import checks
from e2ed2.inference.checks import Generators, OutputType
from e2ed2.inference.model import Sampling, apart, load_parts, to_image
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.step_adapters import check_steps
from e2ed2.models.base import Codec, Denoiser, TextEncoder
from e2ed2.models.components import from_hub, write_index
from e2ed2.models.saved import ModelMixin
from e2ed2.tensors import raise_if_out_of_memory
from e2ed2.types import TrajectoryStep

StepEndCallback = Callable[["E2ED2Pipeline", int, float, dict[str, Tensor]], dict[str, Tensor] | None]
# Diffusers saves those parts of a pipeline whose class is in this table; ours have the same methods.
LOADABLE_CLASSES[ModelMixin.__module__] = {ModelMixin.__name__: ["save_pretrained", "from_pretrained"]}


@dataclass
class E2ED2Output(BaseOutput):
    images: list[Image.Image] | np.ndarray | Tensor


class E2ED2Pipeline(Sampling, DiffusionPipeline):
    """Prompt to image in a few steps.

    pipe = E2ED2Pipeline.from_pretrained("assets/checkpoints/l2-lpips")
    pipe("red apple", num_inference_steps=4, generator=torch.Generator().manual_seed(7)).images[0]
    """

    _callback_tensor_inputs = list(checks.TENSORS)

    def __init__(self, denoiser: Denoiser, codec: Codec, text_encoder: TextEncoder):
        """Pipelines may share a text encoder: each moves and casts its own module, and weights are copied only then."""
        super().__init__()
        self.register_modules(denoiser=denoiser, codec=codec, text_encoder=apart(text_encoder))

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike | None,
        *,
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
        text_encoder: TextEncoder | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | PathLike | None = None,
        local_files_only: bool = False,
        **unknown: Any,
    ) -> Self:
        """Load a folder, or a repository of the Hugging Face hub by its id, on the CPU: `.to("cuda")` moves it.

        A trained backbone's folder can be loaded, too: it is sampled along the steps of its training, unguided.

        Args:
            dtype: of the weights; float32 by default. `torch_dtype` is diffusers' former name for it.
            text_encoder: one that is loaded already, as it is.
            revision, token, cache_dir: of a hub's repository, as diffusers has them; not of a folder.
            local_files_only: download nothing; of a hub's repository, too.

        Raises:
            UserError: neither exists, the files are damaged, or an option is not one of these or would have no effect.
        """
        if unknown:
            raise UserError(f"E2ED2Pipeline.from_pretrained does not know {', '.join(sorted(unknown))}: leave it out.")
        precision = checks.precision(dtype, torch_dtype)
        folder = Path(pretrained_model_name_or_path or "no path")
        download: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
        if not folder.is_dir():
            repository = str(pretrained_model_name_or_path or "no path")
            folder = from_hub(repository, **download, local_files_only=local_files_only)
        elif idle := sorted(name for name, value in download.items() if value):
            raise UserError(f"{folder} is a folder, and {', '.join(idle)} would have no effect: leave it out.")
        return cls(*load_parts(folder, precision, text_encoder))

    def save_pretrained(
        self,
        save_directory: str | PathLike,
        safe_serialization: bool = True,
        variant: str | None = None,
        max_shard_size: int | str | None = None,
        push_to_hub: bool = False,
        use_flashpack: bool = False,
        **unknown: Any,
    ) -> None:
        """Write a folder that `from_pretrained` loads: each part's weights in one safetensors file.

        The options are diffusers', here for their defaults alone.

        Raises:
            UserError: an option asks for something else.
        """
        options: dict[str, Any] = {"safe_serialization": safe_serialization, "variant": variant}
        options |= {"max_shard_size": max_shard_size, "push_to_hub": push_to_hub, "use_flashpack": use_flashpack}
        checks.saving(options | unknown)
        super().save_pretrained(save_directory)

    def save_config(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """The index by which `DiffusionPipeline.from_pretrained` finds this class."""
        if isinstance(self.denoiser, Backbone):
            raise UserError("This model's folder is diffusers' own already: copy that.")
        super().save_config(save_directory, push_to_hub, **kwargs)
        write_index(Path(save_directory), {name: self.config[name] for name in self.components})

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        num_inference_steps: int = 4,
        generator: Generators = None,
        callback: Callable[[TrajectoryStep], None] | None = None,
        *,
        num_images_per_prompt: int = 1,
        latents: Tensor | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEndCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] | None = None,
        batch_size: int = 1,
        **others: Any,
    ) -> E2ED2Output | tuple[Any]:
        """Sample `num_images_per_prompt` images of each prompt, next to each other.

        Args:
            generator: one for all images, in their order, or one for each; on the CPU, seeds mean the same everywhere.
            callback: sees each step of each batch.
            latents: the initial noise `[images, C, h, w]`, instead of a generator's.
            output_type: PIL images; `np` `[B, H, W, 3]` or `pt` `[B, 3, H, W]` in [0, 1]; or `latent` `[B, C, h, w]`.
            callback_on_step_end: called with the pipeline, the step's index, its noise level and the tensors that
                `callback_on_step_end_tensor_inputs` names (`latents` by default; `clean` is the step's estimate of the
                sample); the `latents` that it returns go on. Once for each batch.
            batch_size: images sampled together. One by one, an image's bytes do not depend on the rest of the request;
                in larger batches they differ by rounding, and a GPU is put to better use.
            others: what other pipelines take, where it changes nothing: a `guidance_scale` of 1, the model's own size.

        A progress bar, configured by `set_progress_bar_config`, counts the steps.

        Raises:
            UserError: values that cannot be used, or that would have no effect; or there is not enough memory.
        """
        if others:
            checks.unused(others, self.codec.factor * self.denoiser.latent_shape[-1], self._taken())
        each = checks.whole_number("num_images_per_prompt", num_images_per_prompt)
        steps = checks.whole_number("num_inference_steps", num_inference_steps)
        if isinstance(self.denoiser, Backbone):
            check_steps(self.denoiser.network, steps)
        batch_size = checks.whole_number("batch_size", batch_size)
        prompts = [one for one in checks.prompts(prompt) for _ in range(each)]
        output_type = checks.output_type(output_type)
        checks.callback("callback", callback)
        on_step_end = self._on_step_end(callback_on_step_end, callback_on_step_end_tensor_inputs)
        noise = self._noise(len(prompts), generator, latents)
        outputs, batches = [], [slice(first, first + batch_size) for first in range(0, len(prompts), batch_size)]
        fewer = "lower batch_size, load the model in torch.bfloat16, or move it to the CPU"
        with raise_if_out_of_memory(fewer), self.progress_bar(total=steps * len(batches)) as bar:
            for batch in batches:
                text = self.text_encoder(prompts[batch])
                x = self._chain(text, noise[batch], steps, callback, counted(on_step_end, bar))
                outputs.append(x if output_type == "latent" else self.codec.decode(x).float().clamp(-1, 1))
        images = _as_output(torch.cat(outputs), output_type)
        return E2ED2Output(images=images) if return_dict else (images,)

    def _taken(self) -> list[str]:
        """Names of the arguments that a call accepts."""
        return [name for name in inspect.signature(type(self).__call__).parameters if name not in ("self", "others")]

    def _on_step_end(self, callback: StepEndCallback | None, names: Sequence[str] | None) -> StepEnd | None:
        """A callback for the sampler that wraps a diffusers-style one."""
        checks.callback("callback_on_step_end", callback)
        if callback is None:
            if names is not None:
                raise UserError("callback_on_step_end_tensor_inputs has no effect without callback_on_step_end.")
            return None
        wanted = checks.tensor_names(["latents"] if names is None else names)

        def on_step_end(index: int, t: float, x: Tensor, x0: Tensor) -> Tensor:
            tensors = {"latents": x, "clean": x0}
            return checks.returned(callback(self, index, t, {name: tensors[name] for name in wanted}), tensors)

        return on_step_end


def counted(on_step_end: StepEnd | None, bar: Any) -> StepEnd:
    """The same callback, which also advances the progress bar."""

    def on(index: int, t: float, x: Tensor, x0: Tensor) -> Tensor:
        bar.update()
        return x if on_step_end is None else on_step_end(index, t, x, x0)

    return on


def _as_output(made: Tensor, output_type: OutputType) -> list[Image.Image] | np.ndarray | Tensor:
    """Convert images `[B, 3, H, W]` in [-1, 1] to the output type; latents are returned unchanged."""
    if output_type == "latent":
        return made
    if output_type == "pil":
        return [to_image(image) for image in made]
    images = made.add(1).div(2)
    return images if output_type == "pt" else images.permute(0, 2, 3, 1).cpu().numpy()
