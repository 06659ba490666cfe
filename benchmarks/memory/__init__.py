"""The most memory that something takes, above what was there before."""

import re
import resource
from collections.abc import Callable
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def risen(call: Callable[[], object]) -> float:
    """MB above what was there. If the kernel cannot reset an earlier peak (not Linux), only MB beyond it count."""
    if RESET.exists():
        RESET.write_text("5")
    before = peak()
    call()
    return peak() - before


def peak() -> float:
    """Peak MB since the process started or the peak was last reset."""
    if STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
