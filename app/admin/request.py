"""Makes a study from a filled-in form: checks values, takes pictures from one of three places, reports progress."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.studies.pictures import PictureOrder, Wanted, paint_order
from app.studies.ready import Studies
from study.errors import StudyError
from study.images.sources import Source
from study.protocol.balanced import comparisons, plan, rater_count
from study.protocol.choices import Plan
from study.store.creating import check_name, make_study, sources_in, unpack
from study.store.studies import StudyInfo

OURS, ARCHIVE, FOLDER = "Our models", "A zip file", "A folder on the server"


@dataclass(frozen=True)
class Pictures:
    """Where the pictures come from; `origin` decides which other fields count."""

    origin: str
    prompts: str  # one a line
    models: Sequence[str] = ()
    steps: Sequence[int] = ()
    copies: int = 1
    seed: int = 0
    archive: str | None = None  # path of the upload
    folder: str = ""


def create(studies: Studies, name: str, pictures: Pictures, chosen: Plan) -> Iterator[str | StudyInfo]:
    """Make a study: yields sentences on its progress, and the study last.

    Raises:
        StudyError, UserError: something must be corrected; no study is created.
    """
    check_name(studies.store, name)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            yield from _store(studies, name, pictures, chosen, Path(temporary))
        except StudyError as error:  # paths of temporary files would mean nothing to the organiser
            text = str(error).replace(f"{temporary}/prompts.txt", "the list of prompts")
            raise StudyError(text.replace(f"{temporary}/unpacked/", "")) from None
    if pictures.origin == ARCHIVE and pictures.archive:
        os.unlink(pictures.archive)  # all pages share Gradio's cache, so anyone could read the upload


def _store(studies: Studies, name: str, pictures: Pictures, chosen: Plan, temporary: Path) -> Iterator[str | StudyInfo]:
    sources: list[Source] = []
    for step in _sources(studies, pictures, temporary):
        if isinstance(step, str):
            yield step
        else:
            sources.append(step)
    yield f"Storing {len(sources)} pictures …"
    yield make_study(studies.store, name, sources, **chosen.changes())


def _sources(studies: Studies, pictures: Pictures, temporary: Path) -> Iterator[str | Source]:
    lines = [line.strip() for line in pictures.prompts.splitlines() if line.strip()]
    if pictures.origin == OURS:
        order = PictureOrder(
            tuple(pictures.models),
            tuple(sorted(pictures.steps)),
            tuple(Wanted(line, line) for line in lines),
            pictures.copies,
            pictures.seed,
        )
        yield "Getting the first model ready …"
        for number, source in enumerate(
            paint_order(order, temporary, studies.checkpoints, studies.runs, studies.added), 1
        ):
            yield source
            yield f"Painted {number} of {order.pictures} pictures …"
        return
    prompts = None
    if lines:
        prompts = temporary / "prompts.txt"
        prompts.write_text("\n".join(lines), encoding="utf-8")
    yield "Reading the pictures …"
    yield from sources_in(_folder(pictures, temporary / "unpacked"), prompts)


def _folder(pictures: Pictures, unpacked: Path) -> Path:
    if pictures.origin == FOLDER:
        if not pictures.folder.strip():
            raise StudyError("Write the path of the folder with the pictures.")
        return Path(pictures.folder.strip()).expanduser()
    if not pictures.archive:
        raise StudyError("Choose a zip file with the pictures first.")
    if not Path(pictures.archive).is_file():
        raise StudyError("Choose the zip file again: the server keeps an upload until its study is made.")
    return unpack(Path(pictures.archive), unpacked)


def summary(study: StudyInfo) -> str:
    """A line on what was made and how many raters it takes, and the spec's notes."""
    spec = study.spec
    sentence = (
        f"**{study.name}** is ready: {len(spec.arms)} arms ({', '.join(spec.arms)}), {len(spec.prompts)} prompts, "
        f"{len(comparisons(spec))} pairs. It takes {rater_count(spec)} raters, who see about {len(plan(spec, 0))} "
        "pairs each. The link for raters is under Studies."
    )
    return "\n\n".join((sentence, *spec.notes))


def whole_number(value: Any, what: str) -> int:
    """The value of a number field as an int. Raises StudyError: it was left empty (None) or is no whole number."""
    if value is None or value != int(value):
        raise StudyError(f"{what} must be a whole number.")
    return int(value)
