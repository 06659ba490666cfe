"""What the pages call: requests are checked, and their pictures generated one at a time."""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import TypeGuard

import torch
from PIL import Image

from app.engine.catalogue import OWN, Models
from app.engine.events import Ended, Estimate, Event, Finished, Flag, Loading, Started, Waiting
from app.engine.queue import Turns
from app.engine.wording import USUAL, Wording
from app.errors import ForgedError, StoppedError
from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.inference.request import MAX_COUNT, MAX_SEED, STEPS, Request
from e2ed2.inference.sampling import sample_image
from e2ed2.models.minilm import between
from e2ed2.reading.captions import knows_colours, readable
from e2ed2.reading.reader import Reader, Reading, load_head
from e2ed2.reading.spelling import english
from e2ed2.types import TrajectoryStep

FRESH_SEEDS = 1_000_000  # six digits at most: easy to read out and to retype
NO_MODELS = "There is no model yet: train one with `python -m e2ed2 train`, then load this page again."
KEPT = 256  # pictures of 48 kB
READ = 64  # prompts
FAR = 0.5  # a prompt is far off below this cosine to the nearest caption that a visitor's model learned


@dataclass(frozen=True, eq=False)
class Timed:
    picture: Image.Image
    seconds: float  # caption, steps and decoding, on this machine; waiting for one's turn excluded


@dataclass(frozen=True)
class Look:
    """One step, as pictures."""

    level: float  # noise level on entry, in (0, 1]
    noisy: Image.Image  # what the model was shown
    clean: Image.Image  # what it predicted from that


class Services:
    """Visitors share the models and take turns at the device, picture by picture."""

    def __init__(
        self, checkpoints: Path | None = None, runs: Path | None = None, added: Mapping[str, Path] | None = None
    ):
        self.models = Models(checkpoints, runs, added)
        self.turns = Turns()
        self._recent: dict[Request, Timed] = {}
        self._flags: dict[str | None, threading.Event] = {}
        self._next = threading.Lock()  # a visitor's requests come one after the other
        self.ready = threading.Event()  # set once the first visitor need not wait

    def warm_up(self) -> None:
        """Load, in a thread, the model that the first visitor will want and the vocabulary that reads prompts."""

        def load() -> None:
            try:
                with contextlib.suppress(UserError):  # whoever asks for that model is told why
                    if name := self.models.favourite():
                        self.models.load(name)
                        self.reading("cat")
            finally:
                self.ready.set()
            english()  # not needed while prompts use the models' own names

        threading.Thread(target=load, name="warm up", daemon=True).start()

    def plan(
        self,
        prompt: object,
        model: object,
        steps: object,
        seed: object,
        count: object = 1,
        wording: Wording = USUAL,
    ) -> list[Request]:
        """One request for each picture, with seeds seed, seed + 1, ... and the caption that the prompt is read as.

        Raises:
            UserError: a visitor can correct it.
            ForgedError: only a hand-made request sends this, so it may be of any type.
        """
        if not isinstance(prompt, str):
            raise ForgedError("prompt must be text.")
        model = self.known(model)
        if not is_whole(count, 1, MAX_COUNT):
            raise ForgedError(f"count must be a whole number from 1 to {MAX_COUNT}.")
        possible = self.models.steps(model)
        if not is_whole(steps, STEPS[0], most := max(STEPS[-1], possible[-1])):
            raise ForgedError(f"steps must be a whole number from {STEPS[0]} to {most}.")
        if steps not in possible:
            raise UserError(f"{model} was made for {' or '.join(map(str, possible))} steps only: choose that.")
        last = MAX_SEED - int(count) + 1
        if not is_whole(seed, 0, last):
            raise UserError(f"The seed must be a whole number from 0 to {last}.")
        seeds = [int(seed) + offset for offset in range(int(count))]
        first = Request(prompt, model, int(steps), seeds[0])  # rejects an empty or overlong prompt before it is read
        captions = wording.captions(self.read(prompt, model, wording), seeds)
        return [replace(first, seed=one, caption=text) for one, text in zip(seeds, captions, strict=True)]

    def read(self, prompt: str, model: str, wording: Wording = USUAL) -> Reading | None:
        """What a prompt may mean; None if the model knows no names, or is to get the prompt verbatim.

        Raises ForgedError: the chosen reading is not a known name.
        """
        if wording.exactly or not self.readable(model):
            return None
        if wording.read_as and wording.read_as not in self.reader.names:
            raise ForgedError("read_as must be a name that the models know.")
        return self.reading(prompt, knows_colours(self.models.folders()[model]))

    def readable(self, model: str) -> bool:
        return self.models.ours(model) and readable(self.models.folders()[model])

    def known(self, model: object) -> str:
        names = self.models.names()
        if not names:
            raise UserError(NO_MODELS)
        if model not in names:
            raise ForgedError(f"model must be one of {', '.join(names)}.")
        return str(model)

    def named(self, name: str) -> str:
        """Raises UserError: no model has the name that the visitor typed."""
        if name not in self.models.names():
            raise UserError(f"There is no model “{name}”: choose from {', '.join(self.models.names())}.")
        return name

    def picture(self, request: Request) -> Image.Image:
        return self.timed(request).picture

    def timed(self, request: Request) -> Timed:
        """The picture and its time; recent ones by bundled models are cached, so that nobody waits for them twice."""
        if recent := self._recent.get(request):
            return recent
        self.models.get_ready(request.model)
        with self.turns.take():
            start = time.perf_counter()
            timed = Timed(self.models.sampled(request), time.perf_counter() - start)
        if not request.model.startswith(f"{OWN}/"):  # another training may get the same name later
            self._recent[request] = timed
            while len(self._recent) > KEPT:
                self._recent.pop(next(iter(self._recent)), None)
        return timed

    def generate(self, requests: Sequence[Request], stop: threading.Event) -> Iterator[Event]:
        """All events until a visitor's pictures, all by one model, are finished."""
        yield Loading()
        self.models.get_ready(requests[0].model)
        start = time.perf_counter()
        for request in requests:
            if stop.is_set():
                break
            yield Started(request)
            yield from self.sample(request, stop)
        yield Ended(time.perf_counter() - start)

    def sample(self, request: Request, stop: threading.Event) -> Iterator[Waiting | Estimate | Finished]:
        """One picture, as soon as it is this visitor's turn. Ends early, without a picture, once `stop` is set."""
        self.models.get_ready(request.model)
        events: SimpleQueue[Waiting | Estimate | Finished | None] = SimpleQueue()

        def wait(ahead: int) -> None:
            if stop.is_set():
                raise StoppedError
            events.put(Waiting(ahead))

        def show(step: TrajectoryStep | None) -> None:
            if stop.is_set():
                raise StoppedError
            if step and (number := step.index + 1) < request.steps:
                estimate = self.models.load(request.model).image(step.clean)
                events.put(Estimate(number, estimate, shared=len(self.turns) > 1))

        def work() -> None:
            try:
                with self.turns.take(wait):
                    events.put(Finished(request, self.models.sampled(request, show)))
            except StoppedError:
                pass
            finally:
                events.put(None)

        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(work)
            yield from iter(events.get, None)
            done.result()  # raises what the worker raised

    def looks(self, request: Request) -> list[Look]:
        """Every step of one picture, starting from pure noise."""
        pipeline = self.models.load(request.model)
        steps: list[TrajectoryStep] = []
        with self.turns.take():
            sample_image(pipeline, request, steps.append)
            return [Look(step.t, pipeline.image(step.noisy), pipeline.image(step.clean)) for step in steps]

    def blend(self, request: Request, other: str, share: float) -> Image.Image:
        """A picture from between a request's caption (`share` 0) and other words (`share` 1)."""
        pipeline = self.models.load(request.model)
        with self.turns.take():
            text = between(*(pipeline.text_encoder([words.strip()]) for words in (request.words, other)), share)
            return pipeline.sample(text, request.steps, torch.Generator().manual_seed(request.seed))

    def midway(self, first: Request, last: Request, share: float) -> Image.Image:
        """A picture between two of the same model and step count: its words and its noise lie between theirs.

        Noise is interpolated along the arc, so that it keeps the norm that the model expects.
        """
        pipeline = self.models.load(first.model)
        network = pipeline.denoiser
        with self.turns.take(), torch.no_grad():
            text = between(*(pipeline.text_encoder([one.words]) for one in (first, last)), share)
            draws = (torch.Generator().manual_seed(one.seed) for one in (first, last))
            z = slerp(*(torch.randn(1, *network.latent_shape, generator=one) for one in draws), share)
            z, text = z.to(pipeline.device, network.dtype), text.to(pipeline.device, network.dtype)
            return pipeline.image(sample(network, z, text, uniform_levels(first.steps)))

    @cached_property
    def bundled(self) -> Concepts:
        return Concepts(bundled_words(), self.models.encoder())

    @cached_property
    def reader(self) -> Reader:
        return Reader(load_head(), self.bundled)

    @cached_property
    def reading(self) -> Callable[..., Reading]:
        """The function that reads a prompt; recent readings are cached, since a page asks several times."""
        return lru_cache(READ)(self.reader)

    def far(self, prompt: str, model: str) -> list[str]:
        """The nearest known things, for a prompt that is far from all of them; empty if it is not.

        Empty for a diffusers pipeline too: what it knows is unknown here.
        """
        if not self.models.ours(model):
            return []
        captions = self.models.captions(model)
        if captions is None:
            reading = self.reading(prompt)
            return [] if reading.candidates else list(reading.nearest)
        nearest = Concepts({text: text for text in captions}, self.models.encoder()).nearest(prompt)
        return [one.name for one in nearest] if nearest and nearest[0].similarity < FAR else []

    @contextlib.contextmanager
    def stoppable(self, session: str | None, flag: Flag) -> Generator[Flag]:
        """Register a flag that `stop`, or this visitor's next request, sets.

        Two requests within milliseconds may come with the same flag: the second gets a new one, or it would
        stop itself.
        """
        with self._next:
            if self._flags.get(session) is flag:
                flag = Flag()
            self.stop(session)
            self._flags[session] = flag
        try:
            yield flag
        finally:
            if self._flags.get(session) is flag:
                del self._flags[session]

    def running(self, session: str | None) -> threading.Event | None:
        """The flag of the request that is being served for the visitor."""
        return self._flags.get(session)

    def stop(self, session: str | None) -> None:
        if flag := self._flags.get(session):
            flag.set()


def slerp(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """The point `share` (in [0, 1]) of the way along the arc between two noise tensors of the same shape."""
    cosine = torch.cosine_similarity(a.flatten(), b.flatten(), dim=0).clamp(-1, 1)
    angle = torch.acos(cosine)
    if angle < 1e-4:
        return a
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


def fresh_seed() -> int:
    return secrets.randbelow(FRESH_SEEDS)


def is_whole(value: object, low: int, high: int) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high and value % 1 == 0
