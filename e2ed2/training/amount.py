"""Checks that a resumed run has the same number of pictures, divided in the same way."""

import json
from pathlib import Path

from e2ed2.errors import UserError
from e2ed2.files import write_whole
from e2ed2.training.config import RunConfig
from e2ed2.training.state import checkpoints_in

AMOUNT = "amount"  # in run.json


def keep_amount(folder: Path, config: RunConfig, amount: int) -> None:
    """Record in `run.json` how many pictures (or answers) a run learns from, or check that the number is unchanged.

    Which of them an update uses depends on their number.

    Raises:
        UserError: the number has changed, or an earlier version may have held out others.
    """
    file = folder / "run.json"
    run = json.loads(file.read_text())
    if checkpoints_in(folder):
        if AMOUNT not in run:
            check_share(config.data.held_out)
        elif run[AMOUNT] != amount:
            raise UserError(
                f"The run in {folder} learned from {run[AMOUNT]} {config.objective.unit}, and now there are {amount}: "
                "put the set back as it was, or choose another folder."
            )
    write_whole(file, json.dumps(run | {AMOUNT: amount}, indent=2) + "\n")


def check_share(share: float) -> None:
    """Check a run that recorded no amount: an earlier version held out every k-th picture, k nearest to 1 / share.

    Raises:
        UserError: those would be different pictures from now.
    """
    if share and abs(share * round(1 / share) - 1) > 1e-9:
        raise UserError(
            f"Which pictures this run held out is not noted, and an earlier version took others for --data.held-out "
            f"{share}: choose another folder."
        )
