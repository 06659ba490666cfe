"""Build a run from its config, train it, write the finished model."""

import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import nn

from e2ed2 import seeds
from e2ed2.data.batches import CaptionedBatches, CropBatches
from e2ed2.data.captions import caption_pool
from e2ed2.data.pictures import DataConfig, load_pictures
from e2ed2.errors import UserError, raise_if_disk_full
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser, independent_copies
from e2ed2.models.codec import Codec
from e2ed2.models.references import model_folder
from e2ed2.models.weights import load_coarse, load_codec, load_denoiser, save_model
from e2ed2.objectives.coarse import CoarseRegression
from e2ed2.objectives.end_to_end import EndToEnd
from e2ed2.objectives.objective import DenoiserObjective, Objective
from e2ed2.objectives.reconstruction import Reconstruction
from e2ed2.objectives.single_step import SingleStep
from e2ed2.training.card import write_card
from e2ed2.training.config import RunConfig
from e2ed2.training.flops import update_flops
from e2ed2.training.trainer import Batches, Trainer, TrainerConfig, precision

# How long, how often and where from: what a run may go on with, changed.
MAY_CHANGE = ("trainer.steps", "trainer.log-every", "trainer.preview-every", "trainer.save-every", "data.path")
USUAL = {  # of settings that are younger than a run
    "trainer": json.loads(json.dumps(asdict(TrainerConfig()))),
    "data": asdict(DataConfig()),
}


def train(config: RunConfig, folder: Path) -> bool:
    """Train in `folder`, or go on there. True when finished: the model is then in `folder/model`.

    Raises:
        UserError: the folder holds another run, or something that the config names is missing or damaged.
    """
    accelerator = Accelerator(mixed_precision=precision(config.trainer))
    with held(folder, accelerator.is_main_process):
        claim(folder, config)
        torch.manual_seed(seeds.number(config.trainer.seed, "weights"))
        objective, batches = build(config, accelerator.device)
        groups = parameter_groups(config, objective.model)
        trainer = Trainer(config.trainer, objective, batches, folder, groups, accelerator)
        finished = trainer.run()
        if finished and accelerator.is_main_process:
            with raise_if_disk_full(folder / "model", RuntimeError, SafetensorError), trainer.averaged() as model:
                export(objective, batches, folder / "model")
                processes = accelerator.num_processes
                flops = processes * update_flops(objective, batches)
                pictures = batches.pictures
                write_card(folder / "model", folder, config, model, pictures, machine(), flops, processes)
    return finished


@contextmanager
def held(folder: Path, main: bool) -> Generator[None]:
    """The folder is this run's as long as it goes on; a lock that a dead process left is free.

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


def claim(folder: Path, config: RunConfig, may_change: Sequence[str] = MAY_CHANGE) -> None:
    """Write the resolved config, commit and seed into the folder, or check that it is this run's."""
    file = folder / "run.json"
    resolved = json.loads(json.dumps(asdict(config)))
    saved = (folder / "checkpoints").is_dir() or (folder / "model").is_dir()
    if file.is_file() and saved:  # a run that never saved claims nothing
        usual = {one.name: one.default for one in fields(config)}  # of what is younger than the run
        before = usual | json.loads(file.read_text())["config"]
        if differing := [name for name in differences(before, resolved) if name not in may_change]:
            raise UserError(
                f"{folder} holds a run with other settings ({', '.join(differing)}): "
                "choose another folder, or delete it."
            )
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"config": resolved, "commit": commit(), "torch": torch.__version__}, indent=2) + "\n")


def differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """The settings that differ, as the command line calls them."""
    found = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences({**USUAL.get(name, {}), **old}, new, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name}".replace("_", "-"))
    return found


def commit() -> str:
    """Of this package's own repository; empty where it is installed, and without git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def build(config: RunConfig, device: torch.device | str = "cpu") -> tuple[Objective, Batches]:
    """The objective and its batches, all on one device."""
    objective, batches = parts(config, torch.device(device))
    return objective.to(device), batches


def parts(config: RunConfig, device: torch.device) -> tuple[Objective, Batches]:
    pictures = load_pictures(config.data)
    trainer = config.trainer
    if config.objective == "codec":
        codec = load_codec(model_folder(config.init)) if config.init else config.codec.build()
        check_multiples(config, codec.factor)
        return Reconstruction(codec), CropBatches(pictures, trainer.batch_size, trainer.seed, config.crop, device)
    codec = load_codec(model_folder(config.init or config.codec_from))
    denoiser = build_denoiser(config)
    check_resolution(config, denoiser, codec)
    objective = denoiser_objective(config, denoiser.train(), codec)
    batches = CaptionedBatches(
        pictures,
        caption_pool(pictures, config.precompute),
        codec,
        trainer.batch_size,
        trainer.seed,
        config.styled_share,
        config.text_noise,
        with_images=objective.sees_images,
        with_words=objective.sees_words,
        device=device,
        precompute=config.precompute,
    )
    return objective, batches


def check_multiples(config: RunConfig, factor: int) -> None:
    """A codec takes pictures and crops of whole latents."""
    if config.data.resolution % factor or min(config.crop, config.data.resolution) % factor:
        raise UserError(
            f"The codec makes one latent of {factor} by {factor} pixels: choose multiples of {factor} for "
            "--data.resolution and --crop."
        )


def check_resolution(config: RunConfig, denoiser: CoarseToFineDenoiser, codec: Codec) -> None:
    grid, factor = denoiser.config["grid"], codec.factor
    if config.data.resolution != grid * factor:
        raise UserError(
            f"A resolution of {config.data.resolution} does not fit the denoiser's {grid} by {grid} latents of "
            f"{factor} by {factor} pixels: choose --data.resolution {grid * factor}."
        )


def build_denoiser(config: RunConfig) -> CoarseToFineDenoiser:
    denoiser = load_denoiser(model_folder(config.init)) if config.init else config.denoiser.build()
    if config.init and config.denoiser.sharing == "independent":
        denoiser = independent_copies(denoiser, config.denoiser.steps)
    if config.init and config.denoiser.choice == "one-hot":
        denoiser.choose_one()
    if config.coarse_from:
        load_coarse(denoiser, model_folder(config.coarse_from))
    denoiser.coarse.requires_grad_(config.coarse_lr_share > 0)
    return denoiser


def denoiser_objective(config: RunConfig, denoiser: CoarseToFineDenoiser, codec: Codec) -> DenoiserObjective:
    if config.objective == "coarse":
        return CoarseRegression(denoiser, codec, config.samples)
    if config.objective == "single_step":
        return SingleStep(denoiser, codec, config.time_shift)
    return EndToEnd(
        denoiser,
        codec,
        config.loss,
        config.sampling_steps,
        config.backprop_steps,
        config.checkpointed,
        config.samples,
        config.repulsion,
    )


def parameter_groups(config: RunConfig, model: nn.Module) -> list[dict[str, Any]]:
    """The coarse path learns at a rate of its own: a full one destroys what it has learnt."""
    rate = config.trainer.lr
    if not isinstance(model, CoarseToFineDenoiser):
        return [{"params": model.parameters(), "lr": rate}]
    parts = [(model.coarse, rate * config.coarse_lr_share), (model.transformers, rate)]
    groups = [{"params": [p for p in part.parameters() if p.requires_grad], "lr": lr} for part, lr in parts]
    return [group for group in groups if group["params"]]


def machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"a CPU, {torch.get_num_threads()} threads"


def export(objective: Objective, batches: Batches, folder: Path) -> None:
    """Write the finished model; the codec's latents are measured first.

    Raises:
        UserError: the weights are not finite, so that the model could only make black pictures.
    """
    if not all(torch.isfinite(weights).all() for weights in objective.model.parameters()):
        raise UserError("The trained weights are not finite, so no model is written: train again at a lower rate.")
    if isinstance(objective, Reconstruction) and isinstance(batches, CropBatches):
        pictures, codec = batches.pictures, objective.model
        chunks = torch.arange(0, len(pictures), max(1, len(pictures) // 512)).split(64)
        codec.measure([pictures.tensor(chunk).to(codec.device) for chunk in chunks])
        save_model(codec, folder / "codec")
    elif isinstance(objective, DenoiserObjective):
        save_model(objective.model, folder / "denoiser")
        save_model(objective.codec, folder / "codec")
