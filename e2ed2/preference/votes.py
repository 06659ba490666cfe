"""The answers of a study, from the folder that `python -m study export` writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from e2ed2.errors import UserError

ANSWERS = ("left", "tie", "right")
KINDS = ("comparison", "same_arm", "repeat")  # gold and identical pairs express no preference
# Minimum for each question: with fewer, the accuracy is not known to within 0.1.
DECIDED = 100  # answers that are not ties
LEAST = {"prompts": 8, "raters": 4}


@dataclass(frozen=True)
class Votes:
    """N answers; the tensors are indices into `files`, `prompts`, `raters` and `questions`."""

    files: list[Path]  # images
    prompts: list[str]
    raters: list[str]
    questions: list[str]
    left: Tensor  # [N] rows of files
    right: Tensor  # [N]
    prompt: Tensor  # [N] rows of prompts
    rater: Tensor  # [N] rows of raters
    question: Tensor  # [N] rows of questions
    answer: Tensor  # [N] rows of ANSWERS

    def __len__(self) -> int:
        return len(self.answer)

    @property
    def decided(self) -> Tensor:
        """`[N]` bool: not a tie."""
        return self.answer != ANSWERS.index("tie")

    def prompt_of_file(self) -> Tensor:
        """`[F]` rows of prompts."""
        prompts = torch.zeros(len(self.files), dtype=torch.long)
        prompts[self.left], prompts[self.right] = self.prompt, self.prompt
        return prompts


def read_votes(folder: Path) -> Votes:
    """The answers in an export that count: not withdrawn, and to pairs that compare something.

    Raises:
        UserError: the folder is no export, images are missing, or a question has too few answers; says how many more.
    """
    table = _table(folder)
    if table.empty:
        raise UserError(f"{folder} has no answers yet: a preference needs {shortage(table)}.")
    if more := shortage(table):
        raise UserError(f"{folder} has too few votes to learn a preference from: it needs {more}.")
    questions, raters, prompts = (sorted(set(table[name])) for name in ("question", "rater", "prompt"))
    names = sorted({*table["image_left"], *table["image_right"]})
    files = [folder / name for name in names]
    if missing := [file.name for file in files if not file.is_file()]:
        raise UserError(f"{folder} lacks {len(missing)} images ({missing[0]} ...): export the study again.")
    rows = {
        field: torch.tensor(pd.Index(known).get_indexer(table[column]))
        for field, column, known in (
            ("left", "image_left", names),
            ("right", "image_right", names),
            ("prompt", "prompt", prompts),
            ("rater", "rater", raters),
            ("question", "question", questions),
            ("answer", "answer", ANSWERS),
        )
    }
    return Votes(files, prompts, raters, questions, **rows)


def counting(votes: pd.DataFrame, raters: pd.DataFrame) -> pd.DataFrame:
    """The answers in a study's tables that a preference learns from."""
    if "withdrawn" in raters:
        votes = votes[~votes["rater"].isin(raters["rater"][raters["withdrawn"].fillna("") != ""])]
    counted = votes[votes["kind"].isin(KINDS) & votes["answer"].isin(ANSWERS)]
    return counted[["question", "rater", "prompt", "image_left", "image_right", "answer"]].astype(str)


def shortage(table: pd.DataFrame) -> str:
    """What answers (`counting`) lack, as in “it needs 12 more answers to ...”; empty if they suffice."""
    if table.empty:
        return f"{DECIDED} answers to a question that are no tie"
    for question, answers in table.groupby("question"):
        decided = int((answers["answer"] != "tie").sum())
        if decided < DECIDED:
            return f"{DECIDED - decided} more answers to “{question}” that are no tie (it has {decided})"
        counts = {"prompts": answers["prompt"].nunique(), "raters": answers["rater"].nunique()}
        if short := {name: least for name, least in LEAST.items() if counts[name] < least}:
            return " and ".join(f"{least - counts[name]} more {name}" for name, least in short.items())
    return ""


def _table(folder: Path) -> pd.DataFrame:
    try:
        return counting(pd.read_parquet(folder / "votes.parquet"), pd.read_parquet(folder / "raters.parquet"))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} is no export of a study ({error}): make one with `python -m study export NAME --out FOLDER`."
        ) from None


def halves(count: int, generator: torch.Generator) -> Tensor:
    """`[count]` bool: a random half of `count` raters."""
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.randperm(count, generator=generator)[: (count + 1) // 2]] = True
    return chosen


def agreement(votes: Votes, questions: Sequence[int] | None = None) -> float | None:
    """How often two people who decided on the same pair agreed; None if no two did.

    The pair is the same with its sides exchanged.
    """
    first, second = torch.minimum(votes.left, votes.right), torch.maximum(votes.left, votes.right)
    liked = torch.where((votes.answer == 0) == (votes.left == first), 1, 0)  # whether the first image was preferred
    table = pd.DataFrame(
        {"first": first, "second": second, "question": votes.question, "rater": votes.rater, "liked": liked}
    )[votes.decided.numpy()]
    if questions is not None:
        table = table[table["question"].isin(questions)]
    table = table.drop_duplicates(["first", "second", "question", "rater"])
    by = table.groupby(["first", "second", "question"])["liked"].agg(["sum", "count"])
    alike = by["sum"] * (by["sum"] - 1) + (by["count"] - by["sum"]) * (by["count"] - by["sum"] - 1)
    pairs = (by["count"] * (by["count"] - 1)).sum()
    return float(alike.sum() / pairs) if pairs else None
