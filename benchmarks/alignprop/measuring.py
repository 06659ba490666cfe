"""Samples a CPU second and peak memory of updates, in a process of their own."""

import json
import time
from collections.abc import Callable
from statistics import median

from benchmarks.memory import risen

UPDATES = 5


def tell(update: Callable[[], object], samples: int) -> None:
    """A line of JSON for whoever started this process. The first update is slower than the rest, and not timed."""
    seconds = []

    def timed() -> None:
        for _ in range(UPDATES + 1):
            started = time.process_time()
            update()
            seconds.append(time.process_time() - started)

    memory = risen(timed)
    print(json.dumps({"rate": samples / median(seconds[1:]), "memory": memory}))
