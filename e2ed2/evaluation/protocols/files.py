"""The files that a benchmark's folder must contain; all missing ones are reported together, with where to get them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2ed2.data.sources import IMAGES
from e2ed2.errors import UserError
from e2ed2.evaluation.protocols.config import CAPTIONS, CLIP, INCEPTION, Protocol
from e2ed2.progress import track

FIDELITY = "github.com/toshas/torch-fidelity/releases"
CLIP_FROM = "huggingface.co/openai/clip-vit-base-patch32"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks for them
READ = ("*.json", "*.txt")  # other files of a model that transformers reads


@dataclass(frozen=True)
class Files:
    captions: Path
    prompts: list[str]
    references: list[Path]
    inception: Path
    clips: list[Path]  # folders of CLIP models; the first is the one that the protocol names


def find_files(options: Protocol, *more: Callable[[], Any]) -> tuple[Files, list[Any]]:
    """The files, and the results of `more`, which may raise UserErrors too.

    Raises:
        UserError: something is missing or incomplete; the message says where each file goes.
    """
    folder = options.data
    parts = (lambda: captions_of(options), lambda: references_of(options), lambda: inception_of(folder))
    everything = gathered(*parts, lambda: clips_of(folder), *more)
    (captions, prompts), references, inception, clips = everything[: len(parts) + 1]
    return Files(captions, prompts, references, inception, clips), everything[len(parts) + 1 :]


def gathered(*parts: Callable[[], Any]) -> list[Any]:
    """The result of each part. Raises UserError: one or more of them did; their messages are joined."""
    results, problems = [], []
    for part in parts:
        try:
            results.append(part())
        except UserError as error:
            problems.append(str(error))
    if len(problems) > 1:
        raise UserError("\n- ".join((f"{len(problems)} things are to be done first:", *problems)))
    if problems:
        raise UserError(problems[0])
    return results


def captions_of(options: Protocol) -> tuple[Path, list[str]]:
    """The file, and as many of its prompts as are requested. Raises UserError: it is missing or incomplete."""
    about = options.about
    file = needed(options.data / CAPTIONS, about.captions_from)
    prompts = prompts_in(file)
    if len(prompts) < 2:
        raise UserError(f"{file} has one prompt, and a distance needs 2 or more: write one a line.")
    if about.prompts and len(prompts) != about.prompts and not options.limit:
        raise UserError(
            f"{file} has {len(prompts):,} prompts, and {options.benchmark} has {about.prompts:,}: put there "
            f"{about.captions_from}, or rehearse with --limit."
        )
    return file, prompts[: options.limit or None]


def references_of(options: Protocol) -> list[Path]:
    """The reference pictures. Raises UserError: the folder is missing, or has too few pictures or extra ones."""
    about = options.about
    place = needed(options.data / about.references, about.references_from)
    pictures = sorted(file for file in place.rglob("*") if file.suffix.lower() in IMAGES)
    if len(pictures) < 2:
        raise UserError(f"{place} has fewer than 2 pictures: put there {about.references_from}.")
    if about.pictures and len(pictures) != about.pictures and not options.limit:
        raise UserError(
            f"{place} has {len(pictures):,} pictures, and {options.benchmark} compares with {about.pictures:,}: put "
            f"there {about.references_from} and nothing else, or rehearse with --limit."
        )
    return pictures


def clips_of(folder: Path) -> list[Path]:
    """Folders of CLIP models. Raises UserError: the one that every protocol names is missing."""
    clip = needed(folder / CLIP, f"all files of {CLIP_FROM}")
    return [clip, *sorted(place for place in folder.glob("clip*") if place.is_dir() and place != clip)]


def prompts_in(file: Path) -> list[str]:
    """The prompts, one a line, without blank lines. Raises UserError: the file is missing, empty, or not text."""
    try:
        prompts = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: give a text file in UTF-8 with one prompt a line.") from error
    if not prompts:
        raise UserError(f"{file} has no prompt: write one a line.")
    return prompts


def needed(place: Path, what: str) -> Path:
    if not place.exists():
        raise UserError(f"{place} is missing: put there {what}.")
    return place


def inception_of(folder: Path) -> Path:
    """The file of FID's network; its name ends in the start of its SHA-256. Raises UserError: the hash differs."""
    files = sorted(folder.glob("weights-inception-*.pth"))
    file = files[0] if files else needed(folder / INCEPTION, f"FID's Inception, the file of that name at {FIDELITY}")
    if not sha256(file).startswith(file.stem.rpartition("-")[2]):
        raise UserError(f"{file} is damaged, or another file than its name says: take it from {FIDELITY} again.")
    return file


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def contents(files: list[Path]) -> str:
    """A hash of the files' contents, independent of their names and places."""
    return together(sorted(sha256(file) for file in track(files, "reading the references")))


def clip_digest(folder: Path) -> str:
    """A hash of everything that transformers reads from a CLIP model's folder."""
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    files = sorted({*(file for kind in READ for file in folder.glob(kind)), *([weights] if weights else [])})
    return together([f"{file.name} {sha256(file)}" for file in files])


def together(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
