"""An adaptive study, simulated: its pairs follow from the answers before them, as they do with real raters."""

import random
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from study.protocol.adaptive import draw
from study.protocol.balanced import slots
from study.protocol.parts import ANSWERS
from study.protocol.spec import StudySpec
from study.simulation.crowd import World, answer


@dataclass(frozen=True)
class Places:
    """Where raters will be asked something, and the pairs that may be asked there: all of them."""

    arms: tuple[str, ...]
    pairs: list[tuple[int, int]]
    units: list[list[str]]
    """The units of each rater."""
    table: pd.DataFrame
    """`len(pairs)` rows for each place, in the order of raters and units."""

    @property
    def comparisons(self) -> int:
        """How many comparisons the whole study has."""
        return len(self.table) // len(self.pairs)

    def answered(self, world: World, rng: np.random.Generator) -> pd.DataFrame:
        """One study: the answers of raters who came one after the other, with the propensities of their pairs.

        What a rater would say to each pair is drawn in advance; the answers before decide which of it is heard.
        """
        swapped = rng.random(len(self.table)) < 0.5
        sides = np.tile(self.pairs, (self.comparisons, 1))
        sides = np.where(swapped[:, None], sides[:, ::-1], sides)
        names = np.array(self.arms, object)
        answers = answer(self.table.assign(left=names[sides[:, 0]], right=names[sides[:, 1]]), world, rng)
        labels = pd.Index(ANSWERS).get_indexer(answers["answer"])
        counts, chance = np.zeros((len(self.arms),) * 2 + (3,)), random.Random(int(rng.integers(2**62)))
        heard: list[int] = []
        propensities: list[float] = []
        for units in self.units:
            choices, before = draw(counts, self.pairs, units, chance), len(heard)
            rows = [(before + i) * len(self.pairs) + self.pairs.index(pair) for i, (_, pair, _) in enumerate(choices)]
            np.add.at(counts, (*sides[rows].T, labels[rows]), 1)
            heard += rows
            propensities += [propensity for *_, propensity in choices]
        return answers.iloc[heard].assign(propensity=propensities)


def places(spec: StudySpec, raters: int) -> Places:
    """The places of the first raters of an adaptive study, on its first question."""
    pairs, units = list(combinations(range(len(spec.arms)), 2)), [slots(spec, index) for index in range(raters)]
    rows = [
        (f"rater{index:04}", f"{index}-{i}", spec.prompts[int(unit.partition(".")[0])].text)
        for index, of_rater in enumerate(units)
        for i, unit in enumerate(of_rater)
        for _ in pairs
    ]
    table = pd.DataFrame(rows, columns=["rater", "assignment", "prompt"])
    return Places(spec.arms, pairs, units, table.assign(question=spec.questions[0].key, mode="joint"))
