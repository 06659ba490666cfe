"""Progress of long work: a bar in a terminal; elsewhere, as in a cluster's log, a plain line now and then.

Messages that one of several processes prints for all of them are printed here, too.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sized
from datetime import timedelta
from time import monotonic
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import track as bar

T = TypeVar("T")
PAUSE = 20.0  # seconds between two lines
# Environment variables in which torchrun and MPI pass a process its rank.
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def say(text: str, file: TextIO | None = None) -> None:
    """Print a message once, although every process calls this: only the first one prints.

    Args:
        file: stdout if it is None.
    """
    if next((os.environ[name] for name in RANKS if name in os.environ), "0") == "0":
        print(text, file=file, flush=True)


def track(items: Iterable[T], doing: str, total: int | None = None, disable: bool = False) -> Iterator[T]:
    """Iterate over the items and report progress on stderr.

    Args:
        total: how many there are, where `items` has no length.
        disable: say nothing, as all processes but the first should.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    console = Console(stderr=True)
    if disable or console.is_terminal:
        return iter(bar(items, doing, total=total, console=console, disable=disable))
    return _lines(items, doing, total)


def _lines(items: Iterable[T], doing: str, total: int | None) -> Iterator[T]:
    started = said = monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if (now := monotonic()) - said >= PAUSE:
            said = now
            left = f" of {total}, {_left(now - started, done, total)} left" if total else ""
            print(f"{doing}: {done}{left}", file=sys.stderr, flush=True)


def _left(seconds: float, done: int, total: int) -> timedelta:
    return timedelta(seconds=round(seconds / done * (total - done)))
