"""`python -m study simulate`: how many raters a study needs, before anybody is asked.

Simulated raters go through the same plan and the same statistics as real ones.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import brentq

from study.errors import StudyError
from study.protocol.balanced import plan, rater_count, rater_mode
from study.protocol.parts import CheckShares, Prompt, Question, Stimulus
from study.protocol.spec import StudySpec
from study.simulation.chosen import places
from study.simulation.crowd import World, answer, truth
from study.stats.answers import comparisons
from study.stats.davidson import ranking
from study.stats.intervals import ALPHA
from study.stats.preference import preference

Progress = Callable[[Iterable[int], str], Iterable[int]]
MOST_RATERS = 2000
MOST_SHOWN = 20_000  # comparisons of a study that is simulated when it is made
RATE = 0.6


@dataclass(frozen=True)
class Power:
    """What a planned study will find, on its first question, first arm against each other arm."""

    raters: int
    answers: int
    """Comparisons answered in one study."""
    studies: int
    """Simulated."""
    arms: tuple[str, ...]
    truth: tuple[float, ...]
    """Net preference for the first arm against each other, as simulated, in [-1, 1]."""
    power: tuple[float, ...]
    """Share of studies that find the right arm better (p < 0.05; Holm-corrected from three arms on), against each."""
    width: tuple[float, ...]
    """Mean width of the 95% interval: of the net preference; from three arms on of the difference in log odds."""
    wrong: float
    """Share of studies that find any wrong arm better."""


@dataclass(frozen=True)
class Simulate:
    """Power and interval width of a planned study, or the raters that it needs."""

    win_rate: tuple[float, ...] = (0.6,)
    """How often the first arm beats each other arm, leaving ties out: one number for two arms, two for three, ..."""
    prompts: int = 100
    images_per_prompt: int = 1
    """Per arm."""
    raters: int = 0
    """How many raters take part; 0 finds out how many `power` needs."""
    power: float = 0.8
    """The chance you want of finding the first arm better than every other."""
    pairs_per_rater: int = 30
    raters_per_pair: int = 3
    world: Annotated[World, tyro.conf.arg(name="raters-are")] = field(default_factory=World)
    """What the raters are like; the strengths follow from `win_rate`."""
    studies: int = 300
    """How many studies are simulated for each number of raters."""
    seed: int = 0
    spec: Path | None = None
    """A study's spec.json, used instead of the prompts, images and pairs above; win rates follow its order of arms."""
    json: Path | None = None
    """Also write the figures to this file."""

    def __post_init__(self) -> None:
        if not all(0.5 <= rate < 1 for rate in self.win_rate):
            raise StudyError("A win rate must be at least 0.5 and less than 1: name the better arm first.")
        if not 0 < self.power < 1:
            raise StudyError("The wanted power must be between 0 and 1.")
        if min(self.prompts, self.images_per_prompt, self.studies) < 1 or not 0 <= self.raters <= MOST_RATERS:
            raise StudyError(f"Prompts, images and studies must be at least 1, raters 0 to {MOST_RATERS}.")


def main(arguments: list[str]) -> None:
    options = tyro.cli(Simulate, prog="python -m study simulate", args=arguments, config=(tyro.conf.AvoidSubcommands,))
    spec = StudySpec.read(options.spec) if options.spec else planned(options)
    world = replace(options.world, strengths=strengths(spec.arms, options.win_rate, options.world))
    console = Console()
    if options.raters:
        powers = [simulate(spec, world, options.raters, options.studies, options.seed, shown_as_they_go)]
    else:
        powers = needed(spec, world, options.power, options.studies, options.seed, shown_as_they_go)
    console.print(table(powers))
    console.print(verdict(powers[-1], None if options.raters else options.power))
    if options.json:
        record = {"spec": spec.hash, "world": asdict(world), "results": [asdict(power) for power in powers]}
        options.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def planned(options: Simulate) -> StudySpec:
    """A spec of the wanted shape, with imaginary pictures and without checks."""
    prompts = tuple(Prompt(f"prompt {i}") for i in range(options.prompts))
    arms = ("A", *(chr(ord("B") + i) for i in range(len(options.win_rate))))
    stimuli = tuple(
        Stimulus(prompt.text, arm, "", f"{i:03}{copy:02}{arm}")
        for i, prompt in enumerate(prompts)
        for arm in arms
        for copy in range(options.images_per_prompt)
    )
    return StudySpec(
        "simulated",
        arms,
        prompts,
        stimuli,
        questions=(Question("overall", "Which is better?"),),
        seed=options.seed,
        checks=CheckShares(0, 0, 0, 0),
        pairs_per_rater=options.pairs_per_rater,
        raters_per_pair=options.raters_per_pair,
    )


def strengths(arms: tuple[str, ...], win_rates: tuple[float, ...], world: World) -> dict[str, float]:
    """Log strengths that give the first arm these win rates (ties left out) in the whole population."""
    if len(win_rates) != len(arms) - 1:
        raise StudyError(f"{len(arms)} arms need {len(arms) - 1} win rates, not {len(win_rates)}.")

    def excess(gap: float, wanted: float) -> float:
        won, _, lost = truth(replace(world, strengths={"a": gap, "b": 0.0}), "a", "b")
        return won / (won + lost) - wanted

    try:
        gaps = [float(brentq(excess, -1e-9, 20, (rate,))) for rate in win_rates]
    except ValueError:
        raise StudyError("Raters with so many lapses cannot give this win rate: lower one of the two.") from None
    return {arms[0]: 0.0} | {arm: -gap for arm, gap in zip(arms[1:], gaps, strict=True)}


def design(spec: StudySpec, raters: int) -> pd.DataFrame:
    """The plan of this many raters as a table of answers, without the answers."""
    rows = []
    for index in range(raters):
        mode = rater_mode(spec, index)
        for a in plan(spec, index):
            first = "" if a.repeat_of is None else f"{index}-{a.repeat_of}"
            rows.append(
                (
                    f"rater{index:04}",
                    f"{index}-{a.position}",
                    a.pair,
                    a.prompt,
                    a.left.arm,
                    a.right.arm,
                    a.kind,
                    first,
                    mode,
                    a.position,
                    a.gold,
                    a.left.sha256,
                    a.right.sha256,
                )
            )
    columns = [
        "rater",
        "assignment",
        "pair",
        "prompt",
        "left",
        "right",
        "kind",
        "repeat_of",
        "mode",
        "position",
        "gold",
        "image_left",
        "image_right",
    ]
    table = pd.DataFrame(rows, columns=columns)
    categories = {prompt.text: prompt.category for prompt in spec.prompts}
    table = table.assign(category=table["prompt"].map(categories).fillna(""), time="")
    by_question = [table.assign(question=q.key, gold=table["gold"].map(q.right)) for q in spec.questions]
    return pd.concat(by_question, ignore_index=True).sort_values(
        ["rater", "position"], kind="stable", ignore_index=True
    )


def simulate(
    spec: StudySpec, world: World, raters: int, studies: int = 300, seed: int = 0, progress: Progress | None = None
) -> Power:
    """Simulate the study repeatedly with this many raters; an adaptive one chooses its pairs afresh every time."""
    rng = np.random.default_rng([seed, raters])
    rounds = (progress or silent)(range(studies), f"{raters} raters")
    if spec.adaptive:
        may_be = places(spec, raters)
        count, of_studies = may_be.comparisons, (may_be.answered(world, rng) for _ in rounds)
    else:
        shown = comparisons(design(spec, raters), spec.questions[0].key)
        count, of_studies = len(shown), (answer(shown, world, rng) for _ in rounds)
    outcomes = np.array([_one_study(answers, spec.arms) for answers in of_studies])
    first, others = spec.arms[0], spec.arms[1:]
    won = [truth(world, first, other) for other in others]
    net = [float(p[0] - p[2]) for p in won]
    better, worse = (
        (outcomes[..., 0] < ALPHA) & (outcomes[..., 1] > 0),
        (outcomes[..., 0] < ALPHA) & (outcomes[..., 1] < 0),
    )
    return Power(
        raters,
        count,
        studies,
        spec.arms,
        tuple(net),
        tuple(map(float, better.mean(0))),
        tuple(map(float, outcomes[..., 2].mean(0))),
        float(worse.any(1).mean()),
    )


def _one_study(answers: pd.DataFrame, arms: tuple[str, ...]) -> list[tuple[float, float, float]]:
    """p-value, estimate and interval width of the first arm against each other."""
    if len(arms) == 2:
        net = preference(answers, *arms, resamples=0).net
        return [(net.p, net.value, net.interval.width)]
    against = {}
    for difference in ranking(answers, resamples=0).differences:
        estimate, sign = difference.estimate, 1 if difference.arm == arms[0] else -1
        if arms[0] in (difference.arm, difference.other):
            other = difference.other if sign > 0 else difference.arm
            against[other] = (difference.p_holm, sign * estimate.value, estimate.interval.width)
    return [against[other] for other in arms[1:]]


def needed(
    spec: StudySpec, world: World, power: float, studies: int, seed: int = 0, progress: Progress | None = None
) -> list[Power]:
    """Doubling, then halving the gap, until the fewest raters (within a tenth) reach the power against every arm.

    Returns:
        Every number tried, in order; the last reaches the power, or is the largest tried where none does: then the
        prompts are too few, since raters cannot make up for them.
    """
    tried = [simulate(spec, world, 10, studies, seed, progress)]
    while min(tried[-1].power) < power and tried[-1].raters < MOST_RATERS and not _stuck(tried):
        tried.append(simulate(spec, world, min(2 * tried[-1].raters, MOST_RATERS), studies, seed, progress))
    if min(tried[-1].power) < power:
        return tried
    enough, low = tried[-1], tried[-2].raters if len(tried) > 1 else 1
    while enough.raters - low > max(1, enough.raters // 10):
        middle = simulate(spec, world, (enough.raters + low) // 2, studies, seed, progress)
        tried.append(middle)
        enough, low = (middle, low) if min(middle.power) >= power else (enough, middle.raters)
    return [*(p for p in tried if p is not enough), enough]


def _stuck(tried: list[Power]) -> bool:
    """Four times the raters narrowed the interval by less than a tenth: the prompts set its width."""
    return len(tried) > 3 and max(tried[-1].width) > 0.9 * max(tried[-3].width)


def promise(spec: StudySpec, studies: int = 40, progress: Progress | None = None) -> str:
    """What a study that was just made will find, in a sentence; large ones are left to `study simulate`."""
    raters = rater_count(spec)
    if large(spec):
        return "To see what it can find, run python -m study simulate --spec with the spec.json of an export."
    world = World()
    world = replace(world, strengths=strengths(spec.arms, (RATE,) * (len(spec.arms) - 1), world))
    power = simulate(spec, world, raters, studies, progress=progress)
    against = f"each of the others {RATE:.0%}" if len(spec.arms) > 2 else f"{RATE:.0%}"
    what = "the difference in log odds" if len(spec.arms) > 2 else "the net preference (-1 to 1)"
    return (
        f"If {spec.arms[0]} wins {against} of the decided answers, the study finds that with a chance of "
        f"{min(power.power):.0%}; the 95% interval of {what} is {max(power.width):.2f} wide "
        f"({studies} simulated studies)."
    )


def large(spec: StudySpec) -> bool:
    """Whether it takes too long to simulate while somebody waits; an adaptive one looks at all pairs before each."""
    return rater_count(spec) * spec.pairs_per_rater * (len(spec.arm_pairs) if spec.adaptive else 1) > MOST_SHOWN


def table(powers: list[Power]) -> Table:
    view = Table("raters", "answers", title=f"{powers[0].studies} simulated studies each")
    for other in powers[0].arms[1:]:
        view.add_column(f"power against {other}", justify="right")
        view.add_column("width", justify="right")
    view.add_column("wrong winner", justify="right")
    for p in sorted(powers, key=lambda power: power.raters):
        cells = [
            cell for power, width in zip(p.power, p.width, strict=True) for cell in (f"{power:.0%}", f"{width:.2f}")
        ]
        view.add_row(str(p.raters), str(p.answers), *cells, f"{p.wrong:.1%}")
    return view


def verdict(last: Power, wanted: float | None) -> str:
    """One sentence for whoever plans the study."""
    reached = min(last.power)
    if wanted is None:
        return f"With {last.raters} raters the study finds the difference with a chance of {reached:.0%}."
    if reached >= wanted:
        return f"{last.raters} raters are enough for a power of {wanted:.0%}."
    return f"Even {last.raters} raters reach a power of only {reached:.0%}: use more prompts, not more raters."


def silent(rounds: Iterable[int], label: str) -> Iterable[int]:
    return rounds


def shown_as_they_go(rounds: Iterable[int], label: str) -> Iterable[int]:
    return track(rounds, label, transient=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
