"""Tensors that are dear to make and cheap to keep."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from e2ed2.files import data_folder


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
