"""After any error, on every page, the button can be pressed again and does what it says."""

import json

import pytest
from playwright.sync_api import Page, expect

BUSY = {"detail": "Queue is full. Max size is 64 and size is 64.", "error_code": "queue_full"}
COME = {  # a page, its button, and what there is to see when the button has done its work
    "": ("Generate", lambda page: expect(page.locator("#status")).to_contain_text("1 picture in")),
    "compare": ("Compare", lambda page: expect(page.locator("#status")).to_contain_text("the time is of one")),
    "trajectory": ("Watch", lambda page: expect(page.locator("#trajectory img").first).to_be_visible()),
}


def full_queue(page: Page) -> None:
    """From now on the server answers as it does when too many are waiting."""
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, body=json.dumps(BUSY)))


def free_queue(page: Page) -> None:
    page.unroute("**/queue/join*")


def press(page: Page, name: str):
    button = page.get_by_role("button", name=name, exact=True)
    button.click()
    return button


@pytest.mark.slow
@pytest.mark.parametrize("path", COME)
def test_a_full_queue_leaves_the_button_usable(open_page, url, path):
    page = open_page(f"{url}/{path}").page
    name, come = COME[path]
    button = page.get_by_role("button", name=name, exact=True)
    come(page)  # what the page makes as it opens; its end would write over what is said below
    if path == "":
        expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    expect(button).to_be_enabled()
    full_queue(page)
    press(page, name)
    expect(page.get_by_test_id("toast-body").first).to_be_visible()
    expect(button).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("try again")
    free_queue(page)
    page.get_by_label("Prompt").first.fill("rocket")
    press(page, name)
    come(page)
    expect(button).to_be_enabled()


@pytest.mark.slow
def test_a_full_queue_and_half_a_number_leave_every_button_of_training_usable(open_page, url):
    page = open_page(f"{url}/training").page
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    full_queue(page)
    for name in ("Start training", "Shared against independent networks"):
        press(page, name)
        expect(page.get_by_test_id("toast-body").first).to_be_visible()
        expect(page.get_by_role("button", name=name)).to_be_enabled()
    free_queue(page)
    page.get_by_label("number input for Updates").fill("55.5")
    press(page, "Start training")
    expect(page.get_by_test_id("toast-body").filter(has_text="whole number").first).to_be_visible()
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "label", "half", "name"),
    [
        ("", "number input for Steps", "2.5", "Generate"),
        ("", "number input for Number of pictures", "2.5", "Generate"),
        ("trajectory", "number input for Steps", "2.5", "Watch"),
    ],
)
def test_half_a_number_is_a_sentence_and_no_dead_end(open_page, url, path, label, half, name):
    visit = open_page(f"{url}/{path}")
    page = visit.page
    if path == "":
        COME[path][1](page)
    page.get_by_label(label).fill(half)
    press(page, name)
    expect(page.get_by_test_id("toast-body").first).to_contain_text("whole number")
    expect(page.get_by_role("button", name=name, exact=True)).to_be_enabled()
    page.get_by_label(label).fill("2")
    press(page, name)
    expect(page.locator("#status")).not_to_contain_text("whole number")


@pytest.mark.slow
def test_a_prompt_that_is_too_long_is_said_and_not_cut(open_page, url):
    page = open_page(url).page
    for path, name in (("compare", "Compare"), ("trajectory", "Watch")):
        page.goto(f"{url}/{path}")
        page.get_by_label("Prompt").first.fill("a" * 201)
        press(page, name)
        expect(page.locator("#status")).to_contain_text("use at most 200")
        expect(page.get_by_role("button", name=name, exact=True)).to_be_enabled()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "steps", "count"),
    [
        ("steps=9", "4", "1"),
        ("steps=0", "1", "1"),
        ("steps=abc", "4", "1"),
        ("count=100&steps=1", "1", "8"),
    ],
)
def test_a_link_that_asks_for_too_much_gets_what_is_possible(open_page, url, query, steps, count):
    page = open_page(f"{url}/?prompt=cat&model=l2&seed=1&{query}").page
    expect(page.get_by_test_id("toast-body").first).to_contain_text("not possible here")
    expect(page.get_by_label("number input for Steps")).to_have_value(steps)
    expect(page.get_by_label("number input for Number of pictures")).to_have_value(count)
    expect(page.locator("#status")).to_contain_text("in")
    expect(page.locator("#status")).to_contain_text("seed")


@pytest.mark.slow
def test_a_vote_after_a_restart_says_to_compare_again(open_page, url):
    """The server has forgotten what the page shows."""
    page = open_page(f"{url}/compare?prompt=sunflower&seed=9").page
    expect(page.locator("#status")).to_contain_text("Seed 9")

    def forget(route) -> None:
        sent = json.loads(route.request.post_data)
        route.continue_(post_data=json.dumps(sent | {"session_hash": "anew" + sent["session_hash"][4:]}))

    page.route("**/queue/join*", forget)
    page.route("**/queue/data*", lambda route: route.continue_(url=renamed(route.request.url)))
    press(page, "Vote on this pair")
    expect(page.get_by_test_id("toast-body").first).to_contain_text("press Compare once more")
    expect(page.get_by_role("button", name="Vote on this pair")).to_be_enabled()


def renamed(url: str) -> str:
    head, _, session = url.partition("session_hash=")
    return f"{head}session_hash=anew{session[4:]}"
