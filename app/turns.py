"""One device, many visitors: a queue in which the first to come is the first served."""

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Lock


class Turns:
    def __init__(self) -> None:
        self._queue: deque[Event] = deque()  # the first one is at work
        self._lock = Lock()

    def __len__(self) -> int:
        """How many are at work or wait."""
        return len(self._queue)

    @contextmanager
    def take(self) -> Generator[None]:
        mine = Event()
        with self._lock:
            if not self._queue:
                mine.set()
            self._queue.append(mine)
        mine.wait()
        try:
            yield
        finally:
            with self._lock:
                self._queue.popleft()
                if self._queue:
                    self._queue[0].set()
