"""A real server with tiny models of random weights, and Debian's chromium."""

import contextlib
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from e2ed2.checkpoint import save_model
from e2ed2.codec import CodecConfig
from e2ed2.denoiser import DenoiserConfig

ROOT = Path(__file__).parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
START_LIMIT = 300  # s; much, since the machine may be training
expect.set_options(timeout=60_000)  # ms, likewise


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """Two models beside a shared codec, as in the box."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    save_model(CodecConfig(widths=(8, 16, 16)).build(), folder / "codec")
    for name in ("l2", "l2-lpips"):
        denoiser = DenoiserConfig(width=32, depth=1, heads=2, coarse_width=32).build()
        save_model(denoiser, folder / name / "denoiser")
    return folder


@pytest.fixture(scope="session")
def start_app() -> Iterator[Callable[..., str]]:
    """Runs `python app.py` on a free port and returns its URL."""
    processes = []

    def start(**environment: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=os.environ | {"PORT": "0"} | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
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

    yield start
    for process in processes:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def url(start_app, checkpoints) -> str:
    return start_app(E2ED2_CHECKPOINTS=str(checkpoints))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("E2ED2_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("No browser found: run `make test`, or set E2ED2_BROWSER to a Chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One visitor's page, and what it asked for and complained about."""

    def __init__(self, page: Page, url: str):
        self.page = page
        self.outside: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.goto(url)

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def assert_clean(self) -> None:
        assert self.outside == []
        assert self.complaints == []


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Visit]]:
    """Opens a URL as a new visitor; keywords describe the screen, as in `browser.new_context`."""
    contexts = []

    def open_page(url: str, **screen: Any) -> Visit:
        contexts.append(browser.new_context(**screen))
        return Visit(contexts[-1].new_page(), url)

    yield open_page
    for context in contexts:
        context.close()
