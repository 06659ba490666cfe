"""Tensors that are expensive to compute and cheap to store."""

import hashlib
import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from e2ed2.files import data_folder
from e2ed2.tensors import save_tensors


def cached(
    kind: str, parts: list[bytes], make: Callable[[], dict[str, Tensor]], bundled: Path | None = None
) -> dict[str, Tensor]:
    """The tensors cached for these parts, or computed now; a damaged file is replaced.

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
    if (found := read_cached(file)) is not None:
        return found
    with made_once(file):
        if (found := read_cached(file)) is not None:
            return found
        tensors = make()
        keep(tensors, file)
        return tensors


def read_cached(file: Path) -> dict[str, Tensor] | None:
    """The file's tensors, mapped into memory; None if it is missing or damaged (a damaged file is removed)."""
    try:
        return load_file(file) if file.is_file() else None
    except (SafetensorError, OSError):
        file.unlink(missing_ok=True)
        return None


@contextmanager
def made_once(file: Path) -> Generator[None]:
    """Hold a lock on the file, so that other processes that need it wait and then find it finished."""
    with ExitStack() as stack:
        with suppress(OSError, NotImplementedError):  # a folder that cannot be written, a disk without locks
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(file.with_suffix(".lock")))
        yield


def keep(tensors: dict[str, Tensor], file: Path) -> None:
    """Store the tensors; if that fails (a full disk, a read-only folder), the next call has to compute them again."""
    partial = file.with_suffix(f".{os.getpid()}.partial")  # another process may be writing the same file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(tensors, partial)
        partial.rename(file)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        print(
            f"{file.parent} cannot be written ({error}), so what took so long is not kept for the next time: "
            "make room there, or set E2ED2_DATA to another folder.",
            file=sys.stderr,
        )
