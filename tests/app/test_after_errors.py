"""After any error, on every page, the button can be pressed again and does what it says."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.test_admin_pages import sign_in

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


def choose(page: Page, label: str, name: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=name, exact=True).click()


@pytest.mark.slow
def test_what_is_chosen_on_results_is_drawn_after_a_choice_that_failed(open_page, url):
    page = open_page(f"{url}/results").page
    expect(page.locator("#quality .main-svg").first).to_be_visible()
    page.route("**/run/**", lambda route: route.fulfill(status=500, body="{}"))
    with page.expect_response(lambda response: response.status == 500):
        choose(page, "Figure", "right thing, five guesses")
    expect(page.locator("#table .note")).to_contain_text("right thing, first guess")
    expect(page.locator("#failed")).to_contain_text("choose again")
    model = page.locator("#table thead th").first
    model.get_by_role("button").click()
    expect(model).to_have_attribute("aria-sort", "ascending")
    page.unroute("**/run/**")
    choose(page, "Asked for", "training captions")
    expect(page.locator("#table .note")).to_contain_text("right thing, five guesses")
    expect(page.locator("#failed")).not_to_contain_text("choose again")
    with page.expect_download() as download:
        page.get_by_role("button", name="Everything that was measured, as CSV").click()
    assert download.value.suggested_filename == "results.csv"


@pytest.mark.slow
def test_a_full_queue_leaves_every_button_of_the_organiser_usable(open_page, url):
    page = open_page(f"{url}/admin").page
    sign_in(page)
    expect(page.locator(".study")).to_be_visible()
    below = {  # a study's parts, and their buttons
        "Personal invitations": ["Make links"],
        "People: who took part, release, withdraw": ["Show them", "Give the open pairs to others"],
        "Change contact, addresses, room while it runs": ["Change"],
        "Amend: a new version of it": ["Make the new version"],
        "Rehearse and certify": ["Rehearse it", "Certify it"],
        "Verify the votes": ["Verify"],
        "How well do metrics predict these votes?": ["Compare"],
    }
    for part in below:
        page.get_by_role("button", name=part).click()
    full_queue(page)
    for name in ["Close this study …", *(name for names in below.values() for name in names)]:
        refused(page, name)
    page.get_by_role("tab", name="New study").click()
    for name in ("What will it find?", "Create the study"):
        refused(page, name)
    free_queue(page)
    press(page, "What will it find?")
    expect(page.locator("#made")).to_contain_text("60%")
    press(page, "Create the study")
    expect(page.locator("#made")).to_contain_text("name")  # it has none yet: one sentence more, and the button is there
    expect(page.get_by_role("button", name="Create the study")).to_be_enabled()
    page.get_by_role("tab", name="Studies").click()
    press(page, "Verify")
    expect(page.locator("#verified")).not_to_be_empty()
    page.get_by_label("People").fill("ann")
    press(page, "Make links")
    expect(page.locator("#links textarea")).to_have_value(re.compile("^ann http"))
    press(page, "Show them")
    expect(page.locator("#people")).to_be_visible()
    press(page, "Close this study …")
    press(page, "Keep it open")
    expect(page.get_by_role("button", name="Close this study …")).to_be_visible()


def refused(page: Page, name: str) -> None:
    """The button says that it did not work, and can be pressed again."""
    with page.expect_response(lambda response: "queue/join" in response.url and response.status == 503):
        button = press(page, name)
    expect(page.get_by_test_id("toast-body").first).to_be_visible()
    button.click(trial=True)  # in time it is to be seen, enabled, and below nothing else
