"""How well a metric of single pictures says which of two people prefer, and how well another person does."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.stats.agreement import share
from study.stats.intervals import Estimate


@dataclass(frozen=True)
class Predicted:
    """One metric against the answers to one question, ties left out; shares in [0, 1]."""

    metric: str
    question: str
    accuracy: Estimate
    """Share of the answers that went to the picture with the better score (equal scores count half); null 0.5."""
    arms: tuple[str, ...]
    """From the best to the worst mean score."""


@dataclass(frozen=True)
class Ceiling:
    """What people do on the same question."""

    question: str
    another: Estimate
    """Share of the answers with which the answer of another rater to the same pair agrees."""
    majority: Estimate
    """The same for the majority of all other raters of the pair (where they are divided, half)."""


def predicted(answers: pd.DataFrame, metric: str, scores: Mapping[str, float]) -> Predicted:
    """From comparisons on one question.

    Args:
        scores: of each picture, by `image_left` and `image_right`; more is better.
    """
    rows = answers[answers["answer"] != "tie"]
    left, right = (rows[side].map(scores).to_numpy(float) for side in ("image_left", "image_right"))
    better = np.select([left > right, left < right], [1.0, -1.0], 0.0)
    chosen = np.where(rows["answer"] == "left", 1.0, -1.0)
    sides = [answers[["left", "image_left"]], answers[["right", "image_right"]]]
    shown = pd.concat([side.set_axis(["arm", "image"], axis=1) for side in sides]).drop_duplicates()
    means = shown["image"].map(scores).groupby(shown["arm"]).mean().sort_values(ascending=False, kind="stable")
    question = str(answers["question"].iloc[0])
    accuracy = share(pd.Series((1 + better * chosen) / 2, rows.index), rows, null=0.5)
    return Predicted(metric, question, accuracy, tuple(map(str, means.index)))


def ceiling(answers: pd.DataFrame) -> Ceiling:
    """From comparisons on one question; pairs that one rater decided are left out."""
    rows = answers[answers["answer"] != "tie"]
    rows = rows.assign(chosen=_for_first(rows))
    by_pair = rows.groupby("pair")["chosen"]
    others = by_pair.transform("size") - 1
    rows, others = rows[others > 0], others[others > 0]
    total = rows.groupby("pair")["chosen"].transform("sum") - rows["chosen"]
    another = (1 + rows["chosen"] * total / others) / 2
    majority = (1 + rows["chosen"] * np.sign(total)) / 2
    return Ceiling(str(answers["question"].iloc[0]), share(another, rows, null=0.5), share(majority, rows, null=0.5))


def _for_first(rows: pd.DataFrame) -> pd.Series:
    """1 for the picture whose name comes first, else -1: the sides of a pair change."""
    straight = rows["image_left"] < rows["image_right"]
    return pd.Series(np.where((rows["answer"] == "left") == straight, 1.0, -1.0), rows.index)
