"""A preference as a term of an end-to-end loss, and the judge that decides when to stop."""

import math
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.errors import UserError
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import model_folder
from e2ed2.preference.files import refuse_unsure
from e2ed2.preference.model import Preference
from e2ed2.types import CaptionedBatch

JUDGED = "judge"  # the name under which its mean score is logged


class Liking(nn.Module):
    """The frozen preference and its judge; neither is trained any further."""

    def __init__(
        self,
        preference: Preference,
        judge: Preference,
        questions: dict[str, str],
        patience: int,
        text: MiniLM | None = None,
    ):
        """
        Args:
            questions: the question of each term of the loss, "" for all questions.
            text: embeds captions for the preference, if the model in training uses a different encoder.
        """
        super().__init__()
        for question in filter(None, questions.values()):
            preference.row(question)
        self.preference, self.judge, self.text = preference, judge, text
        self.questions, self.patience = questions, patience

    @classmethod
    def of(cls, config: Any, text_width: int) -> Self | None:
        """The liking that the config describes; None if the loss has no such term. `text_width`: of the embeddings.

        Raises:
            UserError: the preference is missing or damaged, or has learned nothing sure.
        """
        if not config.loss.preferences:
            return None
        folder = model_folder(config.preference_from)
        preference, judge = (Preference.load(folder / name) for name in ("preference", "judge"))
        if not config.follow_unsure:
            refuse_unsure(folder, list(config.loss.preferences.values()))
        text = None if text_width == preference.width else MiniLM()
        return cls(preference, judge, config.loss.preferences, config.patience, text)

    def read(self, batch: CaptionedBatch) -> Tensor:
        """The batch's captions as the preference embeds them, `[B, width]`.

        Raises:
            UserError: only embeddings by another encoder are stored.
        """
        if self.text is None:
            return batch.text.pooled
        if not batch.captions:
            raise UserError(
                "A preference reads the captions themselves, and `data cache` keeps only what the backbone's encoder "
                "made of them: train on the set itself, with --data.stream."
            )
        return self.text(batch.captions).pooled

    def terms(self, images: Tensor, before: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        """For each term, minus the mean log probability that people prefer an image to the initial model's.

        Both start from the same noise. An image that is sure to be preferred cannot gain any more, so exaggeration does
        not pay.
        """
        rewards = {name: self.preference.reward(images, before, pooled, key) for name, key in self.questions.items()}
        return {name: -F.logsigmoid(reward).mean() for name, reward in rewards.items()}

    def watched(self, images: Tensor, before: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        """The gain according to the preference and to its judge, in log odds; means over the terms."""
        models, questions = {"reward": self.preference, JUDGED: self.judge}, self.questions.values()
        return {
            name: torch.stack([model.reward(images, before, pooled, question) for question in questions]).mean()
            for name, model in models.items()
        }

    def exhausted(self, watched: list[dict[str, float]]) -> bool:
        """Whether the judge has seen no gain for `patience` measurements."""
        scores = [one[JUDGED] for one in watched if JUDGED in one]
        return len(scores) > self.patience and max(scores[-self.patience :]) <= max(scores[: -self.patience])

    def best(self, watched: list[dict[str, float]]) -> int | None:
        """The measurement with the largest gain according to the judge."""
        return max(range(len(watched)), key=lambda one: watched[one].get(JUDGED, -math.inf), default=None)

    def train(self, mode: bool = True) -> "Liking":
        """Always in evaluation mode."""
        return super().train(False)
