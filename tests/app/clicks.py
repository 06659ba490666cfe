"""How soon every button answers, in a real browser with the bundled models: `make clicks` prints a table.

The answer is the first visible change of the page after the press: a label, a disabled button, a result. It is timed
from the pointer's going down to the frame that shows it, once on a quiet server and once while another visitor has
pictures generated. Links to other pages and downloads are the browser's own to show, and left out.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from app.pages.generate.layout import EXAMPLES

SLOW = 300_000  # ms
WATCH = """() => { window.answered = new Promise((done) => addEventListener("pointerdown", () => {
    const clicked = performance.now();
    const fields = () => [...document.querySelectorAll("input, textarea")].map((e) => e.value + e.checked).join();
    const before = fields();
    let seen = false;
    const shown = (node) => (node.nodeType === 1 ? node : node.parentElement)?.checkVisibility({
        opacityProperty: true, visibilityProperty: true });
    const watching = new MutationObserver((changes) => { seen ||= changes.some((change) => shown(change.target)); });
    watching.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    const look = () => {
        const waited = performance.now() - clicked;
        if (!seen && fields() === before && waited < 5000) return requestAnimationFrame(look);
        watching.disconnect();
        requestAnimationFrame(() => setTimeout(() => done(waited < 5000 ? performance.now() - clicked : -1)));
    };
    requestAnimationFrame(look);
}, { capture: true, once: true })); }"""


def painted(page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("8 pictures in", timeout=SLOW)
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled(timeout=SLOW)


def compared(page: Page) -> None:
    expect(page.locator("#slider img").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled(timeout=SLOW)


def drawn(page: Page) -> None:
    expect(page.locator(".main-svg").first).to_be_visible(timeout=SLOW)


def there(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()


PAGES = {
    "?prompt=rocket&count=8&seed=1": (
        painted,
        ["Generate", EXAMPLES[-1], "Favourite: rocket", "New random seed each time", "More models"],
    ),
    "compare": (there, ["Compare", "Other noise"]),
    "compare?prompt=sunflower&seed=3": (compared, ["Compare", "energy, 1 step", "Vote on this pair", "Left"]),
    "trajectory": (there, ["Watch", "Try 8 seeds", "Go from one to the other"]),
    "training": (
        drawn,
        [
            "Shared against independent networks",
            "time",
            "Start training",
            "Use pictures of your own instead of the bundled drawings",
        ],
    ),
    "results": (drawn, ["computing", "Asked for"]),
}
FOLLOWING = {"Generate": "Stop", "Start training": "Stop and save"}


@pytest.fixture(scope="module")
def box(start_app) -> str:
    return start_app()


@contextmanager
def painting(url: str) -> Iterator[None]:
    """Another visitor generates pictures, one after the other."""
    over = threading.Event()

    def paint() -> None:
        client = Client(url, verbose=False)
        while not over.is_set():
            client.predict("rocket", "l2-lpips", 4, 1, True, 8, api_name="/generate")

    visitor = threading.Thread(target=paint)
    visitor.start()
    yield
    over.set()
    visitor.join()


def answer(page: Page, name: str) -> float:
    """Milliseconds from the press to its first visible effect."""
    wanted = page.get_by_label(name, exact=True).or_(page.get_by_role("button", name=name))
    expect(wanted.first).to_be_visible(timeout=SLOW)
    page.evaluate(WATCH)
    wanted.first.click()
    return page.evaluate("window.answered")


def measure(box: str, open_page, kind: str) -> list[tuple[str, str, str, float]]:
    found = []
    for path, (ready, names) in PAGES.items():
        for name in names:
            page = open_page(f"{box}/{path}").page
            ready(page)
            found.append((kind, path, name, answer(page, name)))
            if following := FOLLOWING.get(name):
                found.append((kind, path, following, answer(page, following)))
            page.context.close()
    return found


def test_clicks(box, open_page, capsys):
    found = measure(box, open_page, "quiet")
    with painting(box):
        found += measure(box, open_page, "busy")
    with capsys.disabled():
        print()
        for kind, path, name, milliseconds in sorted(found, key=lambda one: -one[3]):
            print(f"{milliseconds:7.0f} ms  {kind:6} /{path.partition('?')[0]:11} {name}")
    assert min(milliseconds for *_, milliseconds in found) >= 0  # a click without any answer
