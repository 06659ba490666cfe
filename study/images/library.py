"""Where a study's images are kept: once each, under the hash of their bytes."""

import hashlib
import io
import os
from pathlib import Path

from PIL import Image


class Library:
    """PNG files by the hash of their bytes, in the data folder."""

    def __init__(self, folder: Path):
        self.folder = folder / "images"

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / f"{sha256}.png"

    def add(self, png: bytes) -> str:
        """Stores whole or not at all; the same bytes once."""
        sha256 = hashlib.sha256(png).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(png)
            os.replace(part, path)
        return sha256


def encode(image: Image.Image) -> bytes:
    """A PNG of the pixels and nothing else: the same pixels give the same bytes."""
    buffer = io.BytesIO()
    bare = Image.frombytes("RGB", image.size, image.tobytes())  # carries no metadata, whatever Pillow would keep
    bare.save(buffer, format="PNG")
    return buffer.getvalue()
