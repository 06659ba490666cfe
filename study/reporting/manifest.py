"""Which files an export or a report has, by their hashes: one hash that stands for all of them."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.store.signing import Key, signed_by

MANIFEST, SIGNATURE = "manifest.json", "signature.json"


def add_to_manifest(folder: Path, names: Iterable[str], key: Key | None = None) -> str:
    """Writes these files' hashes beside those that the folder's manifest has already, and signs it.

    Args:
        key: without one the manifest is not signed, whoever signed it before.

    Returns:
        `manifest_hash`.
    """
    file = folder / MANIFEST
    known = read_manifest(folder) if file.is_file() else {}
    known |= {name: _sha256(folder / name) for name in names}
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
    (folder / SIGNATURE).unlink(missing_ok=True)
    if key:
        (folder / SIGNATURE).write_text(
            json.dumps(key.sign({"manifest": manifest_hash(folder)}), indent=1) + "\n", "utf-8"
        )
    return manifest_hash(folder)


def signer(folder: Path) -> str:
    """The public key of whoever signed the manifest, "" where nobody did. Raises StudyError for a wrong signature."""
    file = folder / SIGNATURE
    if not file.is_file():
        return ""
    signed = read_json(file)
    by = signed_by(signed)
    if not by or signed["said"] != {"manifest": manifest_hash(folder)}:
        raise StudyError(f"{SIGNATURE} is not a signature of this manifest: files were changed after they were signed.")
    return by


def read_json(file: Path) -> dict[str, Any]:
    """Raises StudyError where it holds no JSON object."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise StudyError(f"{file} cannot be read: export the study again.")
    return value


def manifest_hash(folder: Path) -> str:
    """The hash of the manifest, and so of every file in it; "" for exports of earlier versions, which have none."""
    file = folder / MANIFEST
    return _sha256(file) if file.is_file() else ""


def read_manifest(folder: Path) -> dict[str, str]:
    """File to SHA-256. Raises StudyError where it cannot be read."""
    return {str(name): str(sha256) for name, sha256 in read_json(folder / MANIFEST).items()}


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
