"""From a request to the image: shared by the CLI and the app."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from e2ed2.assets import CHECKPOINTS
from e2ed2.device import pick_device
from e2ed2.inference.model import Model, Sampling, load_parts
from e2ed2.inference.request import STEPS, Request, model_path
from e2ed2.types import TrajectoryStep


def load(model: str, folder: Path = CHECKPOINTS, device: torch.device | str = "") -> Model:
    """A bundled model by its name, or any by the path of its folder, on the device that `pick_device` picks.

    Raises:
        UserError: no such model (the known ones are listed), or its files are damaged.
    """
    return Model(*load_parts(model_path(model, folder))).to(pick_device(str(device)))


def most_steps(pipeline: Sampling) -> int:
    """The largest step count offered by the pages that this model supports."""
    return min(pipeline.denoiser.only_steps or STEPS[-1], STEPS[-1])


def sample_image(
    pipeline: Sampling, request: Request, callback: Callable[[TrajectoryStep], None] | None = None
) -> Image.Image:
    generator = torch.Generator().manual_seed(request.seed)
    return pipeline.sample(pipeline.text_encoder([request.words]), request.steps, generator, callback)
