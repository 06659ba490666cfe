"""Samples a CPU second and peak memory of updates, in a process of their own."""

import json
import resource
import time
from collections.abc import Callable
from statistics import median

UPDATES = 5


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(update: Callable[[], object], samples: int) -> None:
    """A line of JSON for whoever started this process. The first update is slower than the rest, and not timed."""
    before, seconds = peak(), []
    for _ in range(UPDATES + 1):
        started = time.process_time()
        update()
        seconds.append(time.process_time() - started)
    print(json.dumps({"rate": samples / median(seconds[1:]), "memory": peak() - before}))
