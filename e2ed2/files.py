"""Tensors that are dear to make and cheap to keep, on disk under a key of what they were made from."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path(".e2ed2-cache")


def cached(kind: str, parts: list[bytes], make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors kept for these parts, or made now; a damaged file is made anew."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    file = FOLDER / f"{kind}-{digest.hexdigest()[:16]}.safetensors"
    if file.is_file():
        try:
            return load_file(file)
        except (SafetensorError, OSError):
            file.unlink()
    tensors = make()
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")  # another process may be making the same
    save_file(tensors, partial)
    partial.rename(file)
    return tensors
