"""How far a training has got."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.engine.catalogue import OWN
from app.look.words import counted
from e2ed2.errors import STOPPED_EARLY
from e2ed2.training.metrics import Logged


@dataclass(frozen=True)
class State:
    name: str
    done: int  # updates
    updates: int  # in all
    going: bool
    stopping: bool  # still running, until it has saved
    finished: bool
    sheet: Path | None = None  # its latest samples, below the drawings of the same captions
    trouble: str = ""  # its last message before it died
    seconds_left: float | None = None  # None if unknown
    learning: bool = False  # it is a preference, learned from votes


def sentence(state: State) -> str:
    """One line on the training for a visitor."""
    if state.trouble:
        return f"{state.name} stopped unexpectedly after {counted(state.done, 'update')}: {state.trouble}"
    if state.stopping:
        return f"{state.name} stops after the update that is being made, and saves."
    if state.finished and state.learning:
        return f"{state.name} has learned from the votes."
    if state.finished:
        return f"{state.name} is finished: it is on the Generate page as {OWN}/{state.name}."
    if not state.going:
        return f"{state.name} was stopped after {state.done} of {counted(state.updates, 'update')}; it can go on."
    if not state.done:
        return f"{state.name} is getting ready: {_first(state)}"
    if state.done >= state.updates:
        return f"{state.name} has made all {counted(state.updates, 'update')}, and {_last(state)}"
    left = f" About {duration(state.seconds_left)} left." if state.seconds_left is not None else ""
    return f"{state.name}: {state.done} of {counted(state.updates, 'update')} done.{left}"


def _first(state: State) -> str:
    if state.learning:
        return "it looks at every picture that was voted on, which takes a minute or two."
    return "the first pictures come in about a minute."


def _last(state: State) -> str:
    return "asks itself about votes that it has not seen." if state.learning else "is being saved."


def seconds_left(lines: Sequence[Logged], updates: int) -> float | None:
    """Estimated from the pace of the updates after the first, which is slower."""
    if len(lines) < 2:
        return None
    first, last = lines[0], lines[-1]
    return (last.seconds - first.seconds) / (last.update - first.update) * (updates - last.update)


def duration(seconds: float) -> str:
    return counted(round(seconds), "second") if seconds < 90 else counted(round(seconds / 60), "minute")


def last_line(log: Path) -> str:
    """Its last message before it died; empty if it was merely stopped."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if lines and lines[-1] in (STOPPED_EARLY, "KeyboardInterrupt"):  # the second if it was still importing
        return ""
    return lines[-1][:300] if lines else "it said nothing."
