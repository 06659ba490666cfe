"""Whom the rules leave out: careful raters, and raters who click blindly, by the defaults of a new study.

python -m benchmarks.study_exclusions [--raters 1000]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from study.protocol.parts import DEFAULT_QUESTIONS, DEGRADED, Exclusions, Prompt, Stimulus
from study.protocol.spec import StudySpec
from study.simulation.crowd import SYMBOLS, World, answer
from study.simulation.power import design
from study.stats.exclusions import exclude

Clicks = Callable[[int, np.random.Generator], np.ndarray]  # [n] indices of left, tie, right
BLIND: dict[str, Clicks] = {
    "always left": lambda n, rng: np.zeros(n, int),
    "always right": lambda n, rng: np.full(n, 2),
    "always tie": lambda n, rng: np.ones(n, int),
    "random A or B": lambda n, rng: 2 * rng.integers(0, 2, n),
    "random A, tie or B": lambda n, rng: rng.integers(0, 3, n),
    "A and B in turns": lambda n, rng: 2 * (np.arange(n) % 2),
}
LAPSES = (0.0, 0.01, 0.03)


@dataclass(frozen=True)
class Options:
    raters: int = 1000
    """Number of raters of each kind."""
    pairs: tuple[int, ...] = (10, 20, 30, 60)
    """Comparisons a rater."""


def left_out(answers: pd.DataFrame) -> float:
    """Share of the raters whom the default rules leave out."""
    _, flow = exclude(answers, Exclusions())
    return len(flow.excluded) / len(flow.raters)


def planned(pairs: int, questions: int) -> StudySpec:
    """Two arms, default checks, so many comparisons a rater."""
    prompts = tuple(Prompt(f"prompt {i}") for i in range(pairs))
    stimuli = tuple(Stimulus(p.text, arm, "", f"{p.text} {arm}") for p in prompts for arm in ("ours", "baseline"))
    return StudySpec(
        "exclusions",
        ("ours", "baseline"),
        prompts,
        stimuli,
        tuple(Stimulus(p.text, DEGRADED, "", f"{p.text} {DEGRADED}") for p in prompts),
        tuple(s.sha256 for s in stimuli if s.arm == "ours"),
        DEFAULT_QUESTIONS[:questions],
        pairs_per_rater=pairs,
    )


def crowds(spec: StudySpec, raters: int, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Answers of so many raters of each kind; blind ones give one answer to all questions of a pair, unhurriedly."""
    rng = np.random.default_rng(seed)
    shown = design(spec, raters)
    pair = pd.factorize(shown["assignment"])[0]
    found = {}
    for lapse in LAPSES:
        careful = answer(shown, World(lapse=lapse), rng)
        found[f"careful, {lapse:.0%} lapses"] = careful
    for name, clicks in BLIND.items():
        chosen = SYMBOLS[clicks(pair.max() + 1, rng)[pair]]
        found[name] = shown.assign(answer=chosen, response_ms=2500.0)
    return found


def main(columns: Sequence[tuple[int, int]], raters: int) -> Table:
    view = Table("raters", *(f"{pairs} pairs, {questions} q." for pairs, questions in columns))
    shares: dict[str, list[str]] = {}
    for pairs, questions in track(columns, "simulating", transient=True):
        for name, answers in crowds(planned(pairs, questions), raters).items():
            shares.setdefault(name, []).append(f"{left_out(answers):.1%}")
    for name, row in shares.items():
        view.add_row(name, *row)
    return view


if __name__ == "__main__":
    options = tyro.cli(Options)
    Console(width=200).print(main([(p, q) for q in (1, 3) for p in options.pairs], options.raters))
