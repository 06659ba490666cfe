"""The rater's pages in a real browser: mouse, keys, a phone, slow images, coming back."""

import re
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Page, Route, expect

from study.protocol.parts import CheckShares
from study.protocol.parts import Page as Pages
from study.store.frames import read_tables
from study.store.store import Store
from study.store.visitors import open_pair
from study.web import create_app
from study.web.practice import DRAWN
from tests.study.conftest import picture

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture
def store(sqlite_store) -> Store:
    return sqlite_store


@pytest.fixture
def study(store, make_study):
    return make_study(store)


@pytest.fixture
def site(store) -> Iterator[str]:
    """The pages of the store, served from a thread."""
    server = uvicorn.Server(uvicorn.Config(create_app(store), port=0, log_level="warning"))
    server.config.load()
    listener = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def open_vote(page: Page, step: str) -> None:
    """Waits for this pair, and until it may be voted on."""
    expect(page.locator(".bar")).to_contain_text(step)
    expect(page.locator('[data-vote="open"]')).to_be_visible()


def answer(page: Page, question: int, letter: str, tap: bool = False) -> None:
    radio = page.locator(".question").nth(question).get_by_role("radio", name=letter, exact=True)
    radio.tap() if tap else radio.click()


def practise(page: Page, tap: bool = False) -> None:
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="Practise").click()
    for step in range(1, len(DRAWN) + 1):
        open_vote(page, f"Practice {step} of")
        answer(page, 0, "A", tap)
        page.locator(".feedback button").click()


def test_mouse_and_keys_go_through_a_study_and_every_answer_is_stored(open_page, site, store, make_study):
    study = make_study(store, checks=CheckShares(0, 0, 0, 0))
    visit = open_page(f"{site}/join/{study.token}", viewport={"width": 1280, "height": 800})
    page = visit.page
    practise(page)
    open_vote(page, "1 of 4")
    page.get_by_role("button", name="Enlarge image B").click()
    expect(page.locator(".viewer .letter")).to_have_text("B")
    page.keyboard.press("a")  # no vote, but the other picture
    expect(page.locator(".viewer .letter")).to_have_text("A")
    page.keyboard.press("f")
    expect(page.locator(".viewer .letter")).to_have_text("B")
    looks = "all => all.map(one => one.style.width + one.style.transform)"
    before = page.locator(".viewer .stage img").evaluate_all(looks)
    page.keyboard.press("+")
    zoomed = page.locator(".viewer .stage img").evaluate_all(looks)
    assert zoomed[0] == zoomed[1] != before[0]  # both alike, so that a flip compares the same place
    page.keyboard.press("Escape")
    expect(page.locator(".viewer")).to_have_count(0)
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    for question, letter in enumerate(("A", "Tie", "B")):
        answer(page, question, letter)  # the last one sends: one click each is all it takes
    open_vote(page, "2 of 4")
    for key in "b2a":
        page.keyboard.press(key)
    open_vote(page, "3 of 4")
    page.keyboard.press("u")
    open_vote(page, "2 of 4")
    expect(page.get_by_role("radio", checked=True)).to_have_count(3)
    page.keyboard.press("t")
    page.get_by_role("button", name="Save").click()
    for step in (3, 4):
        open_vote(page, f"{step} of 4")
        for key in "1t3":
            page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    expect(page.locator(".code")).to_have_text(re.compile(r"^[A-Z0-9]{8}$"))
    visit.assert_clean()
    *revisions, finished = read_tables(store.database, study).revisions
    assert [r["answer"] for r in revisions[:7]] == ["left", "tie", "right", "right", "tie", "left", "tie"]
    assert len(revisions) == 13
    assert finished["entry"] == "finished"
    assert {r["clock"] for r in revisions} == {"client"}
    assert {r["viewport"].split(" ")[0] for r in revisions} == {"1280x800@1"}
    assert all(int(r["viewport"].split(" ")[1].split("x")[0]) % 64 == 0 for r in revisions)  # a whole factor
    assert all(r["decode_ms"] is not None for r in revisions)


@pytest.mark.slow
def test_a_phone_votes_by_touch_closes_and_goes_on_elsewhere(open_page, site, study, store):
    page = open_page(f"{site}/join/{study.token}", **PHONE).page
    practise(page, tap=True)
    open_vote(page, "1 of 7")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for image in page.locator(".images img").all():
        expect(image).to_be_in_viewport(ratio=0.99)
    for question in range(3):
        answer(page, question, "B", tap=True)
    open_vote(page, "2 of 7")
    answer(page, 0, "A", tap=True)  # begun, not sent
    page.get_by_role("link", name="Pause").tap()
    expect(page.locator("[data-personal]")).to_have_text(re.compile(f"^{site}/r/"))
    link = page.locator("[data-personal]").inner_text()
    page.context.close()
    assert len(read_tables(store.database, study).votes) == 3
    again = open_page(link).page
    open_vote(again, "2 of 7")
    expect(again.get_by_role("radio", checked=True)).to_have_count(0)
    for key in "aaa":
        again.keyboard.press(key)
    open_vote(again, "3 of 7")
    assert len(read_tables(store.database, study).votes) == 6


@pytest.mark.slow
def test_voting_opens_when_both_images_are_there(open_page, site, study, store):
    page = open_page(f"{site}/join/{study.token}").page
    asked: list[Route] = []
    may_come = threading.Event()

    def slow(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1 or may_come.is_set():
            route.continue_()

    page.route("**/i/*", slow)
    practise(page)
    expect(page.locator("[data-status]")).to_have_text("Loading the images…")
    expect(page.get_by_role("img", name="Image A", include_hidden=True)).to_have_js_property("naturalWidth", 64)
    expect(page.locator(".images img:visible")).to_have_count(0)  # the one that is there waits for the other
    page.keyboard.press("a")
    expect(page.locator('[data-vote="waiting"]')).to_be_visible()
    expect(page.get_by_role("radio").first).to_be_disabled()
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    may_come.set()
    for route in asked[1:]:
        route.continue_()
    open_vote(page, "1 of 7")
    expect(page.locator(".images img:visible")).to_have_count(2)
    page.keyboard.press("a")
    expect(page.get_by_role("radio", checked=True)).to_have_count(1)


def test_the_clock_starts_when_the_pictures_are_seen_and_the_server_looks_on(open_page, site, store, make_study):
    study = make_study(store, page=Pages(practice=()))
    page = open_page(f"{site}/join/{study.token}").page
    waited = 700  # ms, for a picture

    def slow(route: Route) -> None:
        page.wait_for_timeout(waited)
        route.continue_()

    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="Begin with the study").click()
    open_vote(page, "1 of 7")
    page.route("**/i/*", slow)
    began = time.monotonic()
    page.reload()
    open_vote(page, "1 of 7")
    for key in "ab":
        page.keyboard.press(key)
    elapsed = 1000 * (time.monotonic() - began)  # the wait for the pictures among it, however slow the machine is
    page.wait_for_timeout(waited)
    page.keyboard.press("t")
    open_vote(page, "2 of 7")
    votes = read_tables(store.database, study)
    first, second, third = votes.votes["answer_ms"]
    assert first + second <= elapsed - waited
    assert waited <= third
    assert votes.votes["response_ms"].tolist() == [first, first + second, first + second + third]
    last = votes.revisions[-1]
    assert last["server_ms"] >= last["response_ms"] + last["decode_ms"]
    assert last["server_ms"] >= 2 * waited
    assert last["decode_ms"] > waited / 2  # a browser asks for a picture before the page's clock runs
    page.unroute_all(behavior="ignoreErrors")  # the next pair may be on its way


@pytest.mark.slow
def test_a_picture_that_fails_is_asked_for_again(open_page, site, study):
    page = open_page(f"{site}/join/{study.token}").page
    failed: list[Route] = []

    def fail_first(route: Route) -> None:
        failed.append(route)
        route.abort() if len(failed) <= 2 else route.continue_()

    page.route("**/i/*", fail_first)
    practise(page)
    open_vote(page, "1 of 7")
    first = [image.get_attribute("src") for image in page.locator(".images img").all()]
    asked = [route.request.url for route in failed]
    assert [sum(url.endswith(name.strip("./")) for url in asked) for name in first] == [2, 2]


@pytest.mark.slow
def test_the_next_pair_is_there_before_its_page(open_page, site, study):
    page = open_page(f"{site}/join/{study.token}").page
    asked: list[str] = []
    page.on("response", lambda response: asked.append(response.url) if "/i/" in response.url else None)
    practise(page)
    open_vote(page, "1 of 7")
    four = "performance.getEntriesByType('resource').filter(e => e.name.includes('/i/')).length == 4"
    page.wait_for_function(four)
    before = set(asked)
    for key in "aaa":
        page.keyboard.press(key)
    open_vote(page, "2 of 7")
    shown = {
        page.url.rsplit("/r/", 1)[0] + "/" + i.get_attribute("src").strip("./")
        for i in page.locator(".images img").all()
    }
    assert shown < before
    sent = page.evaluate(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/i/')).map(e => e.transferSize)"
    )
    assert sent[:2] == [0, 0]  # from the browser's own store


@pytest.mark.slow
def test_keys_go_by_letter_or_place_and_can_be_switched_off(open_page, site, study):
    page = open_page(f"{site}/join/{study.token}").page
    practise(page)
    open_vote(page, "1 of 7")
    chosen = page.get_by_role("radio", checked=True)
    page.get_by_role("button", name="Turn keys off").click()
    page.keyboard.press("a")
    expect(chosen).to_have_count(0)
    page.reload()
    open_vote(page, "1 of 7")
    page.keyboard.press("b")
    expect(chosen).to_have_count(0)
    page.get_by_role("button", name="Turn keys on").click()
    press = "key => dispatchEvent(new KeyboardEvent('keydown', key))"
    page.evaluate(press, {"key": "q", "code": "KeyA"})  # a French keyboard's q is no A
    expect(chosen).to_have_count(0)
    page.evaluate(press, {"key": "ش", "code": "KeyA"})  # an Arabic one has no A but its place
    page.evaluate(press, {"key": "é", "code": "Digit2"})
    expect(chosen).to_have_count(2)


@pytest.mark.slow
def test_pictures_use_the_window_and_too_small_ones_cannot_be_voted_on(open_page, site, store, make_study):
    study = make_study(store, page=Pages(practice=(), min_size=192, show_prompts=False))
    page = open_page(f"{site}/join/{study.token}", viewport={"width": 1500, "height": 1000}).page
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="Begin with the study").click()
    open_vote(page, "1 of 7")
    width = page.locator(".images img").first.evaluate("image => image.getBoundingClientRect().width")
    assert width >= 448  # seven times its 64 pixels; no more than half a window of 60 rem before
    assert width % 64 == 0
    page.set_viewport_size({"width": 330, "height": 500})
    expect(page.locator("[data-status]")).to_contain_text("too small here")
    expect(page.get_by_role("radio").first).to_be_disabled()
    page.set_viewport_size({"width": 1500, "height": 1000})
    expect(page.locator("[data-status]")).to_have_text("")
    for key in "aaa":
        page.keyboard.press(key)
    open_vote(page, "2 of 7")
    (shown,) = {r["viewport"].split(" ")[1] for r in read_tables(store.database, study).revisions}
    assert shown == f"{width:.0f}x{width:.0f}"


@pytest.mark.slow
def test_without_a_script_both_pictures_are_seen(browser, site, study):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/join/{study.token}")
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="Practise").click()
    expect(page.locator(".images img:visible")).to_have_count(2)
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "direction", "lines"),
    [
        ("تفاحة حمراء!", "rtl", 1),
        ("an apple\non a table", "ltr", 2),
        ("a very long description " * 200, "ltr", 200),
    ],
)
def test_a_prompt_has_its_direction_and_its_lines_and_leaves_room(open_page, site, store, prompt, direction, lines):
    pair = open_pair(store, prompt, {"a": picture(1), "b": picture(2)})
    visit = open_page(f"{site}/join/{pair.token}", viewport={"width": 1000, "height": 800})
    page = visit.page
    page.get_by_role("button", name="I agree and take part").click()
    open_vote(page, "1 of 1")
    words = page.locator(".words")
    assert words.evaluate("element => getComputedStyle(element).direction") == direction
    height, full = words.evaluate("element => [element.clientHeight, element.scrollHeight]")
    one_line = words.evaluate("element => parseFloat(getComputedStyle(element).lineHeight)")
    assert height <= 200
    assert full > one_line * (lines - 0.5) if lines < 3 else full > height
    expect(page.locator(".images")).to_be_in_viewport(ratio=0.5)
    visit.assert_accessible()


@pytest.mark.slow
def test_every_page_is_accessible_in_light_and_dark(open_page, site, study):
    visit = open_page(f"{site}/join/{study.token}")
    page = visit.page
    visit.assert_accessible()
    page.get_by_role("button", name="I agree").click()
    visit.assert_accessible()
    page.get_by_role("button", name="Practise").click()
    for _ in DRAWN:
        expect(page.locator('[data-vote="open"]')).to_be_visible()
        answer(page, 0, "B")
        expect(page.locator(".feedback")).to_be_visible()
        if page.url.endswith("practice"):
            visit.assert_accessible()
        page.locator(".feedback button").click()
    for step in range(1, 8):
        open_vote(page, f"{step} of 7")
        if step == 1:
            visit.assert_accessible()
        for key in "abt":
            page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    visit.assert_accessible()
    page.get_by_role("button", name="Change my answer").click()
    open_vote(page, "7 of 7")
    visit.assert_accessible()
    page.get_by_role("link", name="Pause").click()
    visit.assert_accessible()
    page.goto(f"{site}/r/nobody")
    visit.assert_accessible()
