"""One device, many visitors: a queue that is first come, first served."""

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Condition


class Turns:
    def __init__(self) -> None:
        self._queue: deque[object] = deque()  # the first one is being served
        self._moved = Condition()

    def __len__(self) -> int:
        """How many are being served or waiting."""
        return len(self._queue)

    @contextmanager
    def take(self, ahead: Callable[[int], None] = lambda count: None) -> Generator[None]:
        """Wait for a turn. `ahead` gets the number still ahead whenever it changes; it may raise to give up."""
        mine = object()
        with self._moved:
            self._queue.append(mine)
        try:
            with self._moved:
                while count := self._queue.index(mine):
                    ahead(count)
                    self._moved.wait()
            yield
        finally:
            with self._moved:
                self._queue.remove(mine)
                self._moved.notify_all()
