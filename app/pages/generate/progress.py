"""A visitor's pictures while they are being made, and a line about them, gathered from the engine's events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from app.engine.events import Ended, Estimate, Event, Finished, Loading, Started, Waiting
from app.engine.services import Services
from app.look.files import file_name, png, write, write_zip
from app.look.words import counted, list_of, plain
from e2ed2.data.emoji import split_style
from e2ed2.inference.request import Request

IN_TURN = ", in turn with other visitors"
APART = 2.5  # mean difference, of 255, from which two pictures look different
BLANK = Image.new("RGB", (128, 128), "#cbd5e1")  # stands for a picture to come


@dataclass
class Progress:
    requests: list[Request]
    folder: Path  # where the finished pictures are written
    inside: bool  # whether the files carry their settings
    status: str = ""
    estimate: tuple[Image.Image, str] | None = None  # the picture that is not finished yet, and its caption
    guesses: list[Image.Image] = field(default_factory=list)  # estimates of that picture, after each step so far
    over: bool = False  # no more pictures will come
    made: list[tuple[Request, Image.Image]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # those of `made`

    @property
    def pictures(self) -> list[tuple[str | Image.Image, str]]:
        """Files of finished pictures, the unfinished one, and placeholders of those to come, each with its caption."""
        finished = zip(self.files, (self.label(request) for request, _ in self.made), strict=True)
        begun = [*finished, *([self.estimate] if self.estimate else [])]
        return begun if self.over else begun + [(BLANK, "…")] * (len(self.requests) - len(begun))

    @property
    def trail(self) -> list[Image.Image]:
        """The estimates of a picture after each step, then the picture; empty unless exactly one was made.

        A diffusers pipeline, or a single step, has nothing to show on the way.
        """
        whole = self.over and self.guesses and len(self.requests) == len(self.made) == 1
        return [*self.guesses, self.made[0][1]] if whole else []

    def label(self, request: Request) -> str:
        """The text below a picture; it includes what the prompt was read as if that is not the same for all."""
        one = len({request.words for request in self.requests}) == 1
        return f"seed {request.seed}" if one else f"{request.words} · seed {request.seed}"

    def add(self, event: Event) -> None:
        number, count = len(self.made) + 1, len(self.requests)
        match event:
            case Loading():
                self.status = "Getting the model ready …"
            case Started():
                self.guesses = []
                self.status = generating(number, count)
            case Waiting(ahead):
                self.status = waiting(ahead) if number == 1 else generating(number, count, in_turn=True)
            case Estimate(step, image, shared):
                self.estimate = image, f"step {step} of {self.requests[0].steps}"
                self.guesses.append(image)
                self.status = generating(number, count, shared)
            case Finished(request, image):
                self.estimate = None
                self.files.append(write(self.folder, png(image, request if self.inside else None), file_name(request)))
                self.made.append((request, image))
            case Ended(seconds):
                self.estimate, self.over = None, True
                self.status = summary(self.requests, len(self.made), seconds)

    def download(self) -> str:
        """The picture's file, or a zip of several."""
        return (
            self.files[0] if len(self.files) == 1 else write_zip(self.folder, self.files, [one for one, _ in self.made])
        )


def generating(number: int, count: int, in_turn: bool = False) -> str:
    return f"Generating picture {number} of {count}{IN_TURN if in_turn else ''} …"


def waiting(ahead: int) -> str:
    """A visitor's place in the queue; once pictures come, turns are short and need no count."""
    first = "picture of another visitor comes" if ahead == 1 else "pictures of other visitors come"
    return f"**Waiting for your turn:** {ahead} {first} first. {'● ' * ahead}○"


def summary(requests: list[Request], done: int, seconds: float) -> str:
    """The time it took, and the seeds of the finished pictures; none are listed if many have nothing in common."""
    if not done:
        return "Stopped before the first picture."
    stopped = f"Stopped after {done} of {len(requests)} pictures" if done < len(requests) else counted(done, "picture")
    seeds = [request.seed for request in requests[:done]]
    listed = ", ".join(map(str, seeds))
    if done > 2:
        listed = f"{seeds[0]} to {seeds[-1]}" if seeds == list(range(seeds[0], seeds[0] + done)) else ""
    return f"{stopped} in {seconds:.1f} s" + (f", {'seed' if done == 1 else 'seeds'} {listed}." if listed else ".")


def alike(made: Sequence[tuple[Request, Image.Image]]) -> str:
    """A note for when other noise has hardly changed anything, so that nobody takes it for a fault."""
    pictures = [np.asarray(picture, dtype=np.float32) for _, picture in made]
    if len(pictures) < 2 or len({request.words for request, _ in made}) > 1:
        return ""
    apart = max(float(np.abs(one - pictures[0]).mean()) for one in pictures[1:])
    if apart >= APART:
        return ""
    other = "the prompt without its style" if split_style(made[0][0].prompt)[1] else "the style “mixed”"
    return (
        " They are alike: for one name in one style, this model has nearly one picture. “Most variety”, or "
        f"{other}, has others."
    )


def notes(services: Services, request: Request, read: bool) -> str:
    """Notes on parts of the prompt without effect, and on a prompt, not `read`, that is far from all the model knows.

    Diffusers pipelines have text encoders of their own, so nothing is said about prompts for them.
    """
    if not services.models.ours(request.model):
        return ""
    sentences = [plain(note) for note in services.models.encoder().notes(request.prompt)]
    near = [] if read else [f"“{name}”" for name in services.far(request.prompt, request.model)]
    if near:
        sentences.append(
            f"This is far from what {request.model} has seen; it knows {list_of(near, 'and')}, for example."
        )
    return "".join(f" {note}" for note in sentences)
