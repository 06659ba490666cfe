"""From images to a study, in one step: all of it or nothing."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.images.importing import Track, import_images, quietly
from study.images.sources import GoldSource, Source, sources_from_folders, sources_from_manifest
from study.protocol.parts import is_name
from study.protocol.problems import bad_name
from study.protocol.spec import StudySpec
from study.store.store import Store
from study.store.studies import StudyInfo, create_study, list_studies

MAX_UNPACKED = 4 * 2**30  # bytes of all files in an archive
MAX_FILES = 50_000


def make_study(
    store: Store,
    name: str,
    sources: Sequence[Source],
    gold: Sequence[GoldSource] = (),
    track: Track = quietly,
    **changes: Any,
) -> StudyInfo:
    """Stores the images and creates the study; `changes` are fields of the spec.

    Args:
        gold: own gold pairs, instead of degraded copies.
        track: shows how far the images are.

    Raises:
        StudyError: the name is taken, something is wrong with the images (all of it at once), or with the spec.
    """
    check_name(store, name)
    images = import_images(sources, store.library, gold, changes.get("image_quality"), track)
    spec = StudySpec(
        name=name,
        arms=images.arms,
        prompts=images.prompts,
        stimuli=images.stimuli,
        degraded=images.degraded,
        gold_of=images.gold_of,
        golden=images.golden,
        references=images.references,
        **changes,
    )
    return create_study(store.database, spec)


def check_name(store: Store, name: str) -> None:
    """Before the work. Raises StudyError where the name cannot be, or is taken."""
    if not is_name(name):
        raise StudyError(bad_name(name))
    if name in {study.name for study in list_studies(store.database)}:
        raise StudyError(f"There is a study {name!r} already: choose another name, or amend it.")


def sources_in(folder: Path, prompts: Path | None = None) -> list[Source]:
    """What a folder holds: a manifest.csv or manifest.jsonl, or a folder for each arm.

    Args:
        prompts: one a line, for the images of each arm in file-name order; by default the folder's prompts.txt, else
            the manifest.jsonl of each arm.

    Raises:
        StudyError: it holds neither, or what `sources_from_folders` finds wrong.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder} is not a folder.")
    inner = _visible(folder)
    if len(inner) == 1 and inner[0].is_dir():  # archives often wrap all they hold in one folder
        return sources_in(inner[0], prompts)
    for manifest in (folder / "manifest.csv", folder / "manifest.jsonl"):
        if manifest.is_file():
            return sources_from_manifest(manifest)
    arms = {part.name: part for part in inner if part.is_dir()}
    if len(arms) < 2:
        raise StudyError(
            "Give each arm a folder of its own with its images, or add a manifest.csv with the columns "
            "prompt, arm, file."
        )
    lines = prompts or folder / "prompts.txt"
    return sources_from_folders(arms, lines if lines.is_file() else None)


def unpack(archive: Path, folder: Path) -> Path:
    """A zip file's content. Raises StudyError where it is none, or is too large."""
    try:
        with zipfile.ZipFile(archive) as opened:
            parts = opened.infolist()
            if len(parts) > MAX_FILES or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise StudyError(f"The archive holds more than {MAX_FILES} files or {MAX_UNPACKED // 2**30} GB.")
            opened.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise StudyError("This is not a readable zip file, or it has a password.") from None
    return folder


def _visible(folder: Path) -> list[Path]:
    return sorted(part for part in folder.iterdir() if not part.name.startswith((".", "__MACOSX")))
