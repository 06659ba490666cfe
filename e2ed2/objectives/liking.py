"""A preference as a term of an end-to-end loss, and the judge that says when it has gone far enough."""

from typing import Any, Self

from torch import Tensor, nn

from e2ed2.errors import UserError
from e2ed2.models.references import model_folder
from e2ed2.preference.model import Preference

JUDGED = "judge"  # the name under which its mean score is logged


class Liking(nn.Module):
    """Constants: neither the preference nor its judge is trained any more."""

    def __init__(self, preference: Preference, judge: Preference, questions: dict[str, str], patience: int):
        """`questions`: of each term of the loss, "" for all of them."""
        super().__init__()
        for question in filter(None, questions.values()):
            preference.row(question)
        self.preference, self.judge = preference, judge
        self.questions, self.patience = questions, patience

    @classmethod
    def of(cls, config: Any) -> Self | None:
        """None where the loss has no such term. Raises UserError: the preference is missing or damaged."""
        if not config.loss.preferences:
            return None
        folder = model_folder(config.preference_from)
        parts = (Preference.load(folder / name) for name in ("preference", "judge"))
        return cls(*parts, config.loss.preferences, config.patience)

    def terms(self, images: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        """Minus the mean reward, of each term. Raises UserError: the captions are embedded otherwise."""
        return {name: -self.reward(self.preference, images, pooled, one) for name, one in self.questions.items()}

    def reward(self, model: Preference, images: Tensor, pooled: Tensor, question: str) -> Tensor:
        if pooled.shape[-1] != model.width:
            raise UserError(
                "This preference reads captions as the bundled models do: it cannot judge another backbone."
            )
        return model.reward(images, pooled, question).mean()

    def watched(self, images: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        """What the preference gains, and what its judge says of that; the means over the terms."""
        count = len(self.questions)
        models = {"reward": self.preference, JUDGED: self.judge}
        return {
            name: sum(
                (self.reward(model, images, pooled, one) for one in self.questions.values()), images.new_zeros(())
            )
            / count
            for name, model in models.items()
        }

    def exhausted(self, watched: list[dict[str, float]]) -> bool:
        """Has the judge seen no gain for so long?"""
        scores = [one[JUDGED] for one in watched if JUDGED in one]
        return len(scores) > self.patience and max(scores[-self.patience :]) <= max(scores[: -self.patience])

    def train(self, mode: bool = True) -> "Liking":
        """Always in evaluation mode."""
        return super().train(False)
