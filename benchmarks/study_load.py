"""50 raters vote at once over HTTP on SQLite: every acknowledged vote stored once, latencies, votes a second.

python -m benchmarks.study_load [--raters 50] [--think 0] [--prompts 20] [--size 1024]
"""

import http.client
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import numpy as np
import psutil
import tyro
from PIL import Image

from study.images.importing import import_images
from study.images.sources import Source
from study.protocol.parts import Exclusions
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.store.frames import read_tables
from study.store.store import Store
from study.store.studies import StudyInfo, create_study

ROOT = Path(__file__).parents[1]
Answers = dict[tuple[str, str], str]  # (assignment, question) to answer


@dataclass(frozen=True)
class Load:
    """50 raters at once; without thinking, which is the worst that can be, or like people."""

    raters: int = 50
    think: float = 0.0
    """Mean seconds before an answer, between half and one and a half of it."""
    prompts: int = 20
    """Each with two pictures and a spoilt copy; a rater sees up to 30 pairs, besides the checks."""
    size: int = 1024
    """Pixels of the pictures' sides; 0 leaves them on the server."""
    quality: int = 95
    """Quality of the pictures, as in `study create --image-quality`."""

    def __post_init__(self) -> None:
        if self.raters < 1 or self.think < 0 or self.prompts < 1 or not (self.size == 0 or 16 <= self.size <= 4096):
            raise SystemExit("At least one rater and prompt, no negative seconds, and pictures of 16 to 4096 pixels.")


def make_store(
    folder: Path, raters: int, prompts: int = 20, size: int = 128, quality: int | None = None
) -> tuple[Store, StudyInfo]:
    """A study of two arms, as many raters a pair; pictures of blurred noise, with as many bytes as photographs.

    No rule leaves a rater out: these answer in milliseconds, and the place of one who is left out goes to the next.
    """
    rng = np.random.default_rng(0)
    sources = []
    for arm in ("one", "two"):
        for i in range(prompts):
            file = folder / f"{arm}{i}.png"
            coarse = Image.fromarray(rng.integers(0, 256, (size // 8, size // 8, 3), np.uint8))
            coarse.resize((size, size), Image.Resampling.BICUBIC).save(file, compress_level=1)
            sources.append(Source(f"prompt {i}", arm, file))
    store = Store.open(folder / "data", f"sqlite:///{folder}/data/study.db")
    images = import_images(sources, store.library, quality=quality)
    pictures = images.arms, images.prompts, images.stimuli, images.degraded, images.gold_of
    spec = StudySpec(
        "load", *pictures, raters_per_pair=raters, exclusions=Exclusions(*[None] * len(fields(Exclusions)))
    )
    return store, create_study(store.database, spec)


class Server:
    """`python -m study serve` in a process of its own."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "study", "serve", "--port", str(self.port)]
        environment = {"STUDY_DATA": str(self.folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not (found := re.search(r":(\d+)$", line.strip())):
            raise RuntimeError(f"The server did not start: {line}")
        self.port = int(found[1])

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def settle(self) -> None:
        """Waits until what it imports in advance is there: a study's raters do not come in its first second."""
        before = -1.0
        while self.cpu() - before > 0.02:
            before = self.cpu()
            time.sleep(0.5)

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        self.process.kill()
        self.process.wait()


@dataclass
class Rater:
    """Follows the forms like a browser, and remembers every vote that was acknowledged."""

    port: Callable[[], int]
    seed: int
    think: float = 0.0
    pictures: bool = False
    cache: set[str] = field(default_factory=set)  # addresses of pictures
    fetched: int = 0  # bytes of pictures
    waited: list[float] = field(default_factory=list)  # seconds for what was not there yet of a pair
    acknowledged: Answers = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)  # of each acknowledged vote
    pages: list[float] = field(default_factory=list)  # of each page after a vote
    retries: int = 0
    refused: int = 0  # with a page that says so
    connection: http.client.HTTPConnection | None = None
    url: str = "/"
    page: str = ""

    def run(self, path: str) -> None:
        self._request("GET", path)
        while "Thank you" not in self.page:
            radios = re.findall(r'type="radio" name="([^"]*)"', self.page)
            rng = random.Random(f"{self.seed}/{self.url}/{self.page}")
            spent = self._look() if self.pictures else 0.0
            time.sleep(max(self.think * rng.uniform(0.5, 1.5) - spent, 0))
            self._submit({name: rng.choice(("left", "tie", "right")) for name in sorted(set(radios))})

    def _look(self) -> float:
        """Both pictures; then those of the next pair, while the rater looks at these. Returns the seconds of that."""
        now = re.findall(r'<img src="([^"]*)"', self.page)
        ahead = [name for names in re.findall(r'data-ahead="([^"]*)"', self.page) for name in names.split()]
        started = time.perf_counter()
        self._fetch(now)
        seen = time.perf_counter()
        if now:
            self.waited.append(seen - started)
        self._fetch(ahead)
        return time.perf_counter() - seen

    def _fetch(self, addresses: list[str]) -> None:
        """What the browser has not kept; one after the other: no faster than a browser."""
        url, page = self.url, self.page
        for address in addresses:
            picture = urljoin(url, address)
            if picture not in self.cache and self._send("GET", picture, {}) == 200:
                self.cache.add(picture)
                self.fetched += self.length
        self.url, self.page = url, page

    def _submit(self, answers: dict[str, str]) -> None:
        form = re.findall(r"<form.*?</form>", self.page, re.S)[0]
        action = re.search(r'<form[^>]*action="([^"]*)"', form)
        hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))
        started = time.perf_counter()
        status = self._send("POST", urljoin(self.url, action[1]) if action else self.url, hidden | answers)
        if "assignment" in hidden and status == 303:
            self.seconds.append(time.perf_counter() - started)
            self.acknowledged |= {(hidden["assignment"], name[2:]): answer for name, answer in answers.items()}
            started = time.perf_counter()
            self._follow(status)
            self.pages.append(time.perf_counter() - started)
        else:
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
            if response.status == 503:
                self.refused += 1
                time.sleep(0.1)
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
    """Run each rater in a thread of its own; returns all of them. Raises the first error of any."""
    raters = [Rater(port, seed, think, pictures) for seed in range(count)]

    def run(rater: Rater) -> None:
        rater.run(f"/join/{study.token}?PROLIFIC_PID={rater.seed:024x}")

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, raters))
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
    options = tyro.cli(Load, description=__doc__)
    pictures = options.size > 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        quality = options.quality if pictures else None
        store, study = make_store(folder, options.raters, options.prompts, options.size or 64, quality)
        server = Server(folder / "data")
        server.settle()
        started, worked = time.perf_counter(), server.cpu()
        try:
            raters = vote_at_once(lambda: server.port, study, options.raters, options.think, pictures)
            wall, worked = time.perf_counter() - started, server.cpu() - worked
            votes = check(store, study, raters, folder / "export")
        finally:
            server.kill()
    screens = sum(len(rater.seconds) for rater in raters)
    print(f"{options.raters} raters at once: {votes} answers in {screens} screens, each stored once")
    print(f"{wall:.1f} s in all, {votes / wall:.0f} answers/s, {screens / wall:.1f} screens/s")
    print(f"{1000 * worked / screens:.1f} ms of the server's processor a screen, pictures included")
    print(f"a vote is acknowledged after {quantiles([rater.seconds for rater in raters])}")
    print(f"the page after it is there after {quantiles([rater.pages for rater in raters])}")
    if pictures:
        print(f"{sum(rater.fetched for rater in raters) / 1e6:.0f} MB of pictures")
        print(f"both of a pair, most of them fetched in advance, after {quantiles([r.waited for r in raters])}")


def quantiles(seconds: list[list[float]]) -> str:
    p50, p95, p99 = np.percentile(np.concatenate(seconds), (50, 95, 99)) * 1000
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"


if __name__ == "__main__":
    main()
