"""What a finished preference has beside it."""

import json
from pathlib import Path
from typing import Any

from e2ed2.errors import UserError

ACCURACY = "accuracy.json"  # how well it foretells answers: a list, of all questions together and of each
EXAMPLES = "examples"  # what it likes most and least, and where in the image

Found = dict[str, Any]  # as `Foretold.plain`


def accuracies(model: Path) -> dict[str, Found]:
    """By question, "" for all together.

    Raises:
        UserError: there are none.
    """
    try:
        return {one["question"]: one for one in json.loads((model / ACCURACY).read_text())}
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(f"{model / ACCURACY} is missing or damaged: learn the preference again.") from None


def shown(accuracy: dict[str, float]) -> str:
    """Of prompts or raters that were left out, with its interval."""
    return "{value:.2f} ({low:.2f} to {high:.2f})".format_map(accuracy)


def sure(found: Found) -> bool:
    """Whether answers on new prompts and of new people are foretold better than by chance."""
    return all(found[left_out]["low"] > found["chance"] for left_out in ("prompts", "raters"))


def refuse_unsure(model: Path, questions: list[str]) -> None:
    """Raises UserError where one of these preferences is not surely better than chance: where it leads is luck."""
    known = accuracies(model)
    for question in questions:
        if (found := known.get(question)) and not sure(found):
            group = min(("prompts", "raters"), key=lambda left_out: found[left_out]["low"])
            raise UserError(
                f"These votes taught nothing sure: of answers on new {group}, {shown(found[group])} "
                f"are foretold, and {found['chance']} would be by chance. Where a training on it leads is luck: "
                "collect more votes. For a control, --follow-unsure trains all the same."
            )
