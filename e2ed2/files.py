"""Where files are kept between runs, and tensors that are dear to make and cheap to keep."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_data_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

APP = "e2ed2-studio"


def data_folder() -> Path:
    """Caches, trainings and studies: $E2ED2_DATA, or the user's data folder as the operating system has it."""
    named = os.environ.get("E2ED2_DATA")
    return Path(named).expanduser() if named else user_data_path(APP)


def runs_folder() -> Path:
    """Trainings: $E2ED2_RUNS, or `runs` in the data folder."""
    named = os.environ.get("E2ED2_RUNS")
    return Path(named).expanduser() if named else data_folder() / "runs"


def cached(
    kind: str, parts: list[bytes], make: Callable[[], dict[str, Tensor]], bundled: Path | None = None
) -> dict[str, Tensor]:
    """The tensors kept for these parts, or made now; a damaged file is made anew.

    Args:
        bundled: a folder that may have them from the start.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    folder = data_folder() / "cache"
    file = folder / f"{kind}-{digest.hexdigest()[:16]}.safetensors"
    if bundled and (bundled / file.name).is_file():
        return load_file(bundled / file.name)
    if file.is_file():
        try:
            return load_file(file)
        except (SafetensorError, OSError):
            file.unlink()
    tensors = make()
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")  # another process may be making the same
    save_file(tensors, partial)
    partial.rename(file)
    return tensors
