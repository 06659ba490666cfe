"""What a benchmark's folder must hold; what is missing is said with where to get it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from e2ed2.data.sources import IMAGES
from e2ed2.errors import UserError
from e2ed2.evaluation.protocols.config import CAPTIONS, CLIP, INCEPTION, Protocol

FIDELITY = "github.com/toshas/torch-fidelity/releases"


@dataclass(frozen=True)
class Files:
    captions: Path
    prompts: list[str]
    references: list[Path]
    inception: Path
    clips: list[Path]  # folders of CLIP models, the first the one that the protocol names


def find_files(options: Protocol) -> Files:
    """Raises UserError: something is missing or incomplete; it says which file goes where."""
    folder, about = options.data, options.about
    captions = needed(folder / CAPTIONS, about.captions_from, "one prompt a line")
    prompts = prompts_in(captions)
    if len(prompts) < 2:
        raise UserError(f"{captions} has one prompt, and a distance needs 2 or more: write one a line.")
    if about.prompts and len(prompts) != about.prompts and not options.limit:
        raise UserError(
            f"{captions} has {len(prompts)} prompts, and {options.benchmark} has {about.prompts}: complete it, or "
            "rehearse with --limit."
        )
    pictures = needed(folder / about.references, about.references_from, "the pictures to compare with")
    references = sorted(file for file in pictures.rglob("*") if file.suffix.lower() in IMAGES)
    if len(references) < 2:
        raise UserError(
            f"{pictures} has fewer than 2 pictures: put there those to compare with, from {about.references_from}."
        )
    clip = needed(folder / CLIP, "huggingface.co/openai/clip-vit-base-patch32", "the whole repository")
    others = sorted(place for place in folder.glob("clip*") if place.is_dir() and place != clip)
    prompts = prompts[: options.limit or None]
    return Files(captions, prompts, references, inception_of(folder), [clip, *others])


def prompts_in(file: Path) -> list[str]:
    """One a line, without blank lines. Raises UserError: there is no such file, it is no text, or it is empty."""
    try:
        prompts = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: give a text file in UTF-8 with one prompt a line.") from error
    if not prompts:
        raise UserError(f"{file} has no prompt: write one a line.")
    return prompts


def needed(place: Path, source: str, what: str) -> Path:
    if not place.exists():
        raise UserError(f"{place} is missing: put there {what}, from {source}.")
    return place


def inception_of(folder: Path) -> Path:
    """FID's network, whose file's name ends in the beginning of its SHA-256. Raises UserError: it is another file."""
    found = sorted(folder.glob("weights-inception-*.pth"))
    file = found[0] if found else needed(folder / INCEPTION, FIDELITY, "FID's Inception")
    if not sha256(file).startswith(file.stem.rpartition("-")[2]):
        raise UserError(f"{file} is damaged, or another file than its name says: take it from {FIDELITY} again.")
    return file


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def listing(files: list[Path]) -> str:
    """A hash of the files' names and sizes: of what was compared with, without reading it all."""
    lines = [f"{file.name} {file.stat().st_size}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
