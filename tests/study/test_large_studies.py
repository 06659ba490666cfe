"""Many pictures, and large ones: bytes that raters wait for, seconds and memory, while they are stored and served."""

import gc
import io
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import select

from benchmarks.study_load import Rater as Browser
from benchmarks.study_load import Server
from study.images.reading import load_image
from study.images.sources import Source
from study.protocol.parts import CheckShares, Page
from study.store.creating import make_study
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.tables import StoredAssignment
from study.web import create_app
from tests.study.voting import rater

BARE = CheckShares(0, 0, 0, 0)


def photograph(seed: int, size: int = 1024) -> Image.Image:
    """With detail at every scale and a sensor's noise, as a camera has them."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(0, 8 + size / 8 / side, (side, side, 3)) for side in (4, 16, 64, 256)]
    whole = [
        np.stack([Image.fromarray(layer[..., c].astype(np.float32)).resize((size, size)) for c in range(3)], -1)
        for layer in layers
    ]
    return Image.fromarray((128 + sum(whole) + rng.normal(0, 2, (size, size, 3))).clip(0, 255).astype(np.uint8))


def noise(folder: Path, prompts: int, size: int) -> list[Source]:
    """Two arms of pictures that nothing makes smaller."""
    rng, sources = np.random.default_rng(0), []
    for number in range(prompts):
        for arm in "ab":
            file = folder / f"{arm}{number}.bmp"
            Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(file)
            sources.append(Source(f"prompt {number}", arm, file))
    return sources


def tokens(store: Store, study: StudyInfo, raters: int) -> list[str]:
    """The names of all pictures that so many raters are handed."""
    for number in range(raters):
        rater(store, study, f"rater {number}")
    pair = select(StoredAssignment.left_token, StoredAssignment.right_token)
    with store.database.read() as session:
        return [token for both in session.execute(pair) for token in both]


def test_photographs_at_a_stated_quality_come_in_a_third_of_the_bytes(sqlite_store, tmp_path):
    """A third of that of PNG; all pictures of a prompt are as long as the longest, which is not the spoilt copy."""
    sources = [Source("a photograph", arm, tmp_path / f"{arm}.jpg") for arm in "ab"]
    for seed, source in enumerate(sources):
        photograph(seed).save(source.file, quality=92)
    png = io.BytesIO()
    load_image(sources[0].file).save(png, "PNG", compress_level=1)
    study = make_study(sqlite_store, "photographs", sources, image_quality=95, checks=CheckShares(0, 0, 1, 0))
    client = TestClient(create_app(sqlite_store))
    served = {len(client.get(f"/i/{token}").content) for token in tokens(sqlite_store, study, 1)}
    assert len(served) == 1
    assert served.pop() < len(png.getvalue()) / 3
    bytes_of = {s: sqlite_store.library.path(s.sha256).stat().st_size for s in study.spec.images}
    assert max(bytes_of[s] for s in study.spec.degraded) < max(bytes_of.values()) / 4


def test_a_server_keeps_no_picture(sqlite_store, tmp_path):
    study = make_study(sqlite_store, "noise", noise(tmp_path, 12, 256), checks=BARE, pairs_per_rater=12)
    names, client = tokens(sqlite_store, study, 1), TestClient(create_app(sqlite_store))
    client.get(f"/i/{names[0]}")
    tracemalloc.start()
    served = sum(len(client.get(f"/i/{name}").content) for name in names)
    gc.collect()
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(names) == 24
    assert kept < 0.1 * served
    assert most < 0.4 * served


@pytest.mark.slow
def test_the_servers_memory_does_not_grow_with_10_000_pictures(tmp_path):
    resident = {}
    for prompts in (50, 5000):
        folder = tmp_path / str(prompts)
        folder.mkdir()
        store = Store.open(folder / "data", f"sqlite:///{folder}/data/study.db")
        each = min(prompts, 500)
        study = make_study(
            store,
            "many",
            noise(folder, prompts, 64),
            checks=BARE,
            pairs_per_rater=each,
            raters_per_pair=1,
            page=Page(practice=()),
        )
        names = tokens(store, study, prompts // each)
        server = Server(folder / "data")
        try:
            process = psutil.Process(server.process.pid)
            while process.cpu_percent(interval=0.5) > 5:
                pass  # it imports in the background
            browser = Browser(lambda server=server: server.port, 0)
            served = 0
            for name in names:
                assert browser._send("GET", f"/i/{name}", {}) == 200
                served += browser.length
            resident[prompts] = process.memory_info().rss
        finally:
            server.kill()
    assert len(set(names)) == 10_000
    print(f"{resident[50] / 1e6:.0f} MB after 100 pictures, {resident[5000] / 1e6:.0f} MB after 10,000")
    assert resident[5000] - resident[50] < 0.25 * served


@pytest.mark.slow
def test_240_photographs_are_stored_in_seconds_and_in_bounded_memory(tmp_path):
    shots = [photograph(seed) for seed in range(4)]
    told = {}
    for prompts in (8, 120):
        folder = tmp_path / str(prompts)
        for arm in "ab":
            (folder / arm).mkdir(parents=True)
            for number in range(prompts):
                turned = shots[number % 4].rotate(90 * (number % 3)).point(lambda v, by=number % 30: min(v + by, 255))
                turned.save(folder / arm / f"{number}.jpg", quality=92)
        (folder / "prompts.txt").write_text("\n".join(f"prompt {number}" for number in range(prompts)))
        arms = [f"{arm}={folder / arm}" for arm in "ab"]
        code = (
            "import re, time; started = time.process_time(); from study.cli import main; main();"
            "most = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read());"
            "print(most[1], time.process_time() - started)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "create", "--name", "x", "--arms", *arms, "--prompts", folder / "prompts.txt"],
            env={"STUDY_DATA": str(folder / "data"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        told[prompts] = [float(word) for word in done.stdout.splitlines()[-1].split()]
    print(f"KB and CPU seconds, by prompts: {told}")
    assert told[120][0] - told[8][0] < 40_000  # 232 pictures more would be 730 MB
    assert told[120][1] < 100
