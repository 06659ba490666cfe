"""How long each answer took, on its own."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping


def own_times(given: Iterable[tuple[Hashable, Hashable, float, float | None]]) -> Mapping[Hashable, float]:
    """Each answer's ms since the answer before it on its screen; for the first one, since the pictures were seen.

    Args:
        given: (screen, answer, ms since the pictures were seen as the page has it, ms that the server saw pass between
            sending the screen and receiving it, or None where it did not look). The page cannot claim more than these.
    """
    screens: dict[Hashable, list[tuple[float, Hashable]]] = defaultdict(list)
    for screen, answer, ms, server_ms in given:
        screens[screen].append((ms if server_ms is None else min(ms, server_ms), answer))
    own = {}
    for answers in screens.values():
        before = 0.0
        for ms, answer in sorted(answers, key=lambda one: one[0]):
            own[answer], before = ms - before, ms
    return own
