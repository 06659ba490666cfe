"""Evaluate the bundled models and write docs/results.md from the JSON files and the sample sheets.

python -m tools.results                        # what is missing or was made by other weights; Ctrl-C is safe
python -m tools.results --models l2 energy     # those only; the page is written from all files that are there
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from e2ed2.evaluation.evaluate import Evaluate, evaluate, fingerprint
from e2ed2.generate import STEPS, available_models, load, most_steps
from tools.claims import BASELINES
from tools.results_page import write_page

FOLDER = Path("docs/results")
MORE_STEPS = (8, 50)  # of the single-step baselines only
OTHER_SPLITS = ("combo", "concept", "visitor")


@dataclass(frozen=True)
class Results:
    models: tuple[str, ...] = tuple(available_models())
    limit: int = 300
    """Prompts for each figure."""


def main() -> None:
    options = tyro.cli(Results)
    for name in options.models:
        for wanted in plan(name, options.limit):
            if not up_to_date(wanted):
                print(f"{wanted.model}, {wanted.steps} steps, {wanted.split}", flush=True)
                evaluate(wanted)
    files = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*-*-*.json"))]
    real, same_work = (json.loads((FOLDER / name).read_text()) for name in ("real.json", "equal_work.json"))
    print(write_page(files, real, same_work, Path("docs/results.md")))


def plan(name: str, limit: int) -> list[Evaluate]:
    """Every number of steps on `train`; the other splits at the most steps that the model takes."""
    most = most_steps(load(name))
    quick = Evaluate(model=name, limit=limit, captions=0, nearest=0)
    wanted = [replace(quick, steps=count, split="train") for count in STEPS if count < most]
    wanted.append(replace(quick, steps=most, split="train", captions=Evaluate.captions, nearest=100))
    wanted += [replace(quick, steps=most, split=split) for split in OTHER_SPLITS]
    if name in BASELINES:
        wanted += [replace(quick, steps=count, split="train") for count in MORE_STEPS]
    return [replace(one, out=FOLDER / f"{name}-{one.steps}-{one.split}.json") for one in wanted]


def up_to_date(wanted: Evaluate) -> bool:
    if not wanted.out.is_file():
        return False
    found = json.loads(wanted.out.read_text())
    settings = {name: value for name, value in vars(wanted).items() if name != "out"}
    same = all(found["settings"].get(name) == value for name, value in settings.items())
    return same and found["choices"]["weights"] == fingerprint(wanted)


if __name__ == "__main__":
    main()
