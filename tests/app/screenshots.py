"""Pictures of every page with the bundled models, into screenshots/: `make screenshots`."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

FOLDER = Path("screenshots")
SCREENS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SLOW = 300_000  # ms


def generate(page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("1 picture in", timeout=SLOW)


def compare(page: Page) -> None:
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#status")).to_contain_text("the time is of one picture", timeout=SLOW)
    expect(page.locator("#slider img").last).to_be_visible(timeout=SLOW)


def trajectory(page: Page) -> None:
    for name, seen in (("Watch", "25% noise"), ("Try 8 seeds", "seed 11"), ("Go from one", "83% of the way")):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_text(seen).last).to_be_visible(timeout=SLOW)


def training(page: Page) -> None:
    expect(page.locator("#sheet img")).to_be_visible(timeout=SLOW)
    expect(page.locator("#curves .main-svg").first).to_be_visible(timeout=SLOW)


def results(page: Page) -> None:
    expect(page.locator("#quality .main-svg").first).to_be_visible(timeout=SLOW)
    expect(page.locator("#votes")).not_to_be_empty(timeout=SLOW)


def heading(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()


PAGES = {
    "": generate,
    "compare": compare,
    "trajectory": trajectory,
    "training": training,
    "results": results,
    "take-part": heading,
    "about": heading,
}


@pytest.fixture(scope="session")
def box(start_app) -> str:
    """The pages with the bundled models."""
    return start_app()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("path", PAGES)
def test_screenshot(box, open_page, path, screen, scheme):
    visit = open_page(f"{box}/{path}", viewport=SCREENS[screen], color_scheme=scheme)
    PAGES[path](visit.page)
    FOLDER.mkdir(exist_ok=True)
    visit.page.screenshot(path=FOLDER / f"{path or 'generate'}-{screen}-{scheme}.png", full_page=True)
    visit.assert_clean()
