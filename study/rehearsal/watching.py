"""What a rater's browser learns about each pair: everything an attacker could see apart from the pixels."""

import asyncio
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
import uvicorn
from httpx import AsyncClient, Limits, Response
from PIL import Image

from study.errors import StudyError
from study.protocol.parts import Stimulus
from study.protocol.spec import StudySpec
from study.rehearsal.browser import Browser, Picture
from study.rehearsal.people import Careful, Crowd
from study.rehearsal.visit import AGENT, Visit, go_through, hash_of
from study.simulation.crowd import World
from study.store.studies import StudyInfo

STARTING = 30.0  # s that a server may take


@dataclass(frozen=True)
class Seen:
    """One picture of a pair."""

    words: str  # address, the element of the page, headers, and what the file says besides its pixels
    numbers: dict[str, float]  # sizes, counts, time


@dataclass(frozen=True)
class Showing:
    """One pair of two arms, as it came to one rater; and what the attacker must not find out."""

    rater: int
    prompt: str
    page: str  # its elements, without the words between them
    position: int
    left: Seen
    right: Seen
    arms: tuple[str, str]  # left, right


class Watcher(Browser):
    """Notes what comes with every pair of two arms."""

    def __init__(self, client: AsyncClient, spec: StudySpec, rater: int):
        super().__init__(client)
        self.spec, self.rater = spec, rater
        self.known = {stimulus.sha256: stimulus for stimulus in spec.images}
        self.showings: list[Showing] = []
        self.noted: set[str] = set()  # assignments

    async def look(self) -> list[bytes]:
        pictures = self.page.pictures if self.page else []
        began, finished = time.perf_counter(), count(1)

        async def fetch(picture: Picture) -> tuple[Response, float, int]:
            response = await self._fetch(picture)
            return response, 1000 * (time.perf_counter() - began), next(finished)

        responses = await asyncio.gather(*(fetch(picture) for picture in pictures))
        bodies = [response.content for response, _, _ in responses]
        views = [_seen(picture, *one) for picture, one in zip(pictures, responses, strict=True)]
        self._note(views, [self.known.get(hash_of(body)) for body in bodies])
        return bodies

    def _note(self, seen: list[Seen], shown: list[Stimulus | None]) -> None:
        """Left and right are the first and the last: a reference may stand between them.

        Each pair once, though pages that ask one question each show it again: its addresses are the same then, so
        whoever guesses is right, or wrong, each time, and `attacks` counts guesses that do not depend on each other.
        """
        left, right = shown[0], shown[-1]
        if not self.page or not self.page.form or not left or not right:
            return
        if left.arm == right.arm or not {left.arm, right.arm} <= {*self.spec.arms}:
            return  # a check
        assignment = self.page.form.fields.get("assignment", "")
        if assignment in self.noted:
            return
        self.noted.add(assignment)
        page = " ".join(re.findall(r"<[^>]*>", self.page.response.text))
        position = len(self.showings)
        arms = (left.arm, right.arm)
        self.showings.append(Showing(self.rater, left.prompt, page, position, seen[0], seen[-1], arms))


def _seen(picture: Picture, response: Response, ms: float, finished: int) -> Seen:
    metadata, numbers = _file_metadata(response.content)
    headers = [f"{name}: {value}" for name, value in response.headers.multi_items()]
    words = " ".join((picture.tag.replace(picture.source, ""), picture.source, *headers, metadata))
    numbers |= {"ms": ms, "finished": finished, "bytes": len(response.content), "headers": len(headers)}
    return Seen(words, numbers | {"address": len(picture.source), "element": len(picture.tag)})


def _file_metadata(body: bytes) -> tuple[str, dict[str, float]]:
    """What a picture's file says besides its pixels, in words and numbers."""
    with Image.open(io.BytesIO(body)) as image:
        words = f"{image.format} {image.mode} " + " ".join(
            f"{key}={value!r}"[:200] for key, value in image.info.items()
        )
        return words, {"width": image.width, "height": image.height, "notes": len(image.info), "said": len(words)}


@contextmanager
def serving(app: Callable) -> Generator[str]:
    """The application on a free port of this machine, as `study serve` runs it, while the block lasts; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", server_header=False, timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + STARTING
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def watch(
    address: str, study: StudyInfo, wanted: int, seed: int, on_progress: Callable[[int], None] = lambda count: None
) -> list[Showing]:
    """Send raters one after the other until they have seen this many pairs of two arms.

    Args:
        on_progress: called with how many, after each rater.
    """
    world = World(dict.fromkeys(study.spec.arms, 0.0))
    showings: list[Showing] = []
    number = 0
    while len(showings) < wanted:
        client = AsyncClient(
            base_url=address, headers={"User-Agent": AGENT}, timeout=60, limits=Limits(max_connections=6)
        )
        async with client:
            watcher = Watcher(client, study.spec, number)
            visit = Visit("watcher", Careful(Crowd(world, np.random.default_rng([seed, number]))), 0.0)
            async for _ in go_through(visit, watcher, f"/join/{study.token}", study.spec):
                pass
        if not watcher.showings:
            raise StudyError(f"A rater saw no pair: {next(iter(visit.messages), 'the pages ended early')}.")
        showings += watcher.showings
        number += 1
        on_progress(len(showings))
    return showings[:wanted]
