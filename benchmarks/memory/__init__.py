"""The most memory that something takes, above what was there before."""

import re
import resource
from collections.abc import Callable
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def risen(call: Callable[[], object]) -> float:
    """MB. Where the kernel cannot forget an earlier peak (other than Linux), only what goes beyond that counts."""
    if RESET.exists():
        RESET.write_text("5")
    before = peak()
    call()
    return peak() - before


def peak() -> float:
    """MB, since the start of the process, or since it was last forgotten."""
    if STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
