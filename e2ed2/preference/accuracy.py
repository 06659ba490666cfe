"""How well a preference predicts unseen answers: on new prompts, and by new people."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from e2ed2.preference.files import shown
from e2ed2.preference.model import Answers, Head
from e2ed2.preference.votes import Votes, agreement
from e2ed2.seeds import stream

FOLDS = 5
UPDATES = 60  # of each fold's head, on all its answers at once


@dataclass(frozen=True)
class Accuracy:
    """The share of decided answers that the higher score predicts, for prompts or raters that were left out."""

    left_out: str
    """prompt or rater"""
    value: float
    low: float
    high: float
    """95%, over other prompts and other raters: each of both gave many of the answers, whichever was left out"""
    answers: int


@dataclass(frozen=True)
class Foretold:
    """Both accuracies, with chance and people's own agreement for comparison."""

    question: str
    """or "" for all together"""
    prompts: Accuracy
    raters: Accuracy
    agreement: float | None
    """How often two people who decided on the same pair agree; None if no two did."""
    chance: float = 0.5

    @property
    def ceiling(self) -> float | None:
        """The accuracy of always giving the majority answer, if every pair split people equally; from the agreement."""
        return None if self.agreement is None else (1 + max(0.0, 2 * self.agreement - 1) ** 0.5) / 2

    def plain(self) -> dict:
        return asdict(self) | {"ceiling": self.ceiling}


def in_words(found: list[Foretold]) -> str:
    """The accuracies in Markdown, for a model's card."""
    lines = [
        "| question | of new prompts | of new people | two people agree | at best |",
        "|---|---|---|---|---|",
        *(
            f"| {one.question or 'all'} | {shown(asdict(one.prompts))} | {shown(asdict(one.raters))} | "
            f"{_known(one.agreement)} | {_known(one.ceiling)} |"
            for one in found
        ),
    ]
    return "Share of decided answers that it foretells, 95% intervals; 0.5 is chance:\n\n" + "\n".join(lines) + "\n"


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def foretold(votes: Votes, answers: Answers, seed: int) -> list[Foretold]:
    """Accuracies for all questions together, then for each. `answers` are those of `votes`, in their order."""
    groups = {"prompt": votes.prompt, "rater": votes.rater}
    right = {name: cross_validated(votes, answers, group, seed) for name, group in groups.items()}
    accuracies = []
    for row in (None, *range(len(votes.questions))):
        chosen = votes.decided if row is None else votes.decided & (votes.question == row)
        both = votes.prompt[chosen], votes.rater[chosen]
        prompts, raters = (accuracy(name, hits[chosen], *both) for name, hits in right.items())
        question, rows = ("", None) if row is None else (votes.questions[row], [row])
        accuracies.append(Foretold(question, prompts, raters, agreement(votes, rows)))
    return accuracies


def cross_validated(votes: Votes, answers: Answers, group: Tensor, seed: int) -> Tensor:
    """`[N]` bool: whether a head that never saw the answer's group predicts it; False for ties."""
    count = int(group.max()) + 1
    fold = torch.randperm(count, generator=stream(seed, "folds")) % FOLDS
    right = torch.zeros(len(votes), dtype=torch.bool)
    for one in range(FOLDS):
        unseen = fold[group] == one
        if not unseen.any():
            continue
        head = fitted(select(answers, ~unseen), len(votes.questions), seed)
        right[unseen] = guesses(head, select(answers, unseen)) == answers.answer[unseen]
    return right


@torch.no_grad()
def guesses(head: Head, answers: Answers) -> Tensor:
    """`[B]`: 0 (left) or 2 (right), whichever image has the higher score."""
    scores = (head(answers.left, answers.pooled) - head(answers.right, answers.pooled)).mean(dim=0)
    return torch.where(scores[torch.arange(len(scores)), answers.question] > 0, 0, 2)


def select(answers: Answers, rows: Tensor) -> Answers:
    return Answers(*(value[rows] for value in answers))


def fitted(answers: Answers, questions: int, seed: int) -> Head:
    """A head of one member, with the maximum a posteriori weights."""
    chance = stream(seed, "weights")
    head = Head(answers.left.shape[1], answers.pooled.shape[1], questions, members=1, generator=chance)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=UPDATES, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        total = -(head.log_likelihood(answers).sum() + head.log_prior().sum())
        total.backward()
        return total.item()

    optimizer.step(loss)
    return head


def accuracy(left_out: str, right: Tensor, prompt: Tensor, rater: Tensor) -> Accuracy:
    """The accuracy, with an interval for answers that share a prompt, a rater, or both (two-way clusters).

    The variance is that over prompts and that over raters, less what both count (Cameron, Gelbach and Miller 2011, eq.
    2.11), and never less than either alone; Student's t has the degrees of freedom of the smaller group.

    Args:
        right: `[N]` bool, whether a head that saw the other groups predicted the answer.
        prompt: `[N]`. At least two, as of raters.
        rater: `[N]`
    """
    hits = right.double().numpy()
    value = hits.mean()
    groups = [np.unique(of, axis=0, return_inverse=True)[1] for of in (prompt, rater, torch.stack([prompt, rater], 1))]
    sums = [np.bincount(group.ravel(), hits - value) for group in groups]
    over_prompts, over_raters, over_both = (len(one) / (len(one) - 1) * (one @ one) / len(hits) ** 2 for one in sums)
    variance = max(over_prompts + over_raters - over_both, over_prompts, over_raters)
    half = student.ppf(0.975, min(map(len, sums)) - 1) * variance**0.5
    return Accuracy(left_out, float(value), max(0.0, value - half), min(1.0, value + half), len(right))
