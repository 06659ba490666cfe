"""What the statistics read: one row for each current answer."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.protocol.columns import VOTE_COLUMNS

LABELS = ("left", "tie", "right")
SINCE = ("answer_ms",)  # columns that exports of earlier versions do not have
TEMPERED = 0.25  # exponent of a propensity
KINDS = ("comparison", "identical", "same_arm", "repeat", "gold")


def checked(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers, after a look at columns, labels, kinds and doubles.

    Raises:
        StudyError: a column is missing, a label or a kind is unknown, an assignment has two answers to one question.
    """
    missing = [name for name in VOTE_COLUMNS if name not in {*answers.columns, *SINCE}]
    if missing:
        raise StudyError(f"The answers lack the columns {', '.join(missing)}.")
    _only(answers["answer"], LABELS, "answer")
    _only(answers["kind"], KINDS, "kind")
    _only(answers["mode"], ("joint", "separate"), "mode")
    _only(answers["gold"].fillna(""), ("", *LABELS), "expected answer")
    doubled = answers.duplicated(["assignment", "question"])
    if doubled.any():
        raise StudyError(f"{doubled.sum()} answers are there twice: export the current revision of each only.")
    return answers


def _only(values: pd.Series, known: tuple[str, ...], what: str) -> None:
    unknown = sorted({str(value) for value in values.unique()} - set(known))
    if unknown:
        raise StudyError(f"Unknown {what} {', '.join(map(repr, unknown))}: it must be one of {', '.join(known[-5:])}.")


def own_ms(answers: pd.DataFrame) -> pd.Series:
    """How long each answer took on its own; in exports of earlier versions, since its screen opened."""
    return answers["answer_ms" if "answer_ms" in answers else "response_ms"]


def comparisons(answers: pd.DataFrame, question: str) -> pd.DataFrame:
    """The answers to one question on two different arms, checks and second showings left out."""
    return answers[(answers["kind"] == "comparison") & (answers["question"] == question)]


@dataclass(frozen=True)
class Clusters:
    """Whose answer each of n is: int codes from 0, without gaps, `[n]` each."""

    rater: np.ndarray
    prompt: np.ndarray
    cell: np.ndarray
    """One code for each (rater, prompt)."""

    @property
    def raters(self) -> int:
        return int(self.rater.max(initial=-1)) + 1

    @property
    def prompts(self) -> int:
        return int(self.prompt.max(initial=-1)) + 1

    @property
    def smaller(self) -> int:
        """The number of raters or of prompts, whichever is smaller but not 1."""
        return min((count for count in (self.raters, self.prompts) if count > 1), default=1)


def clusters(answers: pd.DataFrame) -> Clusters:
    """Codes of the raters and prompts of these answers."""
    return codes(answers["rater"], answers["prompt"])


def codes(raters: Iterable, prompts: Iterable) -> Clusters:
    """Codes of raters and prompts given by name."""
    rater = pd.factorize(pd.Series(raters))[0]
    prompt = pd.factorize(pd.Series(prompts))[0]
    cell = np.unique(rater * (prompt.max(initial=0) + 1) + prompt, return_inverse=True)[1]
    return Clusters(rater, prompt, cell)


def weights(answers: pd.DataFrame) -> np.ndarray:
    """Weight of each answer, `[n]`, with mean 1: 1 over the fourth root of its propensity.

    A pair that looked clear early on was asked about less, so without weights the differences of an adaptive study come
    out too large, and fewer of their intervals hold; 1 over the propensity itself undoes the choice, and leaves little
    of what was gained by it. In between (Hadad et al. 2021 take the root), the error is least in simulations.
    """
    if "propensity" not in answers:
        return np.ones(len(answers))
    weight = answers["propensity"].to_numpy(float) ** -TEMPERED
    return weight / weight.mean()
