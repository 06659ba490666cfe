"""Evaluate the bundled models and write docs/results.md from the JSON files and the sample sheets.

python -m e2ed2.evaluation.report.run
    what is missing or was made by other weights; Ctrl-C is safe
python -m e2ed2.evaluation.report.run --models l2 energy
    those only; the page is written from all files that are there
python -m e2ed2.evaluation.report.run --models runs/single-step-long/model
    a run that is not bundled
python -m e2ed2.evaluation.report.run --times
    how long a picture takes, for every bundled model, on this machine
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from e2ed2.assets import RESULTS
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.config import Evaluate
from e2ed2.evaluation.emoji import COLOUR, WORDS
from e2ed2.evaluation.experiments.ablations import OUT as ABLATIONS
from e2ed2.evaluation.experiments.equal_work import OUT as EQUAL_WORK
from e2ed2.evaluation.generators import load_generator
from e2ed2.evaluation.metrics.ceilings import load_ceilings
from e2ed2.evaluation.report.claims import BASELINES
from e2ed2.evaluation.report.colours import read_colours
from e2ed2.evaluation.report.page import Found, write_page
from e2ed2.evaluation.results import as_result, read_result, write_result
from e2ed2.evaluation.run import cost_of, evaluate, up_to_date
from e2ed2.inference.request import STEPS, available_models, model_path
from e2ed2.inference.sampling import load, most_steps
from e2ed2.progress import track
from e2ed2.reading.captions import knows_colours

FOLDER = RESULTS
MORE_STEPS = (8, 50)  # for the single-step baselines only
VARIETY = 60  # captions: with 24 the ratio is off by up to 0.02
OTHER_SPLITS = ("combo", "concept", *WORDS)


@dataclass(frozen=True)
class Results:
    models: tuple[str, ...] = tuple(available_models())
    captions: Annotated[int, tyro.conf.arg(aliases=("--limit",))] = 2000
    """For each figure."""
    times: bool = False
    """Measure only the time of a picture: all models in one go, so that they can be compared."""


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(Results)
    if options.times:
        measure_times()
    else:
        measure(options)
    print(write_page(read_found(), Path("docs/results.md")))


def read_found() -> Found:
    """Everything that was measured."""
    models = [read_result(file) for file in sorted(FOLDER.glob("*-*-*.json"))]
    ceiling = json.loads((FOLDER / "ceiling.json").read_text())
    over_seeds = (json.loads(file.read_text()) if file.is_file() else {} for file in (EQUAL_WORK, ABLATIONS))
    return Found(models, load_ceilings(), ceiling, *over_seeds, read_colours())


def measure(options: Results) -> None:
    for name in options.models:
        for wanted in plan(name, options.captions):
            if not up_to_date(wanted):
                print(f"{wanted.model}, {wanted.steps} steps, {wanted.split}", flush=True)
                evaluate(wanted)


def measure_times() -> None:
    for file in track(sorted(FOLDER.glob("*-*-*.json")), "sampling"):
        result = read_result(file)
        if (model := result["settings"]["model"]) in available_models():
            figures = cost_of(load_generator(model, result["settings"]["steps"]))
            write_result(result | {"cost": as_result({}, {}, figures)["cost"]}, file)


def plan(name: str, captions: int) -> list[Evaluate]:
    """Every number of steps on `train`; for bundled models also the other splits, at each one's largest step count."""
    bundled = name in available_models()
    label = name if bundled else Path(name).parent.name
    most = most_steps(load(name))
    quick = Evaluate(model=name, label=label, captions=captions, variety=0, nearest=0)
    wanted = [replace(quick, steps=count, split="train") for count in STEPS if count < most]
    wanted.append(replace(quick, steps=most, split="train", variety=VARIETY, nearest=Evaluate.nearest))
    if bundled:
        wanted += [replace(quick, steps=most, split=split) for split in OTHER_SPLITS]
        wanted += [replace(quick, steps=most, split=split, read=True) for split in WORDS if split != "visitor"]
        wanted.append(replace(quick, steps=most, split="visitor", read=True, variety=VARIETY))
        wanted += [replace(quick, steps=most, split=COLOUR)] * knows_colours(model_path(name))
    if label in BASELINES:
        wanted += [replace(quick, steps=count, split="train") for count in MORE_STEPS]
    return [replace(one, out=FOLDER / f"{label}-{one.steps}-{one.split}{'-read' * one.read}.json") for one in wanted]


if __name__ == "__main__":
    main()
