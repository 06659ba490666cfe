"""Describes a model or a planned run, in words and numbers."""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from e2ed2.data.config import BUNDLED, COLOURED
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.inference.request import STEPS, is_stock, model_path
from e2ed2.inference.sampling import load, most_steps
from e2ed2.inference.stock import StockPipeline, load_stock
from e2ed2.models.references import independent_steps
from e2ed2.tensors import raise_if_out_of_memory
from e2ed2.training.config import RunConfig
from e2ed2.training.flops import update_flops
from e2ed2.training.memory import update_memory, what_to_lower
from e2ed2.training.precision import accelerator_for
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer

NETWORKS = ("unet", "transformer")  # pipelines' names of the trained network
FEW = 64  # pictures; each must be encoded, and its captions embedded, before the first update


def describe_model(model: str, device: str = "") -> str:
    """A model's parts, their parameters, and the FLOPs of a picture in 1 to 4 steps, as far as it supports them."""
    if is_stock(folder := model_path(model)):
        return describe_stock(load_stock(folder, independent_steps(folder) or 1, device=device), model)
    pipeline = load(model, device=device)
    denoiser = pipeline.denoiser
    z = torch.zeros(1, *denoiser.latent_shape, device=pipeline.device)
    lines = [
        f"{model}: {millions(denoiser.coarse)} coarse path, {millions(denoiser.transformers)} transformer "
        f"({denoiser.config.sharing}), {millions(pipeline.codec)} codec"
    ]
    for steps in range(STEPS[0], most_steps(pipeline) + 1):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            text = pipeline.text_encoder(["red apple"]).to(pipeline.device)
            pipeline.codec.decode(sample(denoiser, z, text, uniform_levels(steps)))
        gflop = counter.get_total_flops() / 1e9
        taken = f"{steps} step{'s' * (steps > 1)}"
        lines.append(f"{taken}: {gflop:.2f} GFLOP a picture, caption and decoding included")
    return "\n".join(lines)


def describe_stock(stock: StockPipeline, model: str) -> str:
    """A diffusers pipeline: its parts, its cost, and which `--parts` of its network can be trained."""
    modules = {name: part for name, part in stock.pipeline.components.items() if isinstance(part, torch.nn.Module)}
    sizes = ", ".join(f"{millions(part)} {name}" for name, part in modules.items())
    lines = [f"{model}, a {type(stock.pipeline).__name__}: {sizes}"]
    for steps in (stock.only_steps,) if stock.only_steps else STEPS:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            replace(stock, steps=steps)(["red apple"], [0])
        lines.append(f"{steps} steps: {counter.get_total_flops() / 1e9:.2f} GFLOP a picture, all included")
    if stock.only_steps:
        return "\n".join(lines)  # no training starts from it
    networks = [part for name, part in modules.items() if name in NETWORKS]
    words = {word for part in networks for name, _ in part.named_parameters() for word in name.split(".")[:-1]}
    lines.append(f"parts: {', '.join(sorted(word for word in words if not word.isdigit()))}")
    return "\n".join(lines)


def describe_run(config: RunConfig, device: str = "", updates: int = 4) -> str:
    """Parameters, FLOPs, memory, speed and time, then the resolved config.

    A few updates are made exactly as in the training, in its precision, on some of its pictures, and discarded.

    Raises:
        UserError: there is no such device, or not enough memory.
    """
    with raise_if_out_of_memory(what_to_lower(config)):
        return _described(config, device, updates)


def _described(config: RunConfig, device: str, updates: int) -> str:
    accelerator = accelerator_for(config.trainer, device)
    objective, batches = build(_as_drawn(config), accelerator.device, most=FEW)
    trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad)
    flops = config.trainer.accumulate * update_flops(objective, batches, updates)
    memory = update_memory(objective, batches, config.trainer.batch_size, accelerator.autocast)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config.trainer, objective, batches, Path(folder), accelerator)
        trainer.train_step()  # the first update is slower than the rest
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
            str(memory),
            f"{pictures / seconds:.1f} samples/s on {accelerator.device.type} in "
            f"{accelerator.mixed_precision.replace('no', 'float32')}, "
            f"about {seconds * config.trainer.updates / 60:.0f} min in all, previews and saving apart",
            json.dumps(config.plain(), indent=2),
        ]
    )


def _as_drawn(config: RunConfig) -> RunConfig:
    """The same run on the drawings as drawn: recoloured ones cost the same to train on, but take a minute to make."""
    return replace(config, data=replace(config.data, path=BUNDLED)) if config.data.path == COLOURED else config


def millions(module: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.1f} M"
