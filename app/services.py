"""What the pages ask for: checked requests, loaded models, one picture at a time."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Event, Lock
from typing import TypeGuard

from PIL import Image

from e2ed2.errors import UserError
from e2ed2.generate import CHECKPOINTS, MAX_COUNT, MAX_SEED, STEPS, Settings, available_models, load, paint, png_info
from e2ed2.pipeline import E2ED2Pipeline

NO_MODELS = "There is no model to paint with yet: train one with `python -m e2ed2 train`, then start the pages again."


class ForgedError(Exception):
    """A value that the page cannot send; the message says what is possible."""


class Services:
    """The models, each loaded when first asked for; the device paints one picture at a time."""

    def __init__(self, checkpoints: Path | None = None):
        self.checkpoints = checkpoints or CHECKPOINTS
        self.models = tuple(available_models(self.checkpoints))
        self._pipelines: dict[str, E2ED2Pipeline] = {}
        self._device = Lock()
        self._flags: dict[str | None, Event] = {}

    def plan(self, prompt: object, model: object, steps: object, seed: object, count: object) -> list[Settings]:
        """One entry for each picture, with the seeds seed, seed + 1, ...

        Raises:
            UserError: a visitor can mend it.
            ForgedError: only a hand-made request sends this, so it may be of any type.
        """
        if not self.models:
            raise UserError(NO_MODELS)
        if not isinstance(prompt, str):
            raise ForgedError("prompt must be text.")
        if model not in self.models:
            raise ForgedError(f"model must be one of {', '.join(self.models)}.")
        if not _whole(steps, STEPS[0], STEPS[-1]):
            raise ForgedError(f"steps must be a whole number from {STEPS[0]} to {STEPS[-1]}.")
        if not _whole(count, 1, MAX_COUNT):
            raise ForgedError(f"count must be a whole number from 1 to {MAX_COUNT}.")
        last = MAX_SEED - int(count) + 1
        model = str(model)
        if not _whole(seed, 0, last):
            raise UserError(f"The seed must be a whole number from 0 to {last}.")
        return [Settings(prompt, model, int(steps), int(seed) + offset) for offset in range(int(count))]

    def load(self, model: str) -> E2ED2Pipeline:
        with self._device:
            if model not in self._pipelines:
                self._pipelines[model] = load(model, self.checkpoints)
            return self._pipelines[model]

    def paint(self, settings: Settings) -> Image.Image:
        """A PNG picture that carries its settings."""
        pipeline = self.load(settings.model)
        with self._device:
            image = paint(pipeline, settings)
        file = BytesIO()
        image.save(file, "PNG", pnginfo=png_info(settings))
        return Image.open(file)

    @contextmanager
    def stoppable(self, session: str | None) -> Generator[Event]:
        """A flag that `stop` raises for this visitor."""
        flag = self._flags[session] = Event()
        try:
            yield flag
        finally:
            if self._flags.get(session) is flag:
                del self._flags[session]

    def stop(self, session: str | None) -> None:
        if flag := self._flags.get(session):
            flag.set()


def fresh_seed() -> int:
    """Six digits at most: easy to read out and to type again."""
    return secrets.randbelow(1_000_000)


def _whole(value: object, low: int, high: int) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high and value % 1 == 0
