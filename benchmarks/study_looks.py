"""False alarms of a study that is looked at after every rater, where no arm is preferred.

python -m benchmarks.study_looks [--some 2000] [--prompts 20 60] [--raters 100 300]
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from study.simulation.crowd import World, answer
from study.simulation.power import Simulate, design, planned
from study.stats.evalues import for_new_prompts, sequence, wealth
from study.stats.intervals import LEVEL, exact

CROWD = World({"A": 0.0, "B": 0.0})  # raters and prompts differ as in `study simulate`


@dataclass(frozen=True)
class Options:
    some: int = 2000
    """Studies of each size."""
    prompts: tuple[int, ...] = (20, 60)
    raters: tuple[int, ...] = (100, 300)


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


def _with_interval(count: int, studies: int) -> str:
    among = exact(count, studies)
    return f"{count / studies:.2%} ({among.low:.2%} to {among.high:.2%})"


def main(options: Options) -> Table:
    view = Table("prompts", "raters", "on these prompts", "for new prompts", title=f"{options.some} studies each")
    for prompts, raters in product(options.prompts, options.raters):
        spec = planned(Simulate(prompts=prompts, raters_per_pair=raters))
        shown, rng = design(spec, raters), np.random.default_rng([prompts, raters])
        found = np.sum([alarms(outcomes(shown, rng)) for _ in track(range(options.some), transient=True)], 0)
        view.add_row(str(prompts), str(raters), *(_with_interval(int(count), options.some) for count in found))
    return view


if __name__ == "__main__":
    Console(width=120).print(main(tyro.cli(Options)))
