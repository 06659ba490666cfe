"""A finished model's card: what it is, what it cost, how to reproduce it."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from e2ed2.data.config import BUNDLED, COLOURED, HUB, is_bundled
from e2ed2.data.pictures import PictureSet
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.models.backbones.step_adapters import step_adapters
from e2ed2.models.references import INDEX
from e2ed2.training.config import RunConfig
from e2ed2.training.metrics import Logged, read_metrics, write_metrics

FLOW_SCHEDULER = "FlowMatchEulerDiscreteScheduler"  # its levels are passed with each call
CLEANING = "PixArt"  # its pipelines rewrite captions if two more packages are installed
CURVE_POINTS = 400  # stored beside the model; the run's folder has all points
TEMPLATE = """---
{license}library_name: diffusers
tags: [text-to-image, end-to-end-diffusion]
---
# {name}

{what}

| | |
|---|---|
| data | {data} |
| parameters | {parameters:.1f} M trained |
| updates | {updates} of {batch} {unit}{processes}: {samples} samples |
| wall time | {minutes} on {machine} |
| work | {petaflop:.3g} PFLOP, beside what the start cost |
| last {last} logged updates, mean | {final} |
| started from | {start} |
| commit | `{commit}` |

Settings are in `run.json`, the curve in `metrics.jsonl`; `preview.webp` shows {shows}.

{about}
{beside}{usage}"""
USAGE = """
    from e2ed2 import E2ED2Pipeline

    E2ED2Pipeline.from_pretrained("{folder}")("{caption}", num_inference_steps={steps}).images[0]
"""
STOCK_USAGE = """
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained("{folder}")
    pipe("{caption}", {call}).images[0]

Without guidance, for which it was not trained; the scheduler takes the very steps of the training{levels}.{lora}
"""
STEPWISE_USAGE = """
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained("{folder}")
    adapters = {adapters}
    for name in adapters:
        pipe.load_lora_weights("{folder}/lora", weight_name=f"{{name}}.safetensors", adapter_name=name)

    def next_adapter(pipe, step, timestep, tensors):
        pipe.set_adapters(adapters[(step + 1) % len(adapters)])
        return tensors

    pipe.set_adapters(adapters[0])
    pipe("{caption}", {call}, callback_on_step_end=next_adapter).images[0]

Each of its {steps} steps has an adapter of its own in `lora/`; without them this is what the training started from.
Call it with that number of steps, and without guidance, for which it was not trained; the scheduler takes the very
steps of the training{levels}.
"""
WITH_SIGMAS = ", if it is given `sigmas`: by itself it would begin its last step at 0.001"
THESE_ALONE = ", which were {steps}, and no other number"
LORA_USAGE = " `lora/` has the adapters alone, for `load_lora_weights` on the pipeline that the training started from."
BACKBONE_DATA = """The weights are those of `{backbone}`, trained further: its licence holds for them.
"""
BUNDLED_SETS = {BUNDLED: "the bundled drawings", COLOURED: "the bundled drawings, and each in two more colours"}
BUNDLED_KNOWS = """It knows about a thousand things that have an emoji, in six drawing styles, at 128x128 pixels;
anything else comes out as the nearest of these.
"""
BUNDLED_DATA = """Trained on drawings of Noto Emoji (Apache-2.0), Twemoji (CC BY 4.0),
Fluent Emoji (MIT), OpenMoji (CC BY-SA 4.0) and EmojiOne 2.3 (CC BY 4.0): see `THIRD_PARTY_NOTICES.md`.
"""
UNKNOWN_DATA = """The data set says nothing of its licence: whoever publishes this model must know whether they may.
"""
LICENSED_DATA = """What the data set says of its licence (`{file}`):

> {text}
"""
QUOTED = 1000  # characters
LICENSE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING", "README.md")


@dataclass(frozen=True)
class Work:
    """What an update costs, and where it was made."""

    flops: float  # on all processes
    processes: int
    machine: str


def write_card(
    folder: Path,
    run: Path,
    config: RunConfig,
    model: nn.Module,
    pictures: PictureSet,
    work: Work,
    beside: str = "",
) -> None:
    """Put the card, `run.json`, the curve and the last preview of the run into the model's folder.

    `beside` is text from the objective.
    """
    lines = read_metrics(run)
    updates = lines[-1].update  # fewer than requested if training stopped early
    cost = {"flop": work.flops * updates, "seconds": lines[-1].seconds, "machine": work.machine}
    settings = json.loads((run / "run.json").read_text()) | {"cost": cost}
    write_beside(folder, run, settings, lines)
    last = lines[-10:]
    path = config.objective.source(config.data.path)
    ours = is_bundled(path) and not config.objective.pipeline()
    size = f"{len(pictures)} pictures at {config.data.resolution}x{config.data.resolution} pixels"
    card = TEMPLATE.format(
        name=run.name,
        license="license: apache-2.0\n" if ours else "",
        data=BUNDLED_SETS.get(path, f"`{path}`, {size}"),
        about=about(config),
        beside=beside,
        usage=usage(folder, config, pictures),
        processes=f" on each of {work.processes} processes" if work.processes > 1 else "",
        what=config.objective.what(),
        shows=config.objective.shows(),
        unit=config.objective.unit,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad) / 1e6,
        updates=updates,
        batch=config.trainer.pictures,
        samples=updates * config.trainer.pictures * work.processes * config.objective.pictures_each(),
        minutes=duration(last[-1].seconds),
        machine=work.machine,
        petaflop=cost["flop"] / 1e15,
        last=len(last),
        final=", ".join(f"{name} {mean(last, name):.4g}" for name in last[-1].names() if name != "lr"),
        start=config.objective.start(),
        commit=settings["commit"][:12] or "unknown",
    )
    (folder / "README.md").write_text(card)


def write_beside(folder: Path, run: Path, settings: dict[str, Any], lines: list[Logged]) -> None:
    """Write, beside the card, the settings, a few hundred points of the curve and the newest preview."""
    (folder / "run.json").write_text(json.dumps(settings, indent=2) + "\n")
    write_metrics(folder, lines[:: max(1, len(lines) // CURVE_POINTS)])
    if previews := list((run / "previews").glob("*.png")):
        newest = max(previews, key=lambda file: (len(file.stem), file.stem))  # longer from a million updates on
        Image.open(newest).save(folder / "preview.webp", lossless=True, quality=75, method=4)


def mean(lines: list[Logged], name: str) -> float:
    """The mean of the value with that name over these lines; NaN if none has it."""
    values = [value for line in lines if (value := line.value(name)) is not None]
    return sum(values) / len(values) if values else math.nan


def about(config: RunConfig) -> str:
    """What the model knows, and the origin of its data."""
    path = config.objective.source(config.data.path)
    data = BUNDLED_DATA if is_bundled(path) else licence_of(path)
    if pipeline := config.objective.pipeline():
        return BACKBONE_DATA.format(backbone=pipeline) + data
    return BUNDLED_KNOWS + data if is_bundled(path) else data


def licence_of(path: str) -> str:
    """The licence stated in a file beside the pictures; a licence is never guessed."""
    if path.startswith(HUB):  # an id is not a folder, and local files do not belong to that set
        return UNKNOWN_DATA
    data = Path(path)
    folder = data if data.is_dir() else data.parent
    for name in LICENSE_FILES:
        if (folder / name).is_file():
            text = (folder / name).read_text(encoding="utf-8", errors="replace").strip()
            if name != "README.md" or re.search(r"licen[cs]e", text, re.IGNORECASE):
                return LICENSED_DATA.format(file=name, text=text[:QUOTED].replace("\n", "\n> "))
    return UNKNOWN_DATA


def usage(folder: Path, config: RunConfig, pictures: PictureSet) -> str:
    """Python code that samples from the model; empty for parts of a model, which cannot sample alone."""
    if not (steps := config.objective.chain_steps()):
        return ""
    caption = pictures.example.replace('"', "'")
    if not config.objective.pipeline():
        return USAGE.format(folder=folder, caption=caption, steps=steps)
    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    call, levels = f"num_inference_steps={steps}, guidance_scale=1", ""
    if scheduler.get("shift_terminal"):
        levels = THESE_ALONE.format(steps=steps)
    elif scheduler["_class_name"] == FLOW_SCHEDULER:
        call += f", sigmas={[round(level, 4) for level in uniform_levels(steps)[:-1]]}"
        levels = WITH_SIGMAS
    if json.loads((folder / INDEX).read_text())["_class_name"].startswith(CLEANING):
        call += ", clean_caption=False"
    if own := config.objective.independent_steps():
        adapters = json.dumps(step_adapters(own))
        return STEPWISE_USAGE.format(
            folder=folder, caption=caption, call=call, steps=own, levels=levels, adapters=adapters
        )
    lora = LORA_USAGE if (folder / "lora").is_dir() else ""
    return STOCK_USAGE.format(folder=folder, caption=caption, call=call, levels=levels, lora=lora)


def duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
