"""How often the 95% intervals hold the truth, over simulated studies with rater and prompt effects.

python -m benchmarks.study_coverage [--studies 500] [--resamples 0] [--json FILE]
"""

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import binomtest

from study.simulation.crowd import World, answer, shown, truth
from study.simulation.power import Simulate, design, planned
from study.stats.agreement import share
from study.stats.davidson import fit, mirrored, ranking
from study.stats.intervals import Estimate
from study.stats.preference import against_others, preference

WORLD = World({"A": 0.4, "B": 0.0}, side=0.2, lapse=0.03)
THREE = replace(WORLD, strengths={"A": 0.5, "B": 0.2, "C": 0.0})
SCENARIOS = {  # (raters, prompts, pairs per rater), world
    "two arms, 40 raters": ((40, 60, 30), WORLD),
    "two arms, every rater sees every prompt": ((30, 30, 30), WORLD),
    "two arms, prompts differ most": ((40, 60, 30), replace(WORLD, rater_sd=0.2, prompt_sd=0.8)),
    "two arms, raters differ most": ((40, 60, 30), replace(WORLD, rater_sd=0.8, prompt_sd=0.2)),
    "two arms, small": ((12, 20, 20), WORLD),
    "two arms, lopsided": ((40, 60, 30), replace(WORLD, strengths={"A": 2.5, "B": 0.0})),
    "two arms, equal, no effects": ((40, 60, 30), World({"A": 0.0, "B": 0.0}, -0.7, 0, 0, 0, 0, 0)),
    "three arms, 48 raters": ((48, 60, 30), THREE),
    "three arms, few prompts": ((48, 20, 30), THREE),
}


@dataclass(frozen=True)
class Coverage:
    """Coverage of every interval, scenario by scenario."""

    studies: int = 500
    resamples: int = 0
    """Resamples of the pigeonhole bootstrap, for comparison; it takes most of the time."""
    only: str = ""
    """Run only scenarios whose name contains this."""
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Coverage)
    console, record = Console(width=120), {}
    for name, ((raters, prompts, pairs), world) in SCENARIOS.items():
        if options.only in name:
            hits = cover(world, raters, prompts, pairs, options.studies, options.resamples, name)
            console.print(table(f"{name}: {raters} raters, {prompts} prompts, {pairs} pairs a rater", hits))
            record[name] = {key: float(np.mean(values)) for key, values in hits.items()}
    if options.json:
        options.json.write_text(json.dumps({"studies": options.studies, "coverage": record}, indent=1) + "\n")


def cover(
    world: World, raters: int, prompts: int, pairs: int, studies: int, resamples: int = 0, label: str = ""
) -> dict[str, list[bool]]:
    """For each figure, whether each study's interval held the truth."""
    arms = tuple(world.strengths)
    true = truths(world)
    rates = (0.5,) * (len(arms) - 1)
    specs = [planned(Simulate(rates, prompts, pairs_per_rater=pairs, seed=seed)) for seed in range(10)]
    plans = [design(spec, raters) for spec in specs]
    hits = defaultdict(list)
    for i in track(range(studies), label, disable=not label, transient=True):
        answers = answer(plans[i % len(plans)], world, np.random.default_rng([7, i]))
        for name, estimate in estimates(answers, arms, resamples).items():
            hits[name].append(true[name] in estimate.interval)
            if estimate.bootstrap:
                hits[f"{name} (bootstrap)"].append(true[name] in estimate.bootstrap)
    return hits


def truths(world: World) -> dict[str, float]:
    """The true figures of the population: every possible rater and prompt, sides balanced."""
    arms = tuple(world.strengths)
    if len(arms) == 2:
        won, tied, lost = truth(world, *arms)
        true = {
            "win rate, decided": won / (won + lost),
            "win rate, ties half": won + tied / 2,
            "tie rate": tied,
            "net preference": won - lost,
        }
    else:
        won = {a: [truth(world, a, b) for b in arms if a != b] for a in arms}
        true = {f"{a} against all": float(np.mean([w + t / 2 for w, t, _ in chances])) for a, chances in won.items()}
    ordered = {(a, b): shown(world, arms[a], arms[b]) for a in range(len(arms)) for b in range(len(arms)) if a != b}
    counts = np.zeros((len(arms), len(arms), 3))
    for (a, b), chance in ordered.items():
        counts[a, b] = 1e6 * chance
    model = fit(counts, arms)
    true |= {
        f"{arms[a]} - {arms[b]}": model.strengths[a] - model.strengths[b]
        for a in range(len(arms))
        for b in range(a + 1, len(arms))
    }
    true["share left"] = float(np.mean([c[0] for c in ordered.values()])) / float(
        np.mean([c[0] + c[2] for c in ordered.values()])
    )
    return {name: float(value) for name, value in true.items()}


def estimates(answers, arms: tuple[str, ...], resamples: int) -> dict[str, Estimate]:
    """The same figures from a study."""
    found = {}
    if len(arms) == 2:
        p = preference(answers, *arms, resamples=resamples)
        found = {
            "win rate, decided": p.win_rate_decided,
            "win rate, ties half": p.win_rate_ties_half,
            "tie rate": p.tie_rate,
            "net preference": p.net,
        }
    else:
        found = {f"{arm} against all": against_others(answers, arm) for arm in arms}
    for d in ranking(answers, resamples=resamples).differences:
        a, b = sorted((d.arm, d.other))
        estimate = d.estimate
        if d.arm != a:
            estimate = mirrored(estimate)
        found[f"{a} - {b}"] = estimate
    decided = answers[answers["answer"] != "tie"]
    found["share left"] = share(decided["answer"] == "left", decided)
    return found


def table(title: str, hits: dict[str, list[bool]]) -> Table:
    view = Table("figure", "coverage", "95% binomial", title=title, title_justify="left", width=80)
    for name, values in hits.items():
        interval = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
        mean = float(np.mean(values))
        view.add_row(name, f"{mean:.1%}", f"{interval.low:.1%} to {interval.high:.1%}")
    return view


if __name__ == "__main__":
    main()
