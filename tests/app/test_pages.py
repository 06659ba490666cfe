"""Every page as a visitor meets it: main path, phone, colours, keyboard, no outside request, no fault for axe."""

import io
import json
import re
import sys
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Page, expect

from app.pages.compare.layout import SEED
from tests.app.test_after_errors import free_queue, full_queue

README = Path(__file__).parents[2] / "README.md"
PAGES = ("", "compare", "trajectory", "training", "results", "take-part", "about")
PHONE = {"width": 390, "height": 844}
NEAR = re.compile(r"^11[12](\.\d+)?px 5[56](\.\d+)?px$")  # of a quarter and an eighth of a picture of 448 pixels


def painted(page: Page, count: int = 1) -> None:
    expect(page.locator("#status")).to_contain_text("1 picture in" if count == 1 else f"{count} pictures in")


def prompt(page: Page):
    return page.get_by_label("Prompt").first


def first_file(page: Page) -> bytes:
    return page.request.get(page.locator("#pictures .grid-container img").first.get_attribute("src")).body()


@pytest.mark.slow
def test_every_page_fits_a_phone_and_has_no_serious_fault(open_page, url):
    visit = open_page(url, viewport=PHONE)
    for path in PAGES:
        visit.page.goto(f"{url}/{path}")
        expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
        if not path:
            painted(visit.page)
            expect(visit.page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
        if path == "results":  # Gradio's placeholder of a plot that is not there yet is a fault for axe
            for plot in ("#quality", "#variety"):
                expect(visit.page.locator(f"{plot} .main-svg").first).to_be_visible()
                expect(visit.page.locator(f"{plot} .modebar").first).to_be_hidden()  # it would lie on the title
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 390, path
        begins = visit.page.locator(".label-wrap").evaluate_all(
            "all => all.map(one => getComputedStyle(one).textAlign)"
        )
        assert set(begins) <= {"start"}, path
        visit.assert_accessible()
    visit.assert_clean()


WORDS_AND_ARROW = """arrow => {
    const words = arrow.previousElementSibling, style = getComputedStyle(words);
    return [words.getBoundingClientRect().right - parseFloat(style.paddingRight), arrow.getBoundingClientRect().left,
        style.textOverflow];
}"""


@pytest.mark.slow
def test_on_a_phone_the_words_of_a_list_end_before_its_arrow(open_page, url):
    page = open_page(f"{url}/trajectory", viewport=PHONE).page
    arrows = page.locator("input + .icon-wrap")
    expect(arrows).to_have_count(2)
    for arrow in arrows.all():
        words, begin, rest = arrow.evaluate(WORDS_AND_ARROW)
        assert words <= begin
        assert rest == "ellipsis"


@pytest.mark.slow
def test_every_page_is_as_wide_as_the_others(open_page, url):
    page = open_page(url, viewport={"width": 1280, "height": 844}).page
    widths = {}
    for path in PAGES:
        page.goto(f"{url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        widths[path] = page.locator(".gradio-container").bounding_box()["width"]
    assert set(widths.values()) == {1080}, widths


@pytest.mark.slow
@pytest.mark.parametrize(("width", "shape"), [(390, "tall"), (1280, "wide")])
def test_the_drawing_is_seen_whole(open_page, url, width, shape):
    page = open_page(f"{url}/about", viewport={"width": width, "height": 844}).page
    drawing = page.locator(f".figure.{shape}")
    expect(drawing).to_be_visible()
    expect(page.locator(".figure.wide:visible, .figure.tall:visible")).to_have_count(1)
    sides = drawing.evaluate(
        "d => [d, ...d.querySelectorAll('text')].map(e => e.getBoundingClientRect()).map(r => [r.left, r.right])"
    )
    assert all(0 <= left < right <= width for left, right in sides)


@pytest.mark.slow
def test_the_bar_leads_to_every_page(open_page, url):
    page = open_page(url).page
    for name in ("Compare", "Trajectory", "Training", "Results", "Study", "About", "Generate"):
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        expect(page.locator("nav a.active")).to_have_text(name)
        expect(page).to_have_title(f"{name} · E2ED² Studio")
    page.get_by_role("navigation").get_by_role("link", name="Study", exact=True).click()
    page.get_by_role("link", name="Begin").click()
    expect(page).to_have_url(re.compile("/study/"))


@pytest.mark.slow
def test_a_link_paints_the_same_bytes(open_page, url):
    visit = open_page(url)
    page = visit.page
    painted(page)  # the picture that greets a visitor
    prompt(page).fill("a cat & a dog, 100%")
    prompt(page).press("Enter")
    expect(page.locator("#address textarea, #address input")).to_have_value(re.compile("cat"))
    painted(page)
    address, picture = page.locator("#address textarea, #address input").input_value(), first_file(page)
    assert parse_qs(urlsplit(address).query)["prompt"] == ["a cat & a dog, 100%"]
    expect(page).to_have_url(address)  # so that reloading, and coming back, show these pictures
    other = open_page(address)
    painted(other.page)
    expect(prompt(other.page)).to_have_value("a cat & a dog, 100%")
    assert first_file(other.page) == picture
    visit.assert_clean()
    other.assert_clean()


@pytest.mark.slow
def test_a_link_that_asks_for_the_impossible_says_so(open_page, url):
    visit = open_page(f"{url}/?prompt=red+apple&model=nowhere&steps=77&seed=-3")
    expect(visit.page.get_by_test_id("toast-body").first).to_contain_text("model that is not here")
    expect(prompt(visit.page)).to_have_value("red apple")


@pytest.mark.slow
def test_no_link_has_a_page_ask_another_host(open_page, url):
    picture, unread = "![x](http://127.0.0.2:1/x.png)", "red apple " * 12
    visit = open_page(f"{url}/?model=l2&steps=1&seed=3&exactly=1&prompt={quote(unread + picture)}")
    expect(visit.page.locator("#status")).to_contain_text(f"{picture}” has no effect")
    asked = f"rows=models&row_values={quote(f'<img src=http://127.0.0.2:1/y.png> {picture}')}"
    visit.page.goto(f"{url}/compare?prompt=cat&seed=5&{asked}&columns=steps&column_values=1")
    for said in (visit.page.locator("#status"), visit.page.get_by_test_id("toast-body").first):
        expect(said).to_contain_text(f"There is no model “<img src=http://127.0.0.2:1/y.png> {picture}”")
    assert visit.outside == []


@pytest.mark.slow
def test_another_reading_repaints_from_the_same_noise_for_whoever_has_the_link(open_page, url):
    visit = open_page(f"{url}/?prompt=kitty&model=l2&steps=2&seed=3")
    page, address = visit.page, visit.page.locator("#address textarea, #address input")
    painted(page)
    expect(page.locator("#reading")).to_have_text("Read as: cat face, flat style.")
    first = first_file(page)
    page.locator("#others").get_by_role("button", name="cat", exact=True).click()
    expect(page.locator("#reading")).to_have_text("Read as: cat, flat style.")
    expect(address).to_have_value(re.compile("seed=3.*read_as=cat(&|$)"))
    painted(page)
    second = first_file(page)
    assert second != first
    other = open_page(address.input_value()).page
    painted(other)
    expect(other.locator("#reading")).to_have_text("Read as: cat, flat style.")
    assert first_file(other) == second
    page.locator("#past .use").nth(1).click()  # the older one comes back as it was read
    expect(page.locator("#reading")).to_have_text("Read as: cat face, flat style.")
    painted(page)
    assert first_file(page) == first
    visit.assert_clean()


@pytest.mark.slow
def test_ones_own_words_and_styles_are_obeyed(open_page, url):
    page = open_page(f"{url}/?prompt=kitty&model=l2&steps=1&seed=3").page
    painted(page)
    page.get_by_label("noto", exact=True).check()
    expect(page.locator("#reading")).to_have_text("Read as: cat face, noto style.")
    page.get_by_label("Exactly my words").check()
    expect(page.get_by_label("noto", exact=True)).to_be_disabled()
    expect(page.locator("#address textarea, #address input")).to_have_value(re.compile("exactly=1"))
    painted(page)
    expect(page.locator("#reading")).to_be_empty()
    assert Image.open(io.BytesIO(first_file(page))).info["caption"] == ""


@pytest.mark.slow
@pytest.mark.parametrize("path", ["compare", "trajectory"])
def test_one_reading_for_all_models_unless_told_otherwise(open_page, url, path):
    page = open_page(f"{url}/{path}").page
    page.get_by_label("Prompt").first.fill("kitty")
    page.get_by_role("button", name={"compare": "Compare", "trajectory": "Watch"}[path], exact=True).click()
    expect(page.locator("#status")).to_contain_text("Read as: cat face, flat style.")
    page.get_by_label("Exactly my words").check()
    page.get_by_role("button", name={"compare": "Compare", "trajectory": "Watch"}[path], exact=True).click()
    expect(page.locator("#status")).not_to_contain_text("Read as")
    expect(page.get_by_role("button", name={"compare": "Compare", "trajectory": "Watch"}[path])).to_be_enabled()
    expect(page.locator("#status")).not_to_contain_text("Read as")


@pytest.mark.slow
def test_all_pictures_in_one_zip(url):
    *_, file, _ = Client(url, verbose=False).predict("red apple", "l2", 2, 7, False, 3, api_name="/generate")
    with zipfile.ZipFile(file) as archive:
        *names, manifest = archive.namelist()
        assert names == [f"red-apple_l2_2-steps_seed-{seed}.png" for seed in (7, 8, 9)]
        assert [one["seed"] for one in json.loads(archive.read(manifest))] == [7, 8, 9]
    assert file.endswith("red-apple_3-pictures.zip")
    with zipfile.ZipFile(file) as archive:
        assert Image.open(io.BytesIO(archive.read(archive.namelist()[0]))).info["seed"] == "7"


def test_a_visitor_may_keep_the_settings_out_of_the_file(url):
    *_, file, _ = Client(url, verbose=False).predict("red apple", "l2", 2, 7, False, 1, False, api_name="/generate")
    assert Image.open(file).info == {}


def test_compare_two_models_by_the_keyboard(open_page, url):
    """And once more after the server has refused it."""
    visit = open_page(f"{url}/compare")
    page, first = visit.page, visit.page.locator("#grid img").first
    expect(page.locator("#status")).to_contain_text("the time is of one picture")
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    full_queue(page)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_test_id("toast-body").first).to_be_visible()
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("try again")
    free_queue(page)
    visit.complaints.clear()  # the browser's own, about the answer 503
    opening = str(first.get_attribute("src"))
    prompt(page).fill("red apple, noto style")
    prompt(page).press("Enter")
    expect(first).not_to_have_attribute("src", opening)
    expect(page.locator("#status")).to_contain_text("the time is of one picture")
    expect(page.locator("#grid img")).to_have_count(2 * 4 + 6)  # both models at every number of steps; six artists
    expect(page.locator("#grid")).to_contain_text(re.compile(r"\d\.\d\d s"))
    slider = page.get_by_label("How much of the left picture is seen")
    slider.press("ArrowRight")
    expect(slider).to_have_value("51")
    shown = page.locator("#slider .over")
    expect(shown).to_have_css("clip-path", "inset(0px 0px 0px 51%)")
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    for name in ("l2, 2 steps", "l2-lpips, 3 steps"):  # the two pressed last are under the slider
        page.get_by_role("button", name=name).press("Enter")
        expect(page.locator("#slider img").last).to_have_attribute("alt", name)
    expect(page.locator("#slider img").first).to_have_attribute("alt", "l2, 2 steps")
    expect(slider).to_have_value("51")
    expect(shown).to_have_css("clip-path", "inset(0px 0px 0px 51%)")  # as the slider says, with other pictures too
    expect(page.locator("#grid [aria-pressed=true] img")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="As a web page").click()
    html = download.value.path().read_text()
    assert html.count("data:image/png") == 14
    assert "<button" not in html
    assert f"Seed {SEED}" in html
    visit.assert_clean()


@pytest.mark.slow
def test_a_vote_on_this_very_pair_and_the_way_back(open_page, url):
    visit = open_page(f"{url}/compare?prompt=sunflower&seed=9")  # the address asks for the grid
    page = visit.page
    expect(page.locator("#status")).to_contain_text("Seed 9")
    page.get_by_role("button", name="Vote on this pair").click()
    expect(page).to_have_url(re.compile("/study/r/"))
    expect(page.get_by_role("heading", name="sunflower")).to_be_visible()
    assert not re.search(r"l2,|l2-lpips|\d step", page.content())  # a random token may well contain "l2"
    for number in range(3):
        page.get_by_role("radio", name="Tie").nth(number).click()
    expect(page.get_by_text("l2, 4 steps")).to_be_visible()
    expect(page.get_by_text("l2-lpips, 4 steps")).to_be_visible()
    visit.assert_accessible()
    page.get_by_role("link", name="Back to the comparison").click()
    expect(page.locator("#status")).to_contain_text("Seed 9")
    expect(prompt(page)).to_have_value("sunflower")
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    visit.assert_accessible()
    page.get_by_label("Right").click()
    page.get_by_role("option", name="l2, 4 steps").click()
    page.get_by_role("button", name="Vote on this pair").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Choose two pictures")
    expect(page.get_by_role("button", name="Vote on this pair")).to_be_enabled()
    expect(page.get_by_role("button", name="As a manifest")).to_be_enabled()  # nothing is under way any more
    page.goto(f"{url}/results")
    expect(page.locator("#chosen")).to_contain_text("l2-lpips, 4 steps")
    visit.assert_clean()


@pytest.mark.slow
def test_any_two_things_by_a_link_and_a_blind_vote(open_page, url):
    visit = open_page(
        f"{url}/compare?prompt=cat&model=l2&steps=1&rows=seeds&row_values=7,8&columns=models&column_values=l2",
        has_touch=True,
    )
    page = visit.page
    expect(page.locator("#status")).to_contain_text("the time is of one picture")
    expect(page.locator("#grid tbody", has_text="seed 8").locator("img")).to_have_count(1)
    expect(page.get_by_role("tab", name="Any two things")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("button", name="Compare these")).to_be_enabled()
    expect(page).to_have_url(re.compile("rows=seeds&row_values=7%2C8"))
    page.get_by_label("Difference").check()
    expect(page.locator("#slider .over")).to_have_css("mix-blend-mode", "difference")
    page.get_by_label("Zoom").fill("6")
    page.locator(".slide").tap(position={"x": 112, "y": 56})
    for picture in page.locator("#slider .both img").all():  # both at the place that was tapped
        expect(picture).to_have_css("transform", "matrix(6, 0, 0, 6, 0, 0)")
        expect(picture).to_have_css("transform-origin", NEAR)
    page.get_by_label("Slider", exact=True).check()
    page.locator(".slide .at").tap()  # at its middle, whose height is not chosen with it
    expect(picture).to_have_css("transform-origin", NEAR)
    page.get_by_role("button", name="Vote on this pair").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("different models or numbers of steps")
    page.get_by_role("tab", name="Models and steps").click()
    page.get_by_role("button", name="Vote blind").click()
    expect(page).to_have_url(re.compile("/study/r/"))
    for number in range(3):
        page.get_by_role("radio", name="Tie").nth(number).click()
    expect(page.get_by_text("l2-lpips, 4 steps")).to_be_visible()
    page.get_by_role("link", name="Back to the comparison").click()
    expect(page).to_have_url(re.compile("models="))


@pytest.mark.slow
def test_a_trajectory_of_two_models_seeds_and_captions_between(open_page, url):
    visit = open_page(f"{url}/trajectory")
    page = visit.page
    expect(page.locator("#trajectory img")).to_have_count(2 * 2 * 4)  # something to look at
    prompt(page).fill("kitty")
    prompt(page).press("Enter")
    expect(page.locator("#status")).to_contain_text("Read as: cat face, flat style.")
    expect(page.locator("#trajectory img")).to_have_count(2 * 2 * 4)
    expect(page.locator("#trajectory")).to_contain_text("75% noise")
    page.get_by_role("button", name="Try 8 seeds").click()
    expect(page.get_by_text("seed 11")).to_be_visible()
    page.get_by_role("button", name="Go from one to the other").click()
    expect(page.get_by_text("83% of the way")).to_be_visible()
    expect(page.get_by_role("button", name="Go from one to the other")).to_be_enabled()
    visit.assert_clean()
    visit.assert_accessible()


@pytest.mark.slow
def test_a_model_of_two_steps_on_every_page(open_page, serve_app, with_independent):
    url = serve_app(with_independent)
    visit = open_page(f"{url}/?model=independent&seed=7")
    page = visit.page
    painted(page)
    expect(page.get_by_label("number input for Steps")).to_have_value("2")
    expect(page.get_by_label("number input for Steps")).to_be_disabled()
    page.get_by_label("More models").check()
    page.get_by_label("l2: squared error", exact=True).check()
    expect(page.get_by_label("number input for Steps")).to_be_enabled()
    page.goto(f"{url}/compare?prompt=sunflower")
    expect(page.locator("#status")).to_contain_text("the time is of one picture")
    expect(page.locator("#grid tbody", has_text="independent").get_by_text("2 steps only")).to_have_count(3)
    page.goto(f"{url}/trajectory")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="independent").click()
    expect(page.get_by_label("number input for Steps")).to_have_value("2")
    expect(page.get_by_text("independent was made for 2 steps only.")).to_be_visible()
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#trajectory img")).to_have_count(2 * 2 * 2)
    visit.assert_clean()


@pytest.mark.slow
def test_the_ends_between_two_prompts_are_their_own_pictures(url):
    client = Client(url, verbose=False)
    between, _ = client.predict("red apple", "l2", 2, 7, "sunflower", api_name="/between")
    for prompt, entry in (("red apple", between[0]), ("sunflower", between[-1])):
        *_, file, _ = client.predict(prompt, "l2", 2, 7, False, 1, api_name="/generate")
        assert Image.open(entry["image"]).tobytes() == Image.open(file).tobytes()


@pytest.mark.slow
def test_two_visitors_at_once_each_get_their_own(open_page, url):
    pages = [open_page(f"{url}/?prompt={word}&model=l2&steps=4&seed=3&count=4").page for word in ("cat", "rocket")]
    for page in pages:
        painted(page, 4)
    first, second = (first_file(page) for page in pages)
    assert Image.open(io.BytesIO(first)).info["prompt"] == "cat"
    assert Image.open(io.BytesIO(second)).info["prompt"] == "rocket"


@pytest.mark.slow
def test_stop_leaves_what_is_there(open_page, url, gate):
    page = open_page(url).page
    painted(page)
    gate.clear()
    field = page.get_by_label("number input for Number of pictures")
    field.fill("8")
    field.blur()
    expect(page.locator("#strip")).to_be_visible()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#strip")).to_be_hidden()  # it is of the picture before
    page.get_by_role("button", name="Stop", exact=True).click()
    gate.set()
    expect(page.locator("#status")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()


@pytest.mark.slow
def test_the_pages_come_back_after_a_kill(start_app, checkpoints, open_page, tmp_path):
    port = str(httpx.URL(start_app(E2ED2_CHECKPOINTS=str(checkpoints))).port)
    page = open_page(f"http://127.0.0.1:{port}").page
    painted(page)
    start_app.kill()
    page.goto("about:blank")  # or the open page loads itself anew as soon as it finds the server, in the middle of this
    url = start_app(E2ED2_CHECKPOINTS=str(checkpoints), PORT=port)
    page.goto(url)
    painted(page)
    expect(page.get_by_role("heading", name="Your pictures")).to_be_visible()


@pytest.mark.slow
def test_the_readme_s_examples_run(url):
    block = next(one for one in README.read_text().split("```python\n") if one.startswith("from gradio_client"))
    code = block.partition("```")[0].replace("http://127.0.0.1:7860", url)
    found: dict = {}
    exec(code, found)
    assert found["seed"] == 7
    assert len(found["pictures"]) == 7
    assert found["html"].endswith(".html")


@pytest.mark.slow
def test_a_training_from_the_page_appears_in_generate(start_app, checkpoints, open_page, tmp_path):
    for number in range(12):
        Image.new("RGB", (32, 32), (200, 20 * number, 0)).save(tmp_path / f"red-square_{number}.png")
    url = start_app(E2ED2_CHECKPOINTS=str(checkpoints))
    visit = open_page(f"{url}/training")
    page = visit.page
    page.get_by_role("button", name="Use pictures of your own").click()
    page.locator("input[type=file]").first.set_input_files(sorted(tmp_path.glob("*.png")))
    expect(page.get_by_text("red-square_11")).to_be_visible()
    expect(page.locator("#captions img:visible").first).to_be_visible()
    box, head = (page.locator(f"#captions {one}:visible").first.bounding_box() for one in ("img", "th"))
    assert box["width"] == box["height"] == 40
    assert head["height"] < 60
    page.get_by_label("number input for Updates").fill("10")
    page.get_by_label("number input for Updates").blur()
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#training-status")).to_contain_text("is finished", timeout=240_000)
    page.get_by_role("link", name="Generate with it").click()
    expect(page.get_by_label("own/l2-lpips-l2-lpips-1")).to_be_checked()
    expect(page.get_by_role("button", name="red square")).to_be_visible()  # examples of what it learned from
    prompt(page).fill("red square")
    prompt(page).press("Enter")
    expect(page.locator("#address textarea, #address input")).to_have_value(re.compile("own%2F"))
    painted(page)
    visit.assert_clean()


@pytest.mark.slow
def test_a_training_on_the_bundled_drawings_shows_pictures_and_embeds_no_more_than_it_needs(
    start_app, checkpoints, open_page, tmp_path
):
    runs = tmp_path / "runs"
    visit = open_page(f"{start_app(E2ED2_CHECKPOINTS=str(checkpoints), E2ED2_RUNS=str(runs))}/training")
    page = visit.page
    page.get_by_label("number input for Updates").fill("10")
    page.get_by_label("number input for Updates").blur()
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#latest img")).to_be_visible(timeout=240_000)
    expect(page.locator("#training-status")).to_contain_text("is finished", timeout=240_000)
    page.get_by_role("link", name="Generate with it").click()
    expect(page.get_by_label("own/l2-lpips-l2-lpips-1")).to_be_checked()
    painted(page)
    assert "embedding captions" not in next(runs.glob("own/*/log.txt")).read_text()
    visit.assert_clean()


@pytest.mark.slow
def test_a_training_stops_and_goes_on_also_after_a_kill(start_app, checkpoints, tmp_path):
    for number in range(12):
        Image.new("RGB", (32, 32), (200, 20 * number, 0)).save(tmp_path / f"red-square_{number}.png")
    runs = tmp_path / "runs"
    files = [{"path": str(path), "meta": {"_type": "gradio.FileData"}} for path in sorted(tmp_path.glob("*.png"))]
    client = Client(start_app(E2ED2_CHECKPOINTS=str(checkpoints), E2ED2_RUNS=str(runs)), verbose=False)
    said, *_ = client.predict("l2", "l2", 300, files, api_name="/train")
    assert "getting ready" in said
    start_app.kill()
    client = Client(start_app(E2ED2_CHECKPOINTS=str(checkpoints), E2ED2_RUNS=str(runs)), verbose=False)
    with pytest.raises(AppError, match="is going on"):  # the training outlived the server, which found it again
        client.predict("l2", "l2", 10, files, api_name="/train")
    said, *_ = client.predict(api_name="/stop_training")
    assert "Stopping after this update" in said


@pytest.mark.slow
def test_reload_mode_serves_the_whole_site(start_app, checkpoints, open_page):
    code = "import sys; from gradio.cli.commands.reload import run; sys.argv[0] = 'gradio'; run()"
    secret = "a-secret-of-the-tests"
    where = {"E2ED2_CHECKPOINTS": str(checkpoints), "PORT": "7899", "E2ED2_ADMIN_SECRET": secret}
    url = start_app(sys.executable, "-c", code, **where)
    assert httpx.get(f"{url}/healthz", timeout=300).json() == {"status": "ok"}
    visit = open_page(f"{url}/take-part")
    visit.page.get_by_role("link", name="Begin").click()
    expect(visit.page.get_by_role("button", name="I agree and take part")).to_be_visible()
    visit.page.goto(f"{url}/admin")
    visit.page.get_by_label("Secret").fill(secret)
    visit.page.get_by_role("button", name="Sign in").click()
    expect(visit.page.locator(".study")).to_contain_text("bundled-models")
    assert visit.outside == []
