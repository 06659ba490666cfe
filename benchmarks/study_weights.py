"""What an adaptive ranking's answers should weigh: 1 over which power of their propensity.

    python -m benchmarks.study_weights --first 1000 --studies 60

Each study of `benchmarks.study_adaptive` is judged with every exponent, half way and at its end, beside one with pairs
in turns by the same crowd. Studies from `first` on: take others than those by which an exponent was chosen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import tyro
from rich.progress import track

from benchmarks.study_adaptive import Options, marginal, right_order, study, told
from study.simulation.crowd import SYMBOLS
from study.stats.answers import TEMPERED
from study.stats.davidson import Ranking, ranking

FIGURES = ("intervals that hold", "mean width", "root mean square error", "slope", "clear", "in the right order")


@dataclass(frozen=True)
class Weights:
    studies: int = 200
    first: int = 1000
    """Number of the first study: its arms, crowd and chance follow from it."""
    exponents: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0)
    study: Options = field(default_factory=lambda: Options(raters=(66, 132)))
    """`studies` and `seed` of it are not used."""


def ranked(rows: np.ndarray, arms: int, exponent: float) -> Ranking:
    """With weights of 1 over the propensity to this power, whatever the product takes."""
    names = np.array([f"{arm:02}" for arm in range(arms)])
    rater, prompt, left, right, label = rows[:, :5].astype(int).T
    table = pd.DataFrame(
        {"rater": rater, "prompt": prompt, "left": names[left], "right": names[right], "question": "q"}
    )
    return ranking(table.assign(answer=SYMBOLS[label], propensity=rows[:, 5] ** (exponent / TEMPERED)), resamples=0)


def figures(found: Ranking, strengths: np.ndarray, real_odds: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """FIGURES of all differences of two arms. The slope: of the estimates on the truth (1: right)."""
    differences = found.differences
    real = real_odds(np.array([strengths[int(d.arm)] - strengths[int(d.other)] for d in differences]))
    estimates = np.array([d.estimate.value for d in differences])
    held = [r in d.estimate.interval for d, r in zip(differences, real, strict=True)]
    order = right_order(np.array([found.strengths[f"{arm:02}"].value for arm in range(len(strengths))]), strengths)
    return [
        float(np.mean(held)),
        float(np.mean([d.estimate.interval.width for d in differences])),
        float(np.sqrt(np.mean((estimates - real) ** 2))),
        float(estimates @ real / (real @ real)),
        float(np.mean([d.p_holm < 0.05 for d in differences])),
        order,
    ]


def judged(options: Weights, number: int, real_odds: Callable[[np.ndarray], np.ndarray]) -> Iterator[list[list[float]]]:
    """At each look, of pairs in turns and of each exponent: FIGURES."""
    both = (study(replace(options.study, seed=options.first), number, adaptive) for adaptive in (False, True))
    for (_, turns, strengths), (_, chosen, _) in zip(*both, strict=True):
        arms = len(strengths)
        all_found = [ranked(turns, arms, 0.0), *(ranked(chosen, arms, exponent) for exponent in options.exponents)]
        yield [figures(found, strengths, real_odds) for found in all_found]


def main() -> None:
    options = tyro.cli(Weights, description=__doc__)
    real_odds = marginal(options.study.world)
    numbers = range(options.first, options.first + options.studies)
    found = np.array([list(judged(options, number, real_odds)) for number in track(numbers, transient=True)])
    for look, raters in enumerate(options.study.raters):
        print(f"{raters} raters, {options.studies} studies:")
        for design, name in enumerate(("in turns", *(f"chosen, exponent {e:g}" for e in options.exponents))):
            said = ", ".join(f"{what} {shown(found[:, look, design, i], i)}" for i, what in enumerate(FIGURES))
            print(f"  {name}: {said}")


def shown(values: np.ndarray, figure: int) -> str:
    """Mean over studies with its 95% interval; shares as percentages."""
    if figure in (0, 4, 5):
        return told(values)
    return f"{values.mean():.3f} (± {1.96 * values.std(ddof=1) / np.sqrt(len(values)):.3f})"


if __name__ == "__main__":
    main()
