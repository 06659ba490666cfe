"""A visitor's pictures while they come into being, for the Generate page."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from PIL import Image

from app.engine.painter import Services
from app.look.files import file_name, png, write, write_zip
from app.look.words import counted, list_of
from e2ed2.inference.request import Request

IN_TURN = ", in turn with other visitors"


@dataclass(frozen=True)
class Progress:
    """What there is to see so far."""

    pictures: list[tuple[str | Image.Image, str]]  # file or unfinished picture, and caption
    status: str
    made: list[tuple[Request, Image.Image]]  # the finished ones
    files: list[str]  # theirs


def paint_all(
    services: Services, jobs: list[Request], inside: bool, stopped: Event, folder: Path
) -> Iterator[Progress]:
    """Each step of each picture. `inside`: the files carry their settings."""
    shown: list[tuple[str | Image.Image, str]] = []
    made: list[tuple[Request, Image.Image]] = []
    files: list[str] = []
    yield Progress([], "Getting the model ready …", made, files)
    services.models.load(jobs[0].model)
    start = time.perf_counter()
    for number, job in enumerate(jobs, 1):
        if stopped.is_set():
            break
        yield Progress(shown, status(number, len(jobs)), made, files)
        estimates = []
        for seen in services.emerge(job, stopped):
            if isinstance(seen, int):
                yield Progress(shown, status(number, len(jobs), seen), made, files)
                continue
            estimates.append(seen)
            if len(estimates) < job.steps:
                now = [*shown, (seen, f"step {len(estimates)} of {job.steps}")]
                yield Progress(now, status(number, len(jobs), shared=len(services.turns) > 1), made, files)
        if len(estimates) == job.steps:
            files.append(write(folder, png(estimates[-1], job if inside else None), file_name(job)))
            made.append((job, estimates[-1]))
            shown.append((files[-1], f"seed {job.seed}"))
    yield Progress(shown, summary(jobs, len(made), time.perf_counter() - start), made, files)


def download(folder: Path, files: list[str]) -> str:
    """The picture's file, or a zip of several."""
    return files[0] if len(files) == 1 else write_zip(folder, files)


def status(number: int, count: int, ahead: int = 0, shared: bool = False) -> str:
    """A visitor's place in the queue, in bold; once pictures come, turns are short and need no count."""
    if ahead and number == 1:
        first = "picture of another visitor comes" if ahead == 1 else "pictures of other visitors come"
        return f"**Waiting for your turn:** {ahead} {first} first. {'● ' * ahead}○"
    return f"Painting picture {number} of {count}{IN_TURN if ahead or shared else ''} …"


def summary(jobs: list[Request], done: int, seconds: float) -> str:
    """The time it took, and the seeds of the pictures that are there."""
    if not done:
        return "Stopped before the first picture."
    stopped = f"Stopped after {done} of {len(jobs)} pictures" if done < len(jobs) else counted(done, "picture")
    seeds = ", ".join(str(job.seed) for job in jobs[:done])
    return f"{stopped} in {seconds:.1f} s, {'seed' if done == 1 else 'seeds'} {seeds}."


def far_note(services: Services, job: Request) -> str:
    """Said kindly where the prompt is far from everything the model knows."""
    near = [f"“{one.name}”" for one in services.far(job.prompt, job.model)]
    return f" This is far from what {job.model} has seen; it knows {list_of(near, 'and')}, for example." if near else ""
