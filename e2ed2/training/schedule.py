"""The learning rate over a training."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A linear rise over `warmup` updates, then half a cosine down to 0."""

    updates: int
    warmup: int

    def share(self, update: int) -> float:
        """The share of the full learning rate at the update after `update` others, in (0, 1]."""
        if update < self.warmup:
            return (update + 1) / self.warmup
        progress = (update - self.warmup) / max(1, self.updates - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))
