"""Any text-to-image pipeline of diffusers, including ours, called the way it is meant to be called."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from PIL import Image

from e2ed2.device import pick_device
from e2ed2.errors import UserError
from e2ed2.inference.request import Request
from e2ed2.models.backbones.opening import BROKEN, add_step_adapters, quiet
from e2ed2.models.backbones.step_adapters import (
    activate,
    check_steps,
    in_turn,
    independent_steps_of,
    network_of,
)
from e2ed2.models.backbones.stock import for_any_steps, stock_call
from e2ed2.models.references import UNGUIDED, index_of

NEEDED = {"prompt", "num_inference_steps", "generator"}
KIND = "backbone_"  # prefix of the objective's kind in the run.json of a training here


@dataclass(frozen=True)
class StockPipeline:
    """A pipeline with its own guidance, if it has any; one trained here is called without guidance.

    One with an adapter for each step is called with each in turn.
    """

    pipeline: Any
    steps: int
    guidance: float | None = None  # None: the pipeline's own
    trained_here: bool = False
    fingerprint: str = ""
    options: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_steps(network_of(self.pipeline), self.steps)
        called: dict[str, Any] = {"num_inference_steps": self.steps}
        if self.trained_here:
            self.pipeline.scheduler = for_any_steps(self.pipeline.scheduler)
            called = stock_call(self.pipeline, self.steps)
        if self.guidance is not None:
            if "guidance_scale" not in inspect.signature(self.pipeline.__call__).parameters:
                raise UserError(f"A {type(self.pipeline).__name__} has no guidance: leave --guidance out.")
            called["guidance_scale"] = self.guidance
        object.__setattr__(self, "options", called)

    @property
    def only_steps(self) -> int | None:
        """The steps that have an adapter each; None if all share what there is."""
        return independent_steps_of(network_of(self.pipeline))

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int], **more: Any) -> list[Image.Image]:
        """One picture for each prompt, from its own seed; `more` is passed on to the pipeline."""
        if self.only_steps:
            network = network_of(self.pipeline)
            activate(network, 0)
            more["callback_on_step_end"] = in_turn(network, more.get("callback_on_step_end"))
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return self.pipeline(list(prompts), generator=generators, **self.options, **more).images

    def image(self, request: Request, **more: Any) -> Image.Image:
        return self([request.words], [request.seed], **more)[0]


def load_stock(
    folder: Path, steps: int, guidance: float | None = None, device: str = "", fingerprint: str = ""
) -> StockPipeline:
    """Raises UserError: there is no diffusers pipeline, or it does not accept a prompt or that guidance."""
    return StockPipeline(load_pipeline(folder, device), steps, guidance, was_trained_here(folder), fingerprint)


def load_pipeline(folder: Path, device: str = "") -> Any:
    try:
        pipeline: Any = quiet(DiffusionPipeline.from_pretrained(folder, local_files_only=True))
    except BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{folder} cannot be loaded as a diffusers pipeline ({reason}): copy it again.") from error
    taken = inspect.signature(pipeline.__call__).parameters
    if unknown := NEEDED - taken.keys():
        kind = type(pipeline).__name__
        raise UserError(f"{folder} holds a {kind}, which takes no {' and no '.join(sorted(unknown))}: choose another.")
    add_step_adapters(pipeline, folder)
    return pipeline.to(pick_device(device))


def was_trained_here(folder: Path) -> bool:
    """Whether its index says so, which comes along from a hub, or its `run.json`, all that earlier ones have."""
    if index_of(folder).get(UNGUIDED):
        return True
    try:
        settings = json.loads((folder / "run.json").read_text())["config"]["objective"]
        return str(settings["kind"]).startswith(KIND)
    except (OSError, ValueError, LookupError, TypeError):
        return False
