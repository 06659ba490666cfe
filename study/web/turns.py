"""How many requests are worked on at once. Python runs one thread at a time: where dozens take turns, all are slow."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI
from starlette.background import BackgroundTask

from study.stopping import settle
from study.store.raters import Participation
from study.store.store import Store

AT_ONCE = 2  # one computes while the other waits for a disk
MANY = 40  # where the database is another machine's, most of the time is spent waiting for it


class Turns:
    """Votes have threads of their own: who only looks does not wait while the database is locked. Statistics, too."""

    def __init__(self, one_writer: bool):
        self.at_once = AT_ONCE if one_writer else MANY
        self.votes = CapacityLimiter(1 if one_writer else MANY)
        self._statistics = CapacityLimiter(1)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncGenerator[None]:
        """While the pages are a server's own; mounted in another's, they use its threads."""
        current_default_thread_limiter().total_tokens = self.at_once
        yield

    def settling(self, store: Store, rater: Participation) -> BackgroundTask:
        """The statistics after a rater's last answer, for which the rater does not wait."""
        return BackgroundTask(partial(run_sync, settle, store, rater, limiter=self._statistics))
