"""What adaptive pairs save: how many answers find the order of 12 arms, with pairs in turns and with chosen ones.

    python -m benchmarks.study_adaptive --studies 200

Both designs ask the same simulated raters of `study simulate` about the same prompts; every study draws other arms. An
order is as good as its share of pairs of arms that stand the right way round.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pandas as pd
import tyro
from rich.progress import track

from study.protocol.adaptive import believed, draw
from study.simulation.crowd import SYMBOLS, World, probabilities, truth
from study.stats.davidson import ranking

PAIRS = 30  # of a rater


@dataclass(frozen=True)
class Options:
    arms: int = 12
    arms_sd: float = 0.5
    """Standard deviation of the arms' log strengths."""
    prompts: int = 110
    raters: tuple[int, ...] = (22, 44, 66, 88, 110, 132)
    """Numbers of raters at which the study is looked at; the last look ends it."""
    studies: int = 200
    seed: int = 0
    world: World = field(default_factory=World)


@dataclass
class Crowd:
    """One study's arms, prompts and raters; the same for both designs."""

    options: Options
    rng: np.random.Generator

    def __post_init__(self) -> None:
        o, w, normal = self.options, self.options.world, self.rng.standard_normal
        people = o.raters[-1]
        self.strengths = o.arms_sd * normal(o.arms)
        self.suits = w.prompt_sd * normal((o.prompts, o.arms))
        self.tastes = w.rater_sd * normal((people, o.arms))
        self.ties, self.sides = w.tie + w.tie_sd * normal(people), w.side + w.side_sd * normal(people)

    def answers(self, rater: int, prompts: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Labels 0 to 2, `[n]`."""
        worth = [self.strengths[arm] + self.tastes[rater, arm] + self.suits[prompts, arm] for arm in (left, right)]
        chance = probabilities(worth[0] - worth[1] + self.sides[rater], np.full(len(left), self.ties[rater]))
        return (self.rng.random(len(left))[:, None] > chance.cumsum(1)[:, :2]).sum(1)


def study(options: Options, seed: int, adaptive: bool) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """After each look: raters, the answers so far, and the truth.

    Answers are rows of (rater, prompt, left, right, label, propensity).
    """
    crowd, chance = Crowd(options, np.random.default_rng([options.seed, seed])), random.Random(f"{seed}/{adaptive}")
    pairs = list(combinations(range(options.arms), 2))
    counts, rows, turn = np.zeros((options.arms,) * 2 + (3,)), [], chance.sample(pairs, len(pairs))
    for rater in range(options.raters[-1]):
        prompts = [(rater * PAIRS + i) % options.prompts for i in range(PAIRS)]
        if adaptive:
            drawn = draw(counts, pairs, [str(p) for p in prompts], chance)
        else:
            drawn = [("", turn[(rater * PAIRS + i) % len(turn)], 1.0) for i in range(PAIRS)]
        _, shown, propensities = zip(*drawn, strict=True)
        sided = np.array([pair[:: chance.choice((1, -1))] for pair in shown])
        given = crowd.answers(rater, np.array(prompts), *sided.T)
        np.add.at(counts, (*sided.T, given), 1)
        rows.append(np.column_stack([np.full(PAIRS, rater), prompts, sided, given, propensities]))
        if rater + 1 in options.raters:
            yield rater + 1, np.concatenate(rows), crowd.strengths


def right_order(found: np.ndarray, strengths: np.ndarray) -> float:
    """Share of pairs of arms that stand the right way round."""
    pairs = combinations(range(len(found)), 2)
    return float(np.mean([(found[a] > found[b]) == (strengths[a] > strengths[b]) for a, b in pairs]))


def judged(
    rows: np.ndarray, strengths: np.ndarray, real_odds: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float, float]:
    """Share of differences that the report calls clear, of wrong ones among all, of intervals that hold the truth."""
    names = [f"{arm:02}" for arm in range(len(strengths))]
    rater, prompt, left, right, label = rows[:, :5].astype(int).T
    table = pd.DataFrame({"rater": rater, "prompt": prompt, "answer": SYMBOLS[label], "propensity": rows[:, 5]})
    table = table.assign(question="q", left=[names[i] for i in left], right=[names[i] for i in right])
    found = ranking(table, resamples=0).differences
    real = real_odds(np.array([strengths[int(d.arm)] - strengths[int(d.other)] for d in found]))
    clear = [d.p_holm < 0.05 for d in found]
    held = [d.estimate.interval.low <= r <= d.estimate.interval.high for d, r in zip(found, real, strict=True)]
    wrong = [c and r < 0 for c, r in zip(clear, real, strict=True)]
    return float(np.mean(clear)), float(np.mean(wrong)), float(np.mean(held))


def marginal(world: World) -> Callable[[np.ndarray], np.ndarray]:
    """From the gap of two arms to their log odds among decided answers, over raters and prompts."""
    gaps = np.linspace(-6, 6, 49)
    shares = [truth(replace(world, strengths={"a": gap, "b": 0.0}), "a", "b") for gap in gaps]
    odds = np.array([np.log(won / lost) for won, _, lost in shares])
    return lambda wanted: np.interp(wanted, gaps, odds)


def reached(looks: np.ndarray, shares: np.ndarray, wanted: float) -> float:
    """The number of answers at which a rising curve first reaches this share; NaN if it never does."""
    above = np.flatnonzero(shares >= wanted)
    if not len(above) or not above[0]:
        return float("nan") if not len(above) else float(looks[0])
    i = above[0]
    return float(np.interp(wanted, shares[i - 1 : i + 1], looks[i - 1 : i + 1]))


def saved(looks: np.ndarray, in_turns: np.ndarray, chosen: np.ndarray) -> float:
    """The share of answers that chosen pairs save, to be as good as pairs in turns at the end."""
    return 1 - reached(looks, chosen.mean(0), float(in_turns.mean(0)[-1])) / looks[-1]


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    real_odds = marginal(options.world)
    looks, share, ends = np.array(options.raters) * PAIRS, {}, {}
    for name, adaptive in (("in turns", False), ("chosen", True)):
        found = []
        for seed in track(range(options.studies), name, transient=True):
            curve = []
            for _, rows, strengths in study(options, seed, adaptive):
                counts = np.zeros((options.arms,) * 2 + (3,))
                np.add.at(counts, tuple(rows[:, 2:5].astype(int).T), 1)
                curve.append(right_order(believed(counts)[0][: options.arms], strengths))
            found.append((curve, judged(rows, strengths, real_odds)))
        share[name], ends[name] = np.array([curve for curve, _ in found]), np.array([end for _, end in found])
    print(f"{options.arms} arms, {options.prompts} prompts, {options.studies} studies; pairs in the right order:")
    for look, a, b in zip(looks, share["in turns"].T, share["chosen"].T, strict=True):
        print(f"{look:6} answers: in turns {told(a)}, chosen {told(b)}")
    for name, end in ends.items():
        clear, wrong, held = end.T
        print(
            f"{name}: {told(clear)} of the differences clear at the end, {told(wrong)} clear and wrong; "
            f"{told(held)} of the 95% intervals hold the truth"
        )
    rng = np.random.default_rng(options.seed)
    again = [rng.integers(options.studies, size=options.studies) for _ in range(1000)]
    some = [saved(looks, share["in turns"][i], share["chosen"][i]) for i in again]
    low, high = np.nanquantile(some, (0.025, 0.975))
    value = saved(looks, share["in turns"], share["chosen"])
    print(f"Answers saved at {looks[-1]}: {value:.0%} ({low:.0%} to {high:.0%}, 95% bootstrap over studies)")


def told(values: np.ndarray) -> str:
    """Mean over studies, with its 95% interval."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.1%} (± {half:.1%})"


if __name__ == "__main__":
    main()
