"""False alarms of a study that is looked at after every rater, where no arm is preferred.

python -m benchmarks.study_looks [--studies 2000]
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from study.simulation.crowd import World, answer
from study.simulation.power import Simulate, design, planned
from study.stats.evalues import for_new_prompts, sequence, wealth
from study.stats.intervals import LEVEL

CROWD = World({"A": 0.0, "B": 0.0})  # raters and prompts differ as in `study simulate`
SIZES = ((20, 100), (20, 300), (60, 100), (60, 300))  # prompts, raters


@dataclass(frozen=True)
class Options:
    studies: int = 2000
    """Of each size."""


def outcomes(shown: pd.DataFrame, rng: np.random.Generator, world: World = CROWD) -> np.ndarray:
    """+1, 0, -1 for the first arm, `[raters, prompts]`; `nan` where a rater did not see a prompt."""
    answers = answer(shown, world, rng)
    side = np.select([answers["answer"] == "left", answers["answer"] == "right"], [1.0, -1.0], 0.0)
    won = answers.assign(won=np.where(answers["left"] == "A", side, -side))
    return won.pivot_table(index="rater", columns="prompt", values="won").to_numpy()


def alarms(table: np.ndarray) -> tuple[bool, bool]:
    """Whether any look refutes "no preference": on these prompts, and for new ones."""
    means = np.nanmean(table, 1)
    here = bool((wealth(means, np.zeros(1)) >= 1 / (1 - LEVEL)).any())
    if not here:  # what no look refutes on these prompts, none refutes for more
        return False, False
    seen, total = np.cumsum(~np.isnan(table), 0), np.cumsum(np.nan_to_num(table), 0)
    limits = sequence(means, (1 - LEVEL) / 2)
    rates = (given[known > 0] / known[known > 0] for given, known in zip(total, seen, strict=True))
    return here, any(0 not in for_new_prompts(*look) for look in zip(limits, rates, strict=True))


def main(studies: int) -> Table:
    view = Table("prompts", "raters", "on these prompts", "for new prompts", title=f"{studies} studies each")
    for prompts, raters in SIZES:
        spec = planned(Simulate(prompts=prompts, raters_per_pair=raters))
        shown, rng = design(spec, raters), np.random.default_rng([prompts, raters])
        found = np.mean([alarms(outcomes(shown, rng)) for _ in track(range(studies), transient=True)], 0)
        view.add_row(str(prompts), str(raters), *(f"{share:.1%}" for share in found))
    return view


if __name__ == "__main__":
    Console().print(main(tyro.cli(Options).studies))
