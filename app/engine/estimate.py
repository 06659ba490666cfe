"""What a visitor's training will cost, before it starts: measured by a dry run of the same command."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from app.engine.orders import BATCH, Order
from app.engine.standing import duration
from app.engine.trainings import Trainings
from e2ed2.errors import UserError

LIMIT = 600  # s


def estimate(trainings: Trainings, order: Order) -> str:
    """What it trains and how long it takes here, measured on the bundled drawings (any others take as long).

    Takes about a minute.

    Raises UserError: another training is running, which would distort the measurement; or it cannot be measured.
    """
    trainings.check_free()
    command = trainings.command(replace(order, files=()), Path("never"))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "e2ed2", *command, "--dry-run"], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise UserError("Measuring took more than ten minutes: this machine is too busy for a training.") from None
    if done.returncode:
        errors = done.stderr.strip().splitlines() or ["it said nothing"]
        raise UserError(f"The time cannot be measured: {errors[-1]}")
    return in_words(done.stdout, order)


def in_words(dry_run: str, order: Order) -> str:
    """The first lines of a dry run, put into words for a visitor."""
    trained = re.search(r"^([\d.]+) M trained parameters$", dry_run, re.M)
    rate = re.search(r"^([\d.]+) samples/s", dry_run, re.M)
    if not trained or not rate:
        raise UserError("The time cannot be measured: the dry run said something unexpected.")
    seconds = order.updates * BATCH / max(float(rate[1]), 0.1)
    return (
        f"It changes {trained[1]} million numbers of {order.base} and takes about {duration(seconds)} here, "
        f"at {rate[1]} pictures a second; previews and saving come on top."
    )
