"""Fig. 1 of the paper on our data: single-step against end-to-end training at equal, counted work, over several seeds.

A small transformer on the bundled codec and coarse path is trained single-step; from there one copy goes on so, the
other end to end, for the same number of floating-point operations.

python -m e2ed2.evaluation.experiments.equal_work    # goes on where it stopped; writes assets/results/equal_work.json
python -m e2ed2.evaluation.experiments.equal_work --loss l2:0.3+lpips
"""

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import tyro
from scipy.stats import t as student

from e2ed2.assets import CHECKPOINTS, RESULTS
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.config import Evaluate, check_captions
from e2ed2.evaluation.results import read_result
from e2ed2.evaluation.run import evaluate
from e2ed2.files import runs_folder
from e2ed2.models.components import WEIGHTS, digest
from e2ed2.models.config import DenoiserConfig
from e2ed2.training.config import RunConfig
from e2ed2.training.presets import BASELINE, FINISHING, SINGLE_STEP, finish
from e2ed2.training.run import claim, train

OUT = RESULTS / "equal_work.json"
STEPS = (1, 2, 3, 4, 50)
SMALL = DenoiserConfig(width=96, depth=2)
START_BATCH, FINISH_BATCH = 64, 32  # a quarter and a half of the presets
COARSE = str(CHECKPOINTS / "coarse")


@dataclass(frozen=True)
class EqualWork:
    loss: str = "l2"
    """Of the end-to-end training."""
    seeds: tuple[int, ...] = (0, 1, 2)
    start_updates: int = 2000
    finish_updates: int = 1000
    """End to end; as many single-step ones as cost the same."""
    captions: Annotated[int, tyro.conf.arg(aliases=("--limit",))] = 2000
    """For each figure."""
    runs: Path = field(default_factory=lambda: runs_folder() / "equal-work")

    def __post_init__(self) -> None:
        check_captions(self.captions)


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(EqualWork)
    if len(options.seeds) < 2:
        sys.exit("An interval needs at least two seeds: add one to --seeds.")
    arms: dict[str, list[dict[int, dict[str, float]]]] = {"single-step": [], "end-to-end": []}
    work = {}
    for seed in options.seeds:
        folders, work = train_both(options, seed)
        for name, folder in folders.items():
            arms[name].append({steps: measured(options, folder, steps) for steps in STEPS})
    found = json.loads(OUT.read_text()) if OUT.is_file() else {}
    settings = asdict(options) | {"runs": str(options.runs), "coarse": digest(CHECKPOINTS / "coarse" / WEIGHTS)}
    found[options.loss] = {"settings": settings, "flop": work, "arms": {k: summary(v) for k, v in arms.items()}}
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    print(OUT)


def train_both(options: EqualWork, seed: int) -> tuple[dict[str, Path], dict[str, float]]:
    """The two models' folders, and the work of each part."""
    start, start_flop = trained(start_config(options, seed), options.runs / f"start-{seed}")
    ours, ours_flop = trained(finish_config(options, seed, start), options.runs / f"{options.loss}-{seed}")
    updates = matched_updates(ours_flop, start_flop / options.start_updates)
    again = start_config(options, seed, updates)
    objective = replace(again.objective, init=str(start), codec_from="", coarse_from="")
    again = replace(again, objective=objective, trainer=replace(again.trainer, lr=FINISHING.lr))
    theirs, theirs_flop = trained(again, options.runs / f"single-step-{options.loss}-{seed}")
    flop = {"start": start_flop, "end-to-end": ours_flop, "single-step": theirs_flop}
    return {"single-step": theirs, "end-to-end": ours}, flop


def start_config(options: EqualWork, seed: int, updates: int = 0) -> RunConfig:
    trainer = replace(SINGLE_STEP.trainer, updates=updates or options.start_updates, batch_size=START_BATCH, seed=seed)
    return RunConfig(replace(BASELINE, codec_from=COARSE, coarse_from=COARSE, denoiser=SMALL), trainer=trainer)


def finish_config(options: EqualWork, seed: int, start: Path) -> RunConfig:
    preset = finish(options.loss)
    trainer = replace(preset.trainer, updates=options.finish_updates, batch_size=FINISH_BATCH, seed=seed)
    return RunConfig(replace(preset.objective, init=str(start)), trainer=trainer)


def trained(config: RunConfig, folder: Path) -> tuple[Path, float]:
    """The finished model's folder, and the floating-point operations it cost."""
    claim(folder, config, may_change=())  # work is compared, so none of it may be longer
    model = folder / "model"
    if not (model / "README.md").is_file() and not train(config, folder):
        raise SystemExit(130)
    return model, json.loads((model / "run.json").read_text())["cost"]["flop"]


def matched_updates(flop: float, of_one: float) -> int:
    """Updates of a kind that together cost no less than `flop`."""
    return -int(-flop // of_one)


def measured(options: EqualWork, folder: Path, steps: int) -> dict[str, float]:
    out = folder.parent / f"evaluation-{steps}.json"
    wanted = Evaluate(str(folder), steps=steps, split="train", captions=options.captions, variety=0, nearest=0, out=out)
    result = read_result(out) if out.is_file() else {}
    if not result or result["settings"]["captions"] != options.captions:
        result = evaluate(wanted)
    return {"fd": result["distance"]["fd"], "kid": result["distance"]["kid"], "top1": result["alignment"]["top1"]}


def summary(seeds: list[dict[int, dict[str, float]]]) -> dict[int, dict[str, Any]]:
    """For each number of steps and figure: every seed's value, the mean, and its 95% interval (Student's t)."""
    return {
        steps: {name: interval([seed[steps][name] for seed in seeds]) for name in seeds[0][steps]} for steps in seeds[0]
    }


def interval(values: list[float]) -> dict[str, Any]:
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return {"values": values, "mean": mean(values), "half_width": half}


if __name__ == "__main__":
    main()
