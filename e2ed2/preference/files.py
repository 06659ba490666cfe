"""The files beside a finished preference."""

import json
from pathlib import Path
from typing import Any

from e2ed2.errors import UserError

ACCURACY = "accuracy.json"  # how well it predicts answers: a list, for all questions together and for each
EXAMPLES = "examples"  # images that it likes most and least, and where it looks

Found = dict[str, Any]  # as `Foretold.plain`


def accuracies(model: Path) -> dict[str, Found]:
    """Accuracies by question, "" for all together.

    Raises:
        UserError: there are none.
    """
    try:
        return {one["question"]: one for one in json.loads((model / ACCURACY).read_text())}
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(f"{model / ACCURACY} is missing or damaged: learn the preference again.") from None


def shown(accuracy: dict[str, float]) -> str:
    """An accuracy on left-out prompts or raters as text, with its interval."""
    return "{value:.2f} ({low:.2f} to {high:.2f})".format_map(accuracy)


def sure(found: Found) -> bool:
    """Whether answers on new prompts and by new people are predicted better than chance."""
    return all(found[left_out]["low"] > found["chance"] for left_out in ("prompts", "raters"))


def refuse_unsure(model: Path, questions: list[str]) -> None:
    """Raises UserError: one of these preferences is not significantly better than chance, so its effect is luck."""
    known = accuracies(model)
    for question in questions:
        if (accuracy := known.get(question)) and not sure(accuracy):
            group = min(("prompts", "raters"), key=lambda left_out: accuracy[left_out]["low"])
            raise UserError(
                f"These votes taught nothing sure: of answers on new {group}, {shown(accuracy[group])} "
                f"are foretold, and {accuracy['chance']} would be by chance. Where a training on it leads is luck: "
                "collect more votes. For a control, --follow-unsure trains all the same."
            )
