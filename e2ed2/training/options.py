"""The arguments of a `train` command before parsing: options that the preset does not read, and former names."""

import sys
from collections.abc import Sequence

from e2ed2.errors import UserError
from e2ed2.objectives.config import ObjectiveConfig
from e2ed2.objectives.names import option_of, options_of
from e2ed2.progress import say
from e2ed2.training.config import KINDS, RENAMED

FORMER_PRESETS = {"coarse-choices": "coarse"}  # former name => name


def refuse_unread(objective: ObjectiveConfig, arguments: Sequence[str]) -> None:
    """Reject options that this objective never reads, before the misunderstanding costs a training.

    Raises:
        UserError: options are given that only other objectives read.
    """
    mine = options_of(type(objective))
    others = {name for kind in KINDS.values() for name in options_of(kind)} - mine
    if given := [option for option in map(option_of, arguments) if option.removeprefix("no-").split(".")[0] in others]:
        unread = ", ".join(f"--{option}" for option in given)
        raise UserError(f"A training of kind {objective.kind} does not read {unread}: leave it out.")


def with_new_names(arguments: Sequence[str]) -> list[str]:
    """The command with the current names of its preset and options; each old name is noted on stderr."""
    words = []
    for place, word in enumerate(arguments):
        if place == 0 and (preset := FORMER_PRESETS.get(word)):
            say(f"The preset {word} is now called {preset}.", sys.stderr)
            word = preset
        new = RENAMED.get(option_of(word).removeprefix("trainer."), "") if word.startswith("--trainer.") else ""
        if new:
            old, equals, value = word.partition("=")
            say(f"{old} is now called --trainer.{new}; the next release knows the new name only.", sys.stderr)
            word = f"--trainer.{new}{equals}{value}"
        words.append(word)
    return words
