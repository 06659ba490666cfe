"""A pipeline changed as an arm asks: another scheduler, other timesteps, adapters."""

import hashlib
import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as lazy_diffusers

from e2ed2.errors import UserError
from e2ed2.evaluation.generators import OurModel, load_generator
from e2ed2.evaluation.protocols.arms import Arm
from e2ed2.evaluation.protocols.files import sha256, together
from e2ed2.inference.request import model_path
from e2ed2.inference.stock import StockPipeline
from e2ed2.models.backbones.opening import BROKEN

diffusers: Any = lazy_diffusers  # its lazy imports hide the classes from a type checker


def check_arm(arm: Arm) -> None:
    """Check the arm before any work is done. Raises UserError: there is no such model, or no such scheduler."""
    model_path(arm.model)
    if arm.scheduler:
        scheduler_class(arm.scheduler)


def generator_of(arm: Arm, device: str) -> OurModel | StockPipeline:
    """The arm's model, changed as it asks. Raises UserError: the model cannot be loaded, or not changed so."""
    generator = load_generator(arm.model, arm.steps, device, arm.guidance)
    if not arm.changes:
        return generator
    if isinstance(generator, OurModel) or generator.only_steps:
        raise UserError(f"{arm.model} has a chain of its own: leave {' and '.join(arm.changes)} out.")
    pipeline = generator.pipeline
    pipeline.scheduler = scheduler_of(arm, pipeline.scheduler)
    if arm.lora:
        load_lora(pipeline, arm.lora)
    changed = replace(generator, fingerprint=f"{generator.fingerprint}-{digest_of(arm)}")
    changed.options.pop("sigmas", None)  # they belong to the scheduler of a training
    return timed(changed, arm) if arm.timesteps else changed


def scheduler_class(name: str) -> Any:
    kind = getattr(diffusers, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, diffusers.SchedulerMixin)):
        raise UserError(f"diffusers has no scheduler {name!r}: choose one such as DDIMScheduler or LCMScheduler.")
    return kind


def scheduler_of(arm: Arm, own: Any) -> Any:
    """The requested scheduler, with the settings of the pipeline's own. Raises UserError: it has no spacing."""
    kind = scheduler_class(arm.scheduler) if arm.scheduler else type(own)
    if arm.spacing and "timestep_spacing" not in inspect.signature(kind.__init__).parameters:
        raise UserError(f"{arm.name}: a {kind.__name__} does not space its timesteps: leave spacing out.")
    return kind.from_config(own.config, **({"timestep_spacing": arm.spacing} if arm.spacing else {}))


def load_lora(pipeline: Any, place: str) -> None:
    try:
        pipeline.load_lora_weights(place)
    except BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{place} cannot be loaded as adapters of a {type(pipeline).__name__} ({reason}): give a file, a folder, "
            "or the id of a repository on a hub that can be reached from here."
        ) from error


def timed(generator: StockPipeline, arm: Arm) -> StockPipeline:
    """A generator that uses the arm's timesteps. Raises UserError: the pipeline or its scheduler takes none."""
    pipeline = generator.pipeline
    for part, call in ((pipeline, pipeline.__call__), (pipeline.scheduler, pipeline.scheduler.set_timesteps)):
        if "timesteps" not in inspect.signature(call).parameters:
            raise UserError(f"{arm.name}: a {type(part).__name__} takes no timesteps: choose another scheduler.")
    generator.options["timesteps"] = list(arm.timesteps)
    return generator


def digest_of(arm: Arm) -> str:
    """A hash of the arm's changes, including the adapters' files."""
    place = Path(arm.lora or "no file")
    files = [place] if place.is_file() else sorted(place.rglob("*.safetensors"))
    content = together([json.dumps(arm.changes), *map(sha256, files)])
    return hashlib.sha256(content.encode()).hexdigest()[:12]
