"""A preference as a term of an end-to-end loss, and the judge that says when it has gone far enough."""

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
    """Constants: neither the preference nor its judge is trained any more."""

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
            questions: of each term of the loss, "" for all of them.
            text: reads captions for the preference where the model in training reads them otherwise.
        """
        super().__init__()
        for question in filter(None, questions.values()):
            preference.row(question)
        self.preference, self.judge, self.text = preference, judge, text
        self.questions, self.patience = questions, patience

    @classmethod
    def of(cls, config: Any, text_width: int) -> Self | None:
        """None where the loss has no such term; `text_width` is of the captions' embeddings.

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
        """The batch's captions as the preference reads them, `[B, width]`.

        Raises:
            UserError: they are kept only as another encoder read them.
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
        """Of each, minus the mean log chance that people prefer an image to what the start made of the same noise.

        An image that is sure to be preferred can gain no more: nothing is to be had from exaggeration.
        """
        rewards = {name: self.preference.reward(images, before, pooled, key) for name, key in self.questions.items()}
        return {name: -F.logsigmoid(reward).mean() for name, reward in rewards.items()}

    def watched(self, images: Tensor, before: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        """What is gained by the preference, and by its judge, in log odds; the means over the terms."""
        models, questions = {"reward": self.preference, JUDGED: self.judge}, self.questions.values()
        return {
            name: torch.stack([model.reward(images, before, pooled, question) for question in questions]).mean()
            for name, model in models.items()
        }

    def exhausted(self, watched: list[dict[str, float]]) -> bool:
        """Has the judge seen no gain for so long?"""
        scores = [one[JUDGED] for one in watched if JUDGED in one]
        return len(scores) > self.patience and max(scores[-self.patience :]) <= max(scores[: -self.patience])

    def best(self, watched: list[dict[str, float]]) -> int | None:
        """The measurement at which the judge saw most."""
        return max(range(len(watched)), key=lambda one: watched[one].get(JUDGED, -math.inf), default=None)

    def train(self, mode: bool = True) -> "Liking":
        """Always in evaluation mode."""
        return super().train(False)
