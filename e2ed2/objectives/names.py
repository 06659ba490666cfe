"""Command-line names of options."""

from dataclasses import fields
from typing import Any


def options_of(config: Any) -> set[str]:
    """The options of a config's class."""
    return {one.name.replace("_", "-") for one in fields(config)}


def option_of(argument: str) -> str:
    """`--sampling_steps=2` => `sampling-steps`; empty for a value."""
    return argument.removeprefix("--").partition("=")[0].replace("_", "-") if argument.startswith("--") else ""
