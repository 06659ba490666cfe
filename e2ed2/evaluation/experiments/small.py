"""What the experiments over seeds share: a small single-step model for each seed, and the trainings from it.

All use the bundled codec and coarse path. A finished training is reused; one that was stopped is resumed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import tyro
from scipy.stats import t as student

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.evaluation.config import Evaluate, check_captions
from e2ed2.evaluation.metrics.ceilings import head_digest
from e2ed2.evaluation.results import read_result
from e2ed2.evaluation.run import evaluate, up_to_date
from e2ed2.files import runs_folder
from e2ed2.models.components import WEIGHTS, digest
from e2ed2.models.config import DenoiserConfig
from e2ed2.training.config import RunConfig
from e2ed2.training.presets import BASELINE, SINGLE_STEP
from e2ed2.training.run import claim, train

SMALL = DenoiserConfig(width=96, depth=2)
START_BATCH, FINISH_BATCH = 64, 32  # a quarter and a half of the presets
COARSE = str(CHECKPOINTS / "coarse")


@dataclass(frozen=True)
class OverSeeds:
    """How much to train and to measure."""

    seeds: tuple[int, ...] = (0, 1, 2)
    start_updates: int = 2000
    finish_updates: int = 1000
    """Updates of the end-to-end training."""
    captions: Annotated[int, tyro.conf.arg(aliases=("--limit",))] = 2000
    """Captions sampled for each figure."""
    runs: Path = field(default_factory=lambda: runs_folder() / "over-seeds")

    def __post_init__(self) -> None:
        check_captions(self.captions)
        if len(self.seeds) < 2:
            raise UserError("An interval needs at least two seeds: add one to --seeds.")

    def settings(self) -> dict[str, Any]:
        """The settings that change a figure, as JSON types, with hashes of the coarse path and the retrieval head."""
        chosen = {name: value for name, value in asdict(self).items() if name != "runs"}
        return chosen | {"coarse": digest(CHECKPOINTS / "coarse" / WEIGHTS), "head": head_digest()}


def start_config(options: OverSeeds, seed: int, updates: int = 0) -> RunConfig:
    trainer = replace(SINGLE_STEP.trainer, updates=updates or options.start_updates, batch_size=START_BATCH, seed=seed)
    return RunConfig(replace(BASELINE, codec_from=COARSE, coarse_from=COARSE, denoiser=SMALL), trainer=trainer)


def finish_config(options: OverSeeds, preset: RunConfig, seed: int, start: Path) -> RunConfig:
    """The preset's training from that start, with fewer and smaller updates."""
    trainer = replace(preset.trainer, updates=options.finish_updates, batch_size=FINISH_BATCH, seed=seed)
    return RunConfig(replace(preset.objective, init=str(start)), trainer=trainer)


def start_of(options: OverSeeds, seed: int) -> tuple[Path, float]:
    return trained(start_config(options, seed), options.runs / f"start-{seed}")


def trained(config: RunConfig, folder: Path) -> tuple[Path, float]:
    """The finished model's folder, and the floating-point operations it cost."""
    claim(folder, config, may_change=())  # work is compared, so no training may be longer
    model = folder / "model"
    if not (model / "README.md").is_file() and not train(config, folder):
        raise SystemExit(130)
    return model, json.loads((model / "run.json").read_text())["cost"]["flop"]


def measured(options: OverSeeds, folder: Path, steps: int) -> dict[str, float]:
    out = folder.parent / f"evaluation-{steps}.json"
    wanted = Evaluate(str(folder), steps=steps, split="train", captions=options.captions, variety=0, nearest=0, out=out)
    result = read_result(out) if up_to_date(wanted) else evaluate(wanted)
    return {"fd": result["distance"]["fd"], "kid": result["distance"]["kid"], "top1": result["alignment"]["top1"]}


def over_seeds(figures: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """For each figure: every seed's value, their mean, and its 95% interval (Student's t)."""
    return {name: interval([one[name] for one in figures]) for name in figures[0]}


def interval(values: list[float]) -> dict[str, Any]:
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return {"values": values, "mean": mean(values), "half_width": half}
