"""Where a study's images are kept: once each, under the hash of their bytes."""

import hashlib
import io
import os
from pathlib import Path

from PIL import Image

FORMATS = {"webp": "image/webp", "png": "image/png"}  # PNG in studies of earlier versions


class Library:
    """WebP files, and PNG files of earlier versions, by the hash of their bytes, in the data folder."""

    def __init__(self, folder: Path):
        self.folder = folder / "images"

    def path(self, sha256: str) -> Path:
        """Where it is; where it would be stored, if it is not there."""
        files = [self.folder / sha256[:2] / f"{sha256}.{suffix}" for suffix in FORMATS]
        return next((file for file in files if file.exists()), files[0])

    def add(self, data: bytes) -> str:
        """Stores whole or not at all; the same bytes once."""
        path = self._place(name_of(data))
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(data)
            os.replace(part, path)
        return path.stem

    def take(self, file: Path) -> None:
        """Moves here what `name_of` named, on the same disk."""
        os.replace(file, self._place(file.name))

    def _place(self, name: str) -> Path:
        path = self.folder / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def name_of(data: bytes) -> str:
    """A file's name by the hash of its bytes."""
    suffix = "png" if data.startswith(b"\x89PNG") else "webp"
    return f"{hashlib.sha256(data).hexdigest()}.{suffix}"


def bare(data: bytes) -> bytes:
    """A WebP or PNG file without what was put behind its end; other bytes as they are."""
    if data[:4] == b"RIFF":
        length = int.from_bytes(data[4:8], "little") + 8
    else:
        length = data.find(b"IEND") + 8 if data.startswith(b"\x89PNG") else len(data)
    return data[:length]


def encode(image: Image.Image, quality: int | None = None) -> bytes:
    """A WebP file of the pixels and nothing else: the same pixels give the same bytes.

    Args:
        quality: 1 to 100; without one, no pixel changes.
    """
    buffer = io.BytesIO()
    bare = Image.frombytes("RGB", image.size, image.tobytes())  # carries no metadata, whatever Pillow would keep
    bare.save(buffer, format="WEBP", lossless=quality is None, quality=20 if quality is None else quality, method=0)
    return buffer.getvalue()
