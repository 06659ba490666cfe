"""Build a run from its config, train it, write the finished model."""

import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from e2ed2 import seeds
from e2ed2.data.caption_hashes import write_hashes
from e2ed2.data.pictures import Pictures
from e2ed2.data.streamed import noted
from e2ed2.errors import UserError, raise_if_disk_full
from e2ed2.files import write_whole
from e2ed2.objectives.objective import Batches, Objective
from e2ed2.progress import say
from e2ed2.tensors import raise_if_out_of_memory
from e2ed2.training.amount import AMOUNT, keep_amount
from e2ed2.training.card import Work, write_card
from e2ed2.training.compiling import compile_network
from e2ed2.training.config import RunConfig, flat, upgraded
from e2ed2.training.flops import update_flops
from e2ed2.training.memory import what_to_lower
from e2ed2.training.state import checkpoints_in
from e2ed2.training.tracking import accelerator_of, tracked
from e2ed2.training.trainer import Trainer
from e2ed2.types import Batch

# Durations, intervals and sources: settings that may change when a run is resumed.
MAY_CHANGE = (
    "trainer.updates",
    "trainer.log-every",
    "trainer.preview-every",
    "trainer.save-every",
    "trainer.keep",
    "trainer.held-out-every",
    "trainer.track",
    "trainer.shard",
    "trainer.accumulate",  # to use a different number of processes
    "data.path",
    "data.workers",
    "checkpointed",  # less memory for the same gradient
    "block-checkpointing",
    "decode-batch",
)

BEST_WEIGHTS = "Its weights are those after update {}, of which the judge thought most.\n"
ENDED = "After {done} of {updates} updates this training has ended: its judge saw no gain any more (--patience)."
HELD_OUT = 64  # pictures of the batch that the held-out loss is measured on


def train(config: RunConfig, folder: Path, device: str = "") -> bool:
    """Train in `folder`, or resume there. True when finished: the model is then in `folder/model`.

    Raises:
        UserError: the folder holds another run, or the device or something that the config names is missing or damaged.
    """
    accelerator = accelerator_of(config.trainer, folder, device)
    log = f"data{'' if accelerator.is_main_process else f'-{accelerator.process_index}'}.log"
    with (
        held(folder, accelerator.is_main_process),
        tracked(accelerator, config, folder.name),
        noted(folder / log),
        raise_if_out_of_memory(what_to_lower(config)),
    ):
        if accelerator.is_main_process:
            claim(folder, config, processes=accelerator.num_processes)
        accelerator.wait_for_everyone()
        torch.manual_seed(seeds.number(config.trainer.seed, "weights"))
        objective, batches = build(config, accelerator.device)
        if accelerator.is_main_process:
            keep_amount(folder, config, objective.amount(batches.pictures))
        held_out = held_out_batch(config, objective, accelerator.device)
        trainer = Trainer(config.trainer, objective, batches, folder, accelerator, held_out)
        if not trainer.run():
            return False
        if trainer.done < config.trainer.updates:
            say(ENDED.format(done=trainer.done, updates=config.trainer.updates))
        if trainer.sharding.takes_part:
            return write_model(trainer, config, folder)
    return True


def write_model(trainer: Trainer, config: RunConfig, folder: Path) -> bool:
    """Write the finished model. False if interrupted: the training is saved, and the same command writes the model."""
    pictures, model = trainer.batches.pictures, folder / "model"
    try:
        work = work_of(trainer, config)
        with trainer.to_write(partial(fresh_objective, config)) as objective:
            if objective is None:
                return True
            with raise_if_disk_full(model, RuntimeError, SafetensorError):
                objective.export(model, pictures)
            beside = objective.card(pictures) + (BEST_WEIGHTS.format(best) if (best := trainer.best_update) else "")
            with raise_if_disk_full(model):
                write_card(model, folder, config, objective.model, pictures, work, beside)
                write_hashes(pictures, model)
    except KeyboardInterrupt:
        return False
    return True


def work_of(trainer: Trainer, config: RunConfig) -> Work:
    processes = trainer.accelerator.num_processes
    flops = processes * config.trainer.accumulate * update_flops(trainer.bare, trainer.batches)
    return Work(flops, processes, machine(trainer.accelerator.device))


def fresh_objective(config: RunConfig) -> Objective:
    """As it was before the first update."""
    torch.manual_seed(seeds.number(config.trainer.seed, "weights"))
    return config.objective.build(config.data.resolution)


@contextmanager
def held(folder: Path, main: bool) -> Generator[None]:
    """Lock the folder for this run; a lock left by a dead process is free.

    Raises:
        UserError: another process trains there, or the folder cannot be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if main:
            lock.acquire(blocking=False)
    except Timeout:
        raise UserError(f"Another training is going on in {folder}: wait for it, or choose another --out.") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be a run's folder ({error.strerror}): choose another --out.") from None
    try:
        yield
    finally:
        lock.release()


def claim(folder: Path, config: RunConfig, may_change: Sequence[str] = MAY_CHANGE, processes: int = 1) -> None:
    """Write the resolved config, commit and seed into the folder, or check that it is this run's.

    Raises:
        UserError: it belongs to another run, or the pictures per update would change, or it has more updates
            than requested.
    """
    check_length(folder, config.trainer.updates)
    file = folder / "run.json"
    resolved, places, amount = config.plain(), processes * config.trainer.accumulate, {}
    saved = (folder / "checkpoints").is_dir() or (folder / "model").is_dir()
    if file.is_file() and saved:  # a run that never saved claims no folder
        run, before = settings_in(file)
        now = flat(resolved)
        differing = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
        if differing := [name for name in differing if name not in may_change]:
            raise UserError(
                f"{folder} holds a run with other settings ({', '.join(differing)}): "
                "choose another folder, or delete it."
            )
        check_places(run.get("places", places), places, processes)
        amount = {name: run[name] for name in (AMOUNT,) if name in run}
    folder.mkdir(parents=True, exist_ok=True)
    run_settings = {"config": resolved, "commit": commit(), "torch": torch.__version__, "places": places} | amount
    write_whole(file, json.dumps(run_settings, indent=2) + "\n")


def settings_in(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A `run.json`, and its settings by command-line name. Raises UserError: it is damaged."""
    try:
        run = json.loads(file.read_text())
        return run, flat(upgraded(run["config"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} is damaged: delete it, and the same command, with the same options, goes on."
        ) from error


def check_length(folder: Path, updates: int) -> None:
    """Raises UserError: the run has already made more updates, which cannot be undone."""
    if (saved := checkpoints_in(folder)) and (done := int(saved[-1].name)) > updates:
        raise UserError(
            f"The run in {folder} has {done} updates already, and {updates} are asked for: add --trainer.updates "
            f"{done} to finish it as it is, or a larger number to go on, or choose another folder."
        )


def check_places(before: int, now: int, processes: int) -> None:
    """Each batch of an update has a fixed place, which determines its pictures and noise, on whichever process it runs.

    Raises:
        UserError: the number of places has changed.
    """
    if before == now:
        return
    each = f"add --trainer.accumulate {before // processes}" if before % processes == 0 else ""
    raise UserError(
        f"An update of this run is made of {before} batches, and this command would make it of {now}: "
        f"{each or f'launch a number of processes that divides {before}'}, and it goes on with the same losses."
    )


def commit() -> str:
    """The commit of this package's own repository; empty for an installed package, or without git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def build(config: RunConfig, device: torch.device | str = "cpu", most: int = 0) -> tuple[Objective, Batches]:
    """The objective and its batches, all on one device.

    Args:
        most: the number of pictures to use of a set held in memory; 0 uses all.
    """
    objective = config.objective.build(config.data.resolution)  # fails faster than loading the pictures
    pictures, trainer = objective.pictures(config.data), config.trainer
    if most and isinstance(pictures, Pictures):
        pictures = pictures.first(most)
    batches = objective.batches(pictures, trainer.batch_size, trainer.seed, torch.device(device))
    objective = objective.to(device)
    if trainer.compile:
        compile_network(objective, device)
    return objective, batches


def held_out_batch(config: RunConfig, objective: Objective, device: torch.device | str = "cpu") -> Batch | None:
    """A fixed batch of held-out pictures and captions, none of them trained on; None if there are none."""
    pictures = objective.held_out(config.data, HELD_OUT) if config.trainer.held_out_every else None
    if pictures is None and objective.needs_held_out:
        raise UserError(
            "The judge of a preference watches pictures that are not trained on: hold some out with "
            "--data.held-out 0.05, and leave --trainer.held-out-every above 0."
        )
    if pictures is None:
        return None
    return objective.batches(pictures, len(pictures), 0, torch.device(device), once=True)(0, 0, 1)


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "an Apple GPU"
    return f"a CPU, {torch.get_num_threads()} threads"
