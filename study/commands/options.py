"""What the commands' options share."""

import sys
from typing import Annotated

import tyro

Name = Annotated[str, tyro.conf.Positional]
OLD, NEW = "--placebos.", "--checks."


def with_new_names(arguments: list[str]) -> list[str]:
    """Options by their old name become today's, with a note on stderr. The next release drops the old name."""
    if any(argument.startswith(OLD) for argument in arguments):
        print(f"Note: {OLD}* is now called {NEW}*; the old name stops working in the next release.", file=sys.stderr)
    return [NEW + argument[len(OLD) :] if argument.startswith(OLD) else argument for argument in arguments]
