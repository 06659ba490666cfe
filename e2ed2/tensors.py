"""Files of tensors, in the safetensors format."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

READ_AND_WRITE = 0o666


def save_tensors(tensors: Mapping[str, Tensor], file: Path, about: Mapping[str, str] | None = None) -> None:
    """Write them as safetensors, for everybody who may read the file's folder.

    Args:
        about: the file's metadata.

    Raises:
        SafetensorError, OSError: it cannot be written.
    """
    save_file(dict(tensors), file, dict(about) if about else None)
    as_readable_as_its_folder(file)


def as_readable_as_its_folder(file: Path) -> None:
    """safetensors writes files that only their owner may read, whatever the umask."""
    file.chmod(file.parent.stat().st_mode & READ_AND_WRITE)
