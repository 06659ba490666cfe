"""From a backbone's name to its pipeline: a folder, a repository on a hub, or `tiny:FAMILY`."""

from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from e2ed2.errors import UserError
from e2ed2.files import runs_folder
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.families import family_of
from e2ed2.models.backbones.lora import LORA
from e2ed2.models.backbones.step_adapters import independent_steps_of, network_of, one_of_several, step_adapters
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.backbones.tiny import PREFIX, SIDE, tiny_pipeline
from e2ed2.models.references import INDEX, independent_steps

BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError, SafetensorError)


def open_pipeline(name: str) -> Any:
    """A text-to-image pipeline of diffusers on the CPU, in float32.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if name.startswith(PREFIX):
        return quiet(tiny_pipeline(name.removeprefix(PREFIX)))
    places = [Path(name).expanduser(), runs_folder() / name / "model"]
    place: Any = next((place for place in places if place.is_dir()), name)
    try:
        pipeline = quiet(DiffusionPipeline.from_pretrained(place, torch_dtype=torch.float32))
    except (HFValidationError, HfHubHTTPError, *BROKEN) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"There is no diffusers pipeline {name!r} ({reason}): give its folder, a training's name, the id of one "
            "on a hub that can be reached from here, or tiny:sd, tiny:pixart, tiny:sana or tiny:sd3 for a rehearsal."
        ) from error
    index = place / INDEX if isinstance(place, Path) else try_to_load_from_cache(name, INDEX)
    if isinstance(index, str | Path):
        add_step_adapters(pipeline, Path(index).parent)
    return pipeline


def check_shared(pipeline: Any, name: str) -> None:
    """Raises UserError: it has an adapter for each step, which neither a training nor other steps can start from."""
    if count := independent_steps_of(network_of(pipeline)):
        raise UserError(f"{name} has {count} independent steps: start from a model that shares them.")


def add_step_adapters(pipeline: Any, folder: Path) -> None:
    """To a pipeline from that folder, if its training left an adapter for each step. Raises UserError: one is missing.

    Without them it would sample what its training started from.
    """
    for name in step_adapters(independent_steps(folder) or 0):
        file, part = folder / LORA / f"{name}.safetensors", family_of(pipeline).part
        try:
            with one_of_several():  # not by the pipeline, which would miss adapters of its text encoders
                getattr(pipeline, part).load_lora_adapter(load_file(file), prefix=part, adapter_name=name)
        except BROKEN as error:
            raise UserError(
                f"{file}, the adapter of one of the model's steps, is missing or damaged: copy the whole folder again, "
                "or from a hub with `hf download`."
            ) from error


def open_parts(folder: Path, dtype: torch.dtype) -> tuple[Backbone, PretrainedCodec, PipelineText]:
    """A pipeline's folder as a denoiser, a codec and a text encoder, in that precision. Raises UserError."""
    pipeline = open_pipeline(str(folder))
    parts = Backbone.of(pipeline).eval(), PretrainedCodec(pipeline.vae).eval(), PipelineText(pipeline)
    for module in (parts[0].network, parts[1], *parts[2].encoders.values()):
        torch.nn.Module.to(module, dtype)
    return parts


def check_resolution(backbone: str, resolution: int, multiple: int) -> None:
    """Raises UserError: the backbone cannot make pictures of that size."""
    if backbone.startswith(PREFIX) and resolution != SIDE:
        raise UserError(f"{backbone} is for pictures of {SIDE} by {SIDE} pixels: add --data.resolution {SIDE}.")
    if resolution % multiple:
        near = max(1, round(resolution / multiple)) * multiple
        raise UserError(
            f"{backbone} makes pictures whose side is a multiple of {multiple}: try --data.resolution {near}."
        )


def quiet(pipeline: Any) -> Any:
    """Disable the pipeline's progress bar: trainings and commands have their own."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
