"""A training's curve in a tracker beside `metrics.jsonl`, by accelerate; only when asked for."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from accelerate import Accelerator

from e2ed2.errors import UserError
from e2ed2.training.config import RunConfig, TrainerConfig, flat
from e2ed2.training.metrics import Logged
from e2ed2.training.precision import accelerator_for

PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",), "wandb": ("wandb",)}
SHARDING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM")  # `accelerate launch`


def accelerator_of(config: TrainerConfig, folder: Path, device: str = "") -> Accelerator:
    """The accelerator of a run on that device.

    Raises:
        UserError: there is no such device, the tracker's package is not installed, or the launcher asks to shard the
            weights itself.
    """
    if any(os.environ.get(name, "").lower() in ("1", "true") for name in SHARDING):
        raise UserError(
            "The launcher's own way of sharding weights (FSDP, DeepSpeed, Megatron-LM) is not for this trainer: launch "
            "with --multi_gpu, and give the training --trainer.shard."
        )
    if config.track and not any(map(find_spec, PACKAGES[config.track])):
        raise UserError(f"{config.track} is not installed: run `pip install {config.track}`, or leave --track out.")
    return accelerator_for(config, device, log_with=config.track or None, project_dir=folder / "track")


@contextmanager
def tracked(accelerator: Accelerator, config: RunConfig, name: str) -> Generator[None]:
    """The tracker knows the run's settings, and is closed at the end."""
    if not config.trainer.track:
        yield
        return
    settings = {key: value for key, value in flat(config.plain()).items() if value is not None}
    plain = {key: value if isinstance(value, int | float | str) else str(value) for key, value in settings.items()}
    accelerator.init_trackers(name, config=plain)
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()


def track(accelerator: Accelerator, line: Logged) -> None:
    """One line of `metrics.jsonl`, each number under its name."""
    numbers = {name: value for name in line.names() if (value := line.value(name)) is not None}
    accelerator.log(numbers, step=line.update)
