"""A finished model's card: what it is, what it cost, how to make it again."""

import json
import shutil
from pathlib import Path

from torch import nn

from e2ed2.training.config import RunConfig

CURVE_POINTS = 400  # kept beside the model; the run's folder has all
TEMPLATE = """---
license: apache-2.0
library_name: diffusers
tags: [text-to-image, end-to-end-diffusion]
---
# {name}

{what}

| | |
|---|---|
| parameters | {parameters:.1f} M trained |
| updates | {updates} of {batch} pictures: {samples} samples |
| wall time | {minutes:.0f} min on {machine} |
| work | {petaflop:.3g} PFLOP, beside what the start cost |
| last {last} logged updates, mean | {final} |
| started from | {start} |
| commit | `{commit}` |

Made by `python -m e2ed2 train {name}`; settings in `run.json`, curve in `metrics.jsonl`,
`preview.png` shows training captions (drawings above, the model's pictures below).

It knows about a thousand things that have an emoji, in six drawing styles, at 128x128 pixels, and paints
anything else as the nearest of these. Trained on drawings of Noto Emoji (Apache-2.0), Twemoji (CC BY 4.0),
Fluent Emoji (MIT), OpenMoji (CC BY-SA 4.0) and EmojiOne 2.3 (CC BY 4.0): see `THIRD_PARTY_NOTICES.md`.
"""
WHAT = {
    "codec": "Images to 8x8x32 latents and back, shared by the models beside it.",
    "coarse": "The coarse path alone, shared by the denoisers beside it.",
    "single_step": "The single-step baseline (Fig. 1a of arXiv 2412.21044), and the start of the end-to-end ones.",
    "end_to_end": "An end-to-end model (Fig. 1b of arXiv 2412.21044): the loss `{loss}` on the final sample, "
    "through all steps; T drawn from {steps} at each update.",
}


def write_card(folder: Path, run: Path, config: RunConfig, model: nn.Module, machine: str, flops: float) -> None:
    """Put the card, `run.json`, the curve and the last preview of the run into the model's folder.

    `flops` are those of one update, on each process.
    """
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve = lines[:: max(1, len(lines) // CURVE_POINTS)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in curve))
    cost = {"flop": flops * config.trainer.steps, "seconds": lines[-1]["seconds"], "machine": machine}
    settings = json.loads((run / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(settings | {"cost": cost}, indent=2) + "\n")
    previews = sorted((run / "previews").glob("*.png"))
    if previews:
        shutil.copy(previews[-1], folder / "preview.png")
    last = lines[-10:]
    terms = [key for key in last[-1] if key not in ("step", "seconds")]
    card = TEMPLATE.format(
        name=run.name,
        what=WHAT[config.objective].format(loss=config.loss, steps=", ".join(map(str, config.sampling_steps))),
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad) / 1e6,
        updates=config.trainer.steps,
        batch=config.trainer.batch_size,
        samples=config.trainer.steps * config.trainer.batch_size,
        minutes=last[-1]["seconds"] / 60,
        machine=machine,
        petaflop=cost["flop"] / 1e15,
        last=len(last),
        final=", ".join(f"{term} {sum(line[term] for line in last) / len(last):.4f}" for term in terms),
        start=_start(config),
        commit=settings["commit"][:12] or "unknown",
    )
    (folder / "README.md").write_text(card)


def _start(config: RunConfig) -> str:
    if config.init:
        return f"`{config.init}`" + (f" with the coarse path of `{config.coarse_from}`" if config.coarse_from else "")
    return (
        f"random weights beside the coarse path of `{config.coarse_from}`" if config.coarse_from else "random weights"
    )
