"""The words of a `train` command, before it is parsed: what its preset does not read, and former names."""

import sys
from collections.abc import Sequence
from dataclasses import fields

from e2ed2.errors import UserError
from e2ed2.objectives.config import ObjectiveConfig
from e2ed2.progress import say
from e2ed2.training.config import KINDS, RENAMED, RunConfig


def refuse_unread(objective: ObjectiveConfig, arguments: Sequence[str]) -> None:
    """An option that this objective never reads is a misunderstanding, which is said before it costs a training.

    Raises:
        UserError: some are given that only other objectives read.
    """
    mine = options_of(type(objective))
    others = {name for kind in KINDS.values() for name in options_of(kind)} - mine
    if given := [option for option in map(option_of, arguments) if option.removeprefix("no-").split(".")[0] in others]:
        unread = ", ".join(f"--{option}" for option in given)
        raise UserError(f"A training of kind {objective.kind} does not read {unread}: leave it out.")


def refuse_idle(config: RunConfig, arguments: Sequence[str]) -> None:
    """An option that nothing reads beside the others as they are.

    Raises:
        UserError: such an option is given; it says what would read it.
    """
    given = set(map(option_of, arguments))
    for option, needed in idle(config).items():
        if option in given:
            raise UserError(f"--{option} is read with {needed} only: add that, or leave --{option} out.")


def idle(config: RunConfig) -> dict[str, str]:
    """Options that this run does not read, and what would read each."""
    objective, data = config.objective, config.data
    loss, full = getattr(objective, "loss", ()), getattr(objective, "tune", "lora") == "full"
    rules = [
        ("lora-rank", full, "--tune lora"),
        ("lora-targets", full, "--tune lora"),
        ("decode-crop", getattr(objective, "decode", "full") != "crop", "--decode crop"),
        ("repulsion", not {"energy", "energy-lpips"} & set(getattr(loss, "weights", ())), "a loss of energy"),
        ("patience", not getattr(loss, "preferences", {}), "a preference in the loss"),
        ("trainer.adversary-lr", "gan" not in loss, "gan in the loss"),
        ("precompute", data.stream, "a set in memory (no --data.stream)"),
    ]
    return {option: needed for option, unread, needed in rules if unread}


def with_new_names(arguments: Sequence[str]) -> list[str]:
    """The command with the names that options have now; each old one is noted on stderr."""
    words = []
    for word in arguments:
        new = RENAMED.get(option_of(word).removeprefix("trainer."), "") if word.startswith("--trainer.") else ""
        if new:
            old, equals, value = word.partition("=")
            say(f"{old} is now called --trainer.{new}; the next release knows the new name only.", sys.stderr)
            word = f"--trainer.{new}{equals}{value}"
        words.append(word)
    return words


def options_of(config: type[ObjectiveConfig]) -> set[str]:
    return {one.name.replace("_", "-") for one in fields(config)}


def option_of(argument: str) -> str:
    """`--sampling_steps=2` => `sampling-steps`; empty for a value."""
    return argument.removeprefix("--").partition("=")[0].replace("_", "-") if argument.startswith("--") else ""
