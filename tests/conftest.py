"""A real browser, for every page."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from sqlalchemy import Connection, Engine, event

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=60_000)  # ms; much, since the machine may be training
# Colours on their way from light to dark are neither.
STILL = """async () => {
    await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    const moving = document.getAnimations().filter((a) => a.effect.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(moving.map((a) => a.finished));
}"""
COLOURS = ["color-contrast", "link-in-text-block"]  # the rules whose answer depends on them
LEFT = "AbortError"  # who leaves a page while something comes breaks that off, of which Gradio's client complains
SERIOUS = ("serious", "critical")


gc.disable()  # until everything is imported


def pytest_collection_finish() -> None:
    """What has been imported stays: the garbage collector need not go through it again and again."""
    gc.enable()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def data_folder_of_its_own(tmp_path_factory) -> Iterator[None]:
    """No test reads or writes what the person who runs it keeps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("E2ED2_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True, scope="session")
def temporary_folder_of_its_own(tmp_path_factory) -> Iterator[None]:
    """What libraries leave in it goes with the tests' own folders."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("t"))  # short: so is the longest path of a socket
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk() -> Iterator[None]:
    """What a machine without power would lose is not what these tests are about; a SQLite commit waits 5 ms for it."""

    def hurry(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.connection.dbapi_connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "engine_connect", hurry)
    yield
    event.remove(Engine, "engine_connect", hurry)


@pytest.fixture(autouse=True, scope="session")
def no_certificates(tmp_path_factory) -> Iterator[None]:
    """No test speaks to a stranger; reading whom to trust would take most of a request to one's own server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


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
        page.on("console", self._hear)
        page.goto(url)

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "file") and parts.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error" and LEFT not in said.text:
            self.complaints.append(said.text)

    def assert_clean(self) -> None:
        assert self.outside == []
        assert self.complaints == []

    def assert_accessible(self) -> None:
        """No serious fault that axe can find, in light and, as far as colours go, in dark."""
        for scheme, rules in (("light", {}), ("dark", {"runOnly": COLOURS})):
            self.page.emulate_media(color_scheme=scheme)
            self.page.evaluate(STILL)
            found = Axe().run(self.page, options={"resultTypes": ["violations"]} | rules).response["violations"]
            serious = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] in SERIOUS]
            assert serious == [], (scheme, self.page.url)


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
