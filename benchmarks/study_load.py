"""50 raters vote at once over HTTP on SQLite: every acknowledged vote stored once, latencies, votes a second.

python -m benchmarks.study_load [--raters 50] [--think 0] [--pictures] [--size 1024]
"""

import http.client
import queue
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import numpy as np
import tyro
from PIL import Image

from study.images.importing import import_images
from study.images.sources import Source
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.store.frames import read_tables
from study.store.store import Store
from study.store.studies import StudyInfo, create_study

PROMPTS = 20
Answers = dict[tuple[str, str], str]  # (assignment, question) to answer


@dataclass(frozen=True)
class Load:
    """50 raters at once; without thinking, which is the worst that can be, or like people."""

    raters: int = 50
    think: float = 0.0
    """Mean seconds before an answer, between half and one and a half of it."""
    pictures: bool = False
    """Fetch both pictures of each pair, as a browser does."""
    size: int = 128
    """Pixels of their sides. They are noise: no picture is larger in bytes."""

    def __post_init__(self) -> None:
        if self.raters < 1 or self.think < 0 or not 16 <= self.size <= 4096:
            raise SystemExit("At least one rater, no negative seconds, and pictures of 16 to 4096 pixels.")


def make_store(folder: Path, raters: int, prompts: int = PROMPTS, size: int = 128) -> tuple[Store, StudyInfo]:
    """A study of two arms in which every rater sees every prompt."""
    rng = np.random.default_rng(0)
    sources = []
    for arm in ("one", "two"):
        for i in range(prompts):
            file = folder / f"{arm}{i}.png"
            coarse = Image.fromarray(rng.integers(0, 256, (size // 8, size // 8, 3), np.uint8))
            coarse.resize((size, size), Image.Resampling.BICUBIC).save(file)
            sources.append(Source(f"prompt {i}", arm, file))
    store = Store.open(folder / "data", f"sqlite:///{folder}/data/study.db")
    images = import_images(sources, store.library)
    spec = StudySpec(
        "load", images.arms, images.prompts, images.stimuli, images.degraded, images.gold_of, raters_per_pair=raters
    )
    return store, create_study(store.database, spec)


class Server:
    """`python -m study serve` in a process of its own."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "study", "serve", "--port", str(self.port)]
        environment = {"STUDY_DATA": str(self.folder), "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not (found := re.search(r":(\d+)$", line.strip())):
            raise RuntimeError(f"The server did not start: {line}")
        self.port = int(found[1])

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        self.process.kill()
        self.process.wait()


@dataclass
class Rater:
    """Follows the forms like a browser without a script, and remembers every vote that was acknowledged."""

    port: Callable[[], int]
    seed: int
    think: float = 0.0
    pictures: bool = False
    fetched: int = 0  # bytes of pictures
    waited: list[float] = field(default_factory=list)  # seconds for both of a pair
    acknowledged: Answers = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)  # of each acknowledged vote
    retries: int = 0
    connection: http.client.HTTPConnection | None = None
    url: str = "/"
    page: str = ""

    def run(self, path: str) -> None:
        self._request("GET", path)
        while "Thank you" not in self.page:
            self._look()
            radios = re.findall(r'type="radio" name="([^"]*)"', self.page)
            rng = random.Random(f"{self.seed}/{self.url}/{self.page}")
            time.sleep(self.think * rng.uniform(0.5, 1.5))
            self._submit({name: rng.choice(("left", "tie", "right")) for name in sorted(set(radios))})

    def _look(self) -> None:
        """Both pictures, one after the other on this one connection, which is no faster than a browser."""
        sources = re.findall(r'<img src="([^"]*)"', self.page) if self.pictures else []
        started, url, page = time.perf_counter(), self.url, self.page
        for source in sources:
            if self._send("GET", urljoin(url, source), {}) == 200:
                self.fetched += self.length
            self.url, self.page = url, page
        if sources:
            self.waited.append(time.perf_counter() - started)

    def _submit(self, answers: dict[str, str]) -> None:
        form = re.findall(r"<form.*?</form>", self.page, re.S)[0]
        action = re.search(r'<form[^>]*action="([^"]*)"', form)
        hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))
        started = time.perf_counter()
        status = self._send("POST", urljoin(self.url, action[1]) if action else self.url, hidden | answers)
        if "assignment" in hidden and status == 303:
            self.seconds.append(time.perf_counter() - started)
            self.acknowledged |= {(hidden["assignment"], name[2:]): answer for name, answer in answers.items()}
        self._follow(status)

    def _request(self, method: str, url: str) -> None:
        self._follow(self._send(method, url, {}))

    def _follow(self, status: int) -> None:
        while status == 303:
            status = self._send("GET", urljoin(self.url, self.location), {})
        if status >= 400:
            raise RuntimeError(f"{status} at {self.url}: {re.sub('<[^>]*>', ' ', self.page)[-300:]}")

    def _send(self, method: str, url: str, fields: dict[str, str]) -> int:
        """Again until an answer comes: a browser's user presses reload."""
        for _ in range(600):
            try:
                self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port(), timeout=60)
                headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self.cookie}
                self.connection.request(method, url, urlencode(fields) if method == "POST" else None, headers)
                response = self.connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                self.connection, self.retries = None, self.retries + 1
                time.sleep(0.1)  # the server is starting again
                continue
            self.cookie = (response.getheader("set-cookie") or self.cookie).split(";")[0]
            self.length = len(body)
            text = body.decode() if "text" in (response.getheader("content-type") or "text") else ""
            self.location, self.url, self.page = response.getheader("location") or "", urlsplit(url).path, text
            return response.status
        raise RuntimeError("The server is gone.")

    cookie: str = ""
    location: str = ""
    length: int = 0  # of the last answer, in bytes


def vote_at_once(
    port: Callable[[], int], study: StudyInfo, count: int, think: float = 0.0, pictures: bool = False
) -> list[Rater]:
    """As many raters as threads. Raises the first error of any of them."""
    raters = [Rater(port, seed, think, pictures) for seed in range(count)]
    errors: queue.Queue[Exception] = queue.Queue()

    def run(rater: Rater) -> None:
        try:
            rater.run(f"/join/{study.token}?PROLIFIC_PID={rater.seed:024x}")
        except Exception as error:
            errors.put(error)

    threads = [threading.Thread(target=run, args=(rater,)) for rater in raters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not errors.empty():
        raise errors.get()
    return raters


def check(store: Store, study: StudyInfo, raters: list[Rater], folder: Path) -> int:
    """Every acknowledged vote is stored once, and the chain holds; returns their number."""
    votes = read_tables(store.database, study).votes
    stored = {
        (a, q): answer for a, q, answer in zip(votes["assignment"], votes["question"], votes["answer"], strict=True)
    }
    acknowledged: Answers = {}
    for rater in raters:
        acknowledged |= rater.acknowledged
    assert len(stored) == len(votes), "an answer is stored twice"
    assert stored == acknowledged, "an acknowledged vote is lost, or one is stored that nobody gave"
    export_study(store, study, folder)
    assert verify_export(folder).problems == ()
    return len(stored)


def main() -> None:
    options = tyro.cli(Load)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store, study = make_store(folder, options.raters, size=options.size)
        server = Server(folder / "data")
        started = time.perf_counter()
        try:
            raters = vote_at_once(lambda: server.port, study, options.raters, options.think, options.pictures)
            wall = time.perf_counter() - started
            votes = check(store, study, raters, folder / "export")
        finally:
            server.kill()
    seconds = np.concatenate([rater.seconds for rater in raters])
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * 1000
    print(f"{options.raters} raters at once: {votes} answers in {len(seconds)} screens, each stored once")
    print(f"{wall:.1f} s in all, {votes / wall:.0f} answers/s, {len(seconds) / wall:.1f} screens/s")
    print(f"a vote is acknowledged after p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
    if options.pictures:
        waited = np.concatenate([rater.waited for rater in raters])
        p50, p95, p99 = np.percentile(waited, (50, 95, 99)) * 1000
        megabytes = sum(rater.fetched for rater in raters) / 1e6
        print(
            f"{megabytes:.0f} MB of pictures; both of a pair after p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
        )


if __name__ == "__main__":
    main()
