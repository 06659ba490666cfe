"""What a model or a planned run is, in words and numbers."""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode

from e2ed2.data.config import BUNDLED, COLOURED
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.inference.request import STEPS
from e2ed2.inference.sampling import load, most_steps
from e2ed2.training.config import RunConfig
from e2ed2.training.flops import update_flops
from e2ed2.training.precision import precision
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer

FEW = 64  # pictures: more have to be encoded, and their captions embedded, before the first update


def describe_model(model: str) -> str:
    """Its parts, their parameters, and the FLOPs of a picture in 1 to 4 steps, as far as it takes so many."""
    pipeline = load(model)
    z = torch.zeros(1, *pipeline.denoiser.latent_shape)
    lines = [f"{model}: {parts_of(pipeline.denoiser)}, {millions(pipeline.codec)} codec"]
    for steps in range(STEPS[0], most_steps(pipeline) + 1):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            text = pipeline.text_encoder(["red apple"])
            pipeline.codec.decode(sample(pipeline.denoiser, z, text, uniform_levels(steps)))
        gflop = counter.get_total_flops() / 1e9
        taken = f"{steps} step{'s' * (steps > 1)}"
        lines.append(f"{taken}: {gflop:.2f} GFLOP a picture, caption and decoding included")
    return "\n".join(lines)


def parts_of(denoiser: Any) -> str:
    """A denoiser's parts and their parameters; of a backbone also what its weights are called, for `--parts`."""
    if not hasattr(denoiser, "network"):
        sharing = denoiser.config.sharing
        return f"{millions(denoiser.coarse)} coarse path, {millions(denoiser.transformers)} transformer ({sharing})"
    network = denoiser.network
    names = {part for name, _ in network.named_parameters() for part in name.split(".") if not part.isdigit()}
    called = ", ".join(sorted(names))
    return f"{millions(network)} {type(network).__name__} (parts: {called})"


def describe_run(config: RunConfig, updates: int = 4) -> str:
    """Parameters, FLOPs, speed and time, then the resolved config.

    A few updates are made as the training makes them, in its precision, on some of its pictures, and thrown away.
    """
    accelerator = Accelerator(mixed_precision=precision(config.trainer))
    objective, batches = build(_as_drawn(config), accelerator.device, most=FEW)
    trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad)
    flops = config.trainer.accumulate * update_flops(objective, batches, updates)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config.trainer, objective, batches, Path(folder), accelerator)
        trainer.train_step()  # the first is slower than the rest
        started = time.monotonic()
        for _ in range(updates):
            trainer.train_step()
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = (time.monotonic() - started) / updates
    pictures = config.trainer.pictures * accelerator.num_processes
    return "\n".join(
        [
            f"{trained / 1e6:.2f} M trained parameters",
            f"{flops / 1e9:.1f} GFLOP an update of {config.trainer.pictures} pictures",
            f"{pictures / seconds:.1f} samples/s on {accelerator.device.type} in "
            f"{accelerator.mixed_precision.replace('no', 'float32')}, "
            f"about {seconds * config.trainer.updates / 60:.0f} min in all, previews and saving apart",
            json.dumps(config.plain(), indent=2),
        ]
    )


def _as_drawn(config: RunConfig) -> RunConfig:
    """Turned drawings cost no more to learn from, but a minute to make."""
    return replace(config, data=replace(config.data, path=BUNDLED)) if config.data.path == COLOURED else config


def millions(module: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.1f} M"
