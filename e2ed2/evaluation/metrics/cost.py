"""What one picture costs."""

import time
from collections.abc import Callable
from statistics import median

from torch.utils.flop_counter import FlopCounterMode

from e2ed2.evaluation.metrics.figure import Figure, Figures


def cost(sample: Callable[[], object], repeats: int = 7) -> Figures:
    """FLOPs and the median time on this machine of making one picture, caption and decoding included."""
    with FlopCounterMode(display=False) as counter:
        sample()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        sample()
        times.append(time.perf_counter() - started)
    return {"cost.gflop": Figure(counter.get_total_flops() / 1e9), "cost.seconds": Figure(median(times))}
