"""Files of tensors, in the safetensors format; and errors of too little memory."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from e2ed2.errors import UserError

READ_AND_WRITE = 0o666
FULL = ("MPS backend out of memory", "can't allocate memory", "not enough memory")  # of devices other than CUDA


def save_tensors(tensors: Mapping[str, Tensor], file: Path, about: Mapping[str, str] | None = None) -> None:
    """Write the tensors as safetensors, readable by everybody who may read the file's folder.

    Args:
        about: the file's metadata.

    Raises:
        SafetensorError, OSError: it cannot be written.
    """
    save_file(dict(tensors), file, dict(about) if about else None)
    as_readable_as_its_folder(file)


def as_readable_as_its_folder(file: Path) -> None:
    """Fix the file's permissions: safetensors lets only the owner read its files, whatever the umask."""
    file.chmod(file.parent.stat().st_mode & READ_AND_WRITE)


@contextmanager
def raise_if_out_of_memory(advice: str) -> Generator[None]:
    """Turn an out-of-memory error, of a GPU or the machine, into a UserError that gives the advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        full = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in FULL)
        if not full:
            raise
        raise UserError(f"There is not enough memory: {advice}.") from error
