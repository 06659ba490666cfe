"""How often one address may ask for something in a minute."""

import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0  # s
MOST_ADDRESSES = 10_000  # remembered


class Limit:
    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic):
        self.a_minute, self.clock = a_minute, clock
        self._times: dict[str, deque[float]] = {}

    def allows(self, address: str) -> bool:
        """Counts this time, unless the address has used up its minute."""
        now = self.clock()
        if address not in self._times and len(self._times) >= MOST_ADDRESSES:
            self._times = {known: times for known, times in self._times.items() if times[-1] > now - MINUTE}
        times = self._times.setdefault(address, deque(maxlen=self.a_minute))
        if len(times) == self.a_minute and times[0] > now - MINUTE:
            return False
        times.append(now)
        return True
