"""Real servers with tiny models of random weights."""

import contextlib
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn

from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.codec import build_codec
from e2ed2.models.config import CodecConfig, DenoiserConfig
from e2ed2.models.weights import save_model
from tests.e2ed2.conftest import text_encoder_read_once  # noqa: F401, for the models of the pages, too
from tests.study.stores import open_store

ROOT = Path(__file__).parents[2]
START_LIMIT = 300  # s; generous, since the machine may be training
SECRET = "a-secret-of-the-tests"


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """Two models beside a shared codec, like the bundled ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    save_model(build_codec(CodecConfig(widths=(8, 16, 16))), folder / "codec")
    for name in ("l2", "l2-lpips"):
        denoiser = build_denoiser(DenoiserConfig(width=32, depth=1, heads=2, coarse_width=32))
        save_model(denoiser, folder / name / "denoiser")
    return folder


@pytest.fixture(scope="session")
def with_independent(checkpoints, tmp_path_factory) -> Path:
    """The same and a model with a network for each of its two steps."""
    folder = shutil.copytree(checkpoints, tmp_path_factory.mktemp("more") / "checkpoints")
    config = DenoiserConfig(width=32, depth=1, heads=2, coarse_width=32, sharing="independent", steps=2)
    save_model(build_denoiser(config), folder / "independent" / "denoiser")
    return folder


@pytest.fixture(scope="session")
def start_app(tmp_path_factory) -> Iterator[Callable[..., str]]:
    """Runs `python app.py` on a free port, with data folders of its own, and returns its URL.

    `start.kill()` kills the last one without warning.
    """
    processes = []

    def start(*before: str, **environment: str) -> str:
        data = {
            "PORT": "0",
            "STUDY_DATA": str(tmp_path_factory.mktemp("studies")),
            "E2ED2_RUNS": str(tmp_path_factory.mktemp("runs")),
        }
        process = subprocess.Popen(
            [*(before or [sys.executable]), "app.py"],
            cwd=ROOT,
            env=os.environ | data | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        processes.append(process)
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:  # to the end, so that the pipe never fills
            for line in process.stdout:
                lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        seen = ""
        with contextlib.suppress(queue.Empty):
            while line := lines.get(timeout=START_LIMIT):
                seen += line
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    return found[0]
        pytest.fail(f"python app.py ended, or took {START_LIMIT} s, before it printed its address:\n{seen}")

    start.kill = lambda: (processes[-1].kill(), processes[-1].wait())
    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # reload mode's server is a child's child
        process.wait()


@pytest.fixture(scope="session")
def painted(checkpoints, tmp_path_factory) -> Path:
    """A data folder with the ready study of the two models, to be copied."""
    from app.studies.ready import Studies

    folder = tmp_path_factory.mktemp("painted")
    store = open_store(folder)
    Studies(store, checkpoints).prepare().join()
    store.database.engine.dispose()
    return folder


@pytest.fixture(scope="session")
def serve_app(painted, tmp_path_factory) -> Iterator[Callable[..., str]]:
    """Serves all pages from a thread of this process, and returns their URL: nothing has to be imported again.

    Keywords are those of `ServerSettings`. What `python app.py` adds is tested with `start_app`.
    """
    import app.settings  # before gradio is imported
    from app.server import assemble, build_app

    with ExitStack() as running, pytest.MonkeyPatch.context() as environment:
        # A server that ends deletes its pictures, and another process of the tests has the same ones.
        environment.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))

        def serve(checkpoints: Path, admin_secret: str = "", root_path: str = "") -> str:
            folder = tmp_path_factory.mktemp("served")
            settings = app.settings.ServerSettings(
                checkpoints=checkpoints,
                admin_secret=admin_secret,
                root_path=root_path,
                runs=folder / "runs",
                study_data=shutil.copytree(painted, folder / "studies"),
            )
            demo, _, studies = assemble(settings)
            studies.prepare().join()
            site = build_app(demo, studies, admin_secret, root_path)
            server = uvicorn.Server(
                uvicorn.Config(site, log_level="warning", timeout_graceful_shutdown=1, root_path=root_path)
            )
            listener = socket.create_server(("127.0.0.1", 0))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            running.callback(thread.join)
            running.callback(setattr, server, "should_exit", True)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield serve


@pytest.fixture
def gate(monkeypatch) -> Iterator[threading.Event]:
    """While it is cleared, no picture is made, which leaves time to press something."""
    from app.engine import catalogue

    sample_image, opened = catalogue.sample_image, threading.Event()
    opened.set()

    def wait(*given: Any) -> Any:
        opened.wait()
        return sample_image(*given)

    monkeypatch.setattr(catalogue, "sample_image", wait)
    yield opened
    opened.set()


@pytest.fixture(scope="session")
def url(serve_app, checkpoints) -> str:
    """The whole site's URL; its organiser knows `SECRET`."""
    return serve_app(checkpoints, SECRET)
