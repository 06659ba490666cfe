"""Fig. 1 of the paper on our data: single-step against end-to-end training at equal, counted work, over several seeds.

A small transformer on the bundled codec and coarse path is trained single-step; from there one copy continues so, the
other end to end, for the same number of floating-point operations.

python -m e2ed2.evaluation.experiments.equal_work    # resumes where it stopped; writes assets/results/equal_work.json
python -m e2ed2.evaluation.experiments.equal_work --loss l2:0.3+lpips
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from e2ed2.assets import RESULTS
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.experiments.small import (
    OverSeeds,
    finish_config,
    measured,
    over_seeds,
    start_config,
    start_of,
    trained,
)
from e2ed2.training.presets import FINISHING, finish

OUT = RESULTS / "equal_work.json"
STEPS = (1, 2, 3, 4, 50)


@dataclass(frozen=True)
class EqualWork(OverSeeds):
    """The single-step training makes as many updates as cost the same work as the end-to-end ones."""

    loss: str = "l2"
    """Loss of the end-to-end training."""


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(EqualWork)
    arms: dict[str, list[dict[int, dict[str, float]]]] = {"single-step": [], "end-to-end": []}
    work = {}
    for seed in options.seeds:
        folders, work = train_both(options, seed)
        for name, folder in folders.items():
            arms[name].append({steps: measured(options, folder, steps) for steps in STEPS})
    results = json.loads(OUT.read_text()) if OUT.is_file() else {}
    spread = {arm: {steps: over_seeds([seed[steps] for seed in of]) for steps in STEPS} for arm, of in arms.items()}
    results[options.loss] = {"settings": options.settings(), "flop": work, "arms": spread}
    OUT.write_text(json.dumps(results, indent=2) + "\n")
    print(OUT)


def train_both(options: EqualWork, seed: int) -> tuple[dict[str, Path], dict[str, float]]:
    """The folders of the two models, and the work of each part."""
    start, start_flop = start_of(options, seed)
    ours, ours_flop = trained(
        finish_config(options, finish(options.loss), seed, start), options.runs / f"{options.loss}-{seed}"
    )
    updates = matched_updates(ours_flop, start_flop / options.start_updates)
    again = start_config(options, seed, updates)
    objective = replace(again.objective, init=str(start), codec_from="", coarse_from="")
    again = replace(again, objective=objective, trainer=replace(again.trainer, lr=FINISHING.lr))
    theirs, theirs_flop = trained(again, options.runs / f"single-step-{options.loss}-{seed}")
    flop = {"start": start_flop, "end-to-end": ours_flop, "single-step": theirs_flop}
    return {"single-step": theirs, "end-to-end": ours}, flop


def matched_updates(flop: float, of_one: float) -> int:
    """The number of updates, each of `of_one` FLOP, that together cost at least `flop`."""
    return -int(-flop // of_one)


if __name__ == "__main__":
    main()
