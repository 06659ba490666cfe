"""What a model or a planned run is, in words and numbers."""

import json
import time
from dataclasses import asdict

import torch
from torch.utils.flop_counter import FlopCounterMode

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.inference.request import load
from e2ed2.objectives.objective import total
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.config import RunConfig
from e2ed2.training.flops import update_flops
from e2ed2.training.run import build


def describe_model(model: str) -> str:
    pipeline = load(model)
    config = pipeline.denoiser.config
    z = torch.zeros(1, config.channels, config.grid, config.grid)
    lines = [
        f"{model}: {millions(pipeline.denoiser.coarse)} coarse path, "
        f"{millions(pipeline.denoiser.transformers)} transformer ({config.sharing}), {millions(pipeline.codec)} codec"
    ]
    for steps in (1, 2, 3, 4):
        if config.sharing == "independent" and steps > config.steps:
            break
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            text = pipeline.text_encoder(["red apple"])
            pipeline.codec.decode(sample(pipeline.denoiser, z, text, uniform_levels(steps)))
        lines.append(
            f"{steps} steps: {counter.get_total_flops() / 1e9:.2f} GFLOP a picture, caption and decoding included"
        )
    return "\n".join(lines)


def describe_run(config: RunConfig, updates: int = 3) -> str:
    """The resolved config, and parameters, FLOPs, speed and ETA from a few updates that are thrown away."""
    objective, batches = build(config)
    objective.model.train()

    def update(step: int) -> None:
        seeds = UpdateSeeds(0, step, device=next(objective.parameters()).device)
        total(objective(batches(step, 0, 1), seeds)).backward()

    flops = update_flops(objective, batches, updates)
    started = time.monotonic()
    for step in range(updates):
        update(step + 1)
    seconds = (time.monotonic() - started) / updates
    trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad)
    return (
        json.dumps(asdict(config), indent=2)
        + f"\n{trained / 1e6:.2f} M trained parameters"
        + f"\n{flops / 1e9:.1f} GFLOP an update of {config.trainer.batch_size} pictures"
        + f"\n{config.trainer.batch_size / seconds:.1f} samples/s, "
        + f"about {seconds * config.trainer.steps / 60:.0f} min in all"
    )


def millions(module: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.1f} M"
