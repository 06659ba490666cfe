"""Where files are stored between runs, and how they are replaced."""

import os
from pathlib import Path

from platformdirs import user_data_path

APP = "e2ed2-studio"


def data_folder() -> Path:
    """Caches, trainings and studies: $E2ED2_DATA, or the user's data folder as the operating system has it."""
    named = os.environ.get("E2ED2_DATA")
    return Path(named).expanduser() if named else user_data_path(APP)


def runs_folder() -> Path:
    """Trainings: $E2ED2_RUNS, or `runs` in the data folder."""
    named = os.environ.get("E2ED2_RUNS")
    return Path(named).expanduser() if named else data_folder() / "runs"


def write_whole(file: Path, text: str) -> None:
    """Replace the file's text atomically: a reader finds either the old text or the new one, never a part."""
    partial = file.with_suffix(".partial")
    try:
        partial.write_text(text)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
