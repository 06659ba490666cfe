"""The pages on a phone: what comes first, what can be read, what a thumb can press, and what scrolls in its own box."""

import re
import shutil

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.pages.generate.layout import EXAMPLES
from tests.app.test_pages import PAGES, PHONE, painted

# Text under 12 px, and what one presses under 40 px; links within a sentence are as high as its words.
TOO_SMALL = """() => {
    const seen = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true })
        && one.getBoundingClientRect().height > 1;
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (words.nextNode()) {
        const one = words.currentNode.parentElement, said = words.currentNode.textContent.trim();
        if (said && seen(one) && parseFloat(getComputedStyle(one).fontSize) < 12) found.push(`too small: ${said}`);
    }
    for (const one of document.querySelectorAll(
        "button, nav a, a[role=button], a.md, [role=tab], input:not(label input), select, label:has(input)"
    )) if (seen(one) && one.getBoundingClientRect().height < 39.5) {
        found.push(`too low: ${one.ariaLabel || one.textContent.trim()} ${one.getBoundingClientRect().height}`);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def site(serve_app, checkpoints, tmp_path_factory) -> str:
    """The pages' URL; one of the models has a curve and a sheet of twelve samples below twelve drawings."""
    folder = shutil.copytree(checkpoints, tmp_path_factory.mktemp("drawn") / "checkpoints")
    (folder / "l2" / "metrics.jsonl").write_text('{"step": 1, "seconds": 2, "l2": 0.5}\n')
    Image.new("RGB", (12 * 129 + 1, 2 * 129 + 1), "teal").save(folder / "l2" / "preview.png")
    return serve_app(folder)


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def scrolls(page: Page, box: str) -> bool:
    return page.locator(box).evaluate("one => one.scrollWidth > one.clientWidth && one.clientWidth <= 326")


@pytest.mark.slow
def test_examples_stand_in_one_row_on_the_first_screen(open_page, site):
    page = open_page(site, viewport=PHONE).page
    buttons = page.locator("#examples button")
    expect(buttons).to_have_count(len(EXAMPLES))
    boxes = [one.bounding_box() for one in buttons.all()]
    assert len({box["y"] for box in boxes}) == 1
    assert boxes[0]["y"] + boxes[0]["height"] < page.locator("#pictures").bounding_box()["y"]
    assert scrolls(page, "#examples > .gallery")
    assert fits(page)


@pytest.mark.slow
def test_an_example_at_the_end_of_the_row_is_painted_and_ideas_come_before_settings(open_page, site):
    page = open_page(site, viewport=PHONE).page
    painted(page)
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    page.locator("#examples button").last.click()
    expect(page.get_by_label("Prompt").first).to_have_value(EXAMPLES[-1])
    painted(page)
    tops = [page.locator(part).bounding_box()["y"] for part in ("#pictures", "#status", "#file", "#ideas", "#settings")]
    assert tops == sorted(tops)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_too_small_to_read_or_to_press(open_page, site, path):
    page = open_page(f"{site}/{path}", viewport=PHONE).page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    come = {
        "": "#strip img",
        "compare": "#slider .at",
        "trajectory": "#trajectory img",
        "training": "#sheet img",
        "results": "#table th button",
    }
    if path in come:
        expect(page.locator(come[path]).first).to_be_visible()
    assert page.evaluate(TOO_SMALL) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_samples_of_a_training_are_large_and_scroll_in_their_box(open_page, site, scheme):
    visit = open_page(f"{site}/training", viewport=PHONE, color_scheme=scheme)
    sheet = visit.page.locator("#sheet img")
    expect(visit.page.locator("#curves .main-svg").first).to_be_visible()  # its placeholder is a fault for axe
    expect(sheet).to_have_css("height", "144px")
    assert sheet.bounding_box()["width"] / 12 > 70
    assert scrolls(visit.page, "#sheet .scroll")
    assert fits(visit.page)
    visit.assert_accessible()


@pytest.mark.slow
def test_a_wide_comparison_scrolls_in_its_box_and_the_artists_stand_in_two_rows(open_page, site):
    asked = "rows=models&row_values=l2&columns=seeds&column_values=1,2,3,4,5,6,7,8"
    visit = open_page(f"{site}/compare?prompt=cat+face&model=l2&steps=1&{asked}", viewport=PHONE)
    page = visit.page
    expect(page.locator("#status")).to_contain_text("the time is of one picture")
    assert scrolls(page, "#grid .scroll")
    assert fits(page)
    page.goto(f"{site}/compare")
    expect(page.locator("#status")).to_contain_text("the time is of one picture")
    artists = page.locator("#grid table").first.locator("td")
    expect(artists).to_have_count(6)
    assert len({round(one.bounding_box()["y"]) for one in artists.all()}) == 2
    for said in page.locator("#grid td div").all():
        expect(said).to_have_css("font-size", "12px")
        assert said.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert fits(page)
    visit.assert_accessible()


@pytest.mark.slow
def test_a_table_of_many_steps_scrolls_in_its_box_and_every_name_in_its_plot_is_whole(open_page, site):
    page = open_page(f"{site}/results", viewport=PHONE).page
    expect(page.locator("#quality .main-svg").first).to_be_visible()
    plot = page.locator("#quality").bounding_box()
    for name in page.locator("#quality .annotation-text").all():
        box = name.bounding_box()
        assert plot["x"] <= box["x"]
        assert box["x"] + box["width"] <= plot["x"] + plot["width"]
    page.get_by_label("Asked for").click()
    page.get_by_role("option", name="training captions", exact=True).click()
    expect(page.locator("#table th button", has_text=re.compile("^50 steps$"))).to_be_attached()
    assert scrolls(page, "#table .scroll")
    assert fits(page)
