"""Which files an export or a report has, by their hashes: one hash that stands for all of them."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from study.errors import StudyError

MANIFEST = "manifest.json"


def add_to_manifest(folder: Path, names: Iterable[str]) -> str:
    """Writes these files' hashes beside those that the folder's manifest has already. Returns `manifest_hash`."""
    file = folder / MANIFEST
    known = read_manifest(folder) if file.is_file() else {}
    known |= {name: _sha256(folder / name) for name in names}
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
    return manifest_hash(folder)


def manifest_hash(folder: Path) -> str:
    """Of the manifest, and so of every file in it; "" where there is none: exports of earlier versions have none."""
    file = folder / MANIFEST
    return _sha256(file) if file.is_file() else ""


def read_manifest(folder: Path) -> dict[str, str]:
    """File to SHA-256. Raises StudyError where it cannot be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
        return {str(name): str(sha256) for name, sha256 in found.items()}
    except (OSError, ValueError, AttributeError):
        raise StudyError(f"{folder / MANIFEST} cannot be read: export the study again.") from None


def manifest_problems(folder: Path) -> Iterable[str]:
    """Files that are not what the manifest says; none for a folder without a manifest."""
    if not manifest_hash(folder):
        return
    for name, sha256 in sorted(read_manifest(folder).items()):
        file = folder / name
        if not file.is_file() or _sha256(file) != sha256:
            yield f"{name} is missing, or is not the file that was written."


def _sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
