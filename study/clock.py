"""What time it is: the machine's, or, for rehearsals, a simulated one that nobody waits for."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_SECONDS: ContextVar[Callable[[], float]] = ContextVar("clock", default=time.time)


def seconds() -> float:
    """Since 1970, UTC."""
    return _SECONDS.get()()


def now() -> datetime:
    return datetime.fromtimestamp(seconds(), UTC)


@contextmanager
def clock(of: Callable[[], float]) -> Generator[None]:
    """Within the block, and in what is called from it, `of` says the time."""
    before = _SECONDS.set(of)
    try:
        yield
    finally:
        _SECONDS.reset(before)
