"""The Generate page as a visitor meets it, in a real browser; and the program that serves it."""

import re
import runpy
import subprocess
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from fastapi.testclient import TestClient
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from app.engine import catalogue
from app.look.handlers import Updates
from app.pages.generate import again
from app.pages.generate.history import entries
from app.pages.generate.painting import Painting
from app.server import Server
from app.settings import settings_or_exit
from app.studies.ready import Studies
from tests.app.conftest import SECRET
from tests.app.test_after_errors import free_queue, full_queue, press

ROOT = Path(__file__).parents[2]


def pictures(page: Page):
    return page.locator("#pictures .grid-container img")


def pixels(file: bytes) -> bytes:
    return Image.open(BytesIO(file)).tobytes()


def set_count(page: Page, count: int) -> None:
    field = page.get_by_label("number input for Number of pictures")
    field.fill(str(count))
    field.blur()


def file_of(page: Page, picture: Locator) -> bytes:
    return page.request.get(urljoin(page.url, picture.get_attribute("src"))).body()


def first_file(page: Page) -> bytes:
    return file_of(page, pictures(page).first)


def test_enter_paints_pictures_and_another_reading_repaints_them_from_the_same_noise(open_page, url):
    """And the button paints after the server has refused it."""
    visit = open_page(url)
    page, address = visit.page, visit.page.locator("#address textarea, #address input")
    expect(page.locator("#status")).to_contain_text("1 picture in")  # the one that welcomes
    expect(page.locator("#strip td")).to_have_text(["step 1", "step 2", "step 3", "step 4"])
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    full_queue(page)
    press(page, "Generate")
    expect(page.get_by_test_id("toast-body").first).to_be_visible()
    expect(page.locator("#status")).to_contain_text("try again")
    free_queue(page)
    visit.complaints.clear()  # the browser's own, about the answer 503
    page.get_by_label("Prompt").fill("red apple")
    set_count(page, 2)
    press(page, "Generate")
    expect(page.locator("#status")).to_contain_text(re.compile(r"2 pictures in [\d.]+ s, seeds \d+, \d+\."))
    expect(pictures(page)).to_have_count(2)
    expect(page.locator("#strip")).to_be_hidden()
    seed = page.get_by_label("Seed", exact=True).input_value()
    expect(page.locator("#status")).to_contain_text(f"seeds {seed}, {int(seed) + 1}.")
    expect(page.locator("#pictures")).to_contain_text(f"seed {seed}")
    expect(pictures(page).first).to_have_js_property("naturalWidth", 128)
    expect(pictures(page).first).to_have_attribute("src", re.compile(r"\.png$"))
    page.get_by_label("Prompt").fill("kitty")
    page.get_by_label("Seed", exact=True).fill("3")
    set_count(page, 1)
    page.get_by_label("Prompt").press("Enter")
    expect(page.locator("#status")).to_contain_text(re.compile("1 picture in .* seed 3"))
    expect(page.locator("#reading")).to_have_text("Read as: cat face, flat style.")
    first = first_file(page)
    page.locator("#others").get_by_role("button", name="cat", exact=True).click()
    expect(page.locator("#reading")).to_have_text("Read as: cat, flat style.")
    expect(address).to_have_value(re.compile("seed=3.*read_as=cat(&|$)"))
    expect(page).to_have_url(address.input_value())  # so that reloading, and coming back, show these pictures
    expect(page.locator("#status")).to_contain_text("1 picture in")
    assert first_file(page) != first
    expect(page.locator("#strip img").last).to_be_visible()
    assert pixels(file_of(page, page.locator("#strip img").last)) == pixels(first_file(page))
    page.get_by_role("button", name="Make again: cat face, flat style, seed 3", exact=True).click()
    expect(page.locator("#reading")).to_have_text("Read as: cat face, flat style.")
    expect(page.locator("#status")).to_contain_text("1 picture in")
    assert first_file(page) == first
    visit.assert_clean()


@pytest.mark.slow
def test_a_typed_seed_is_used(open_page, url):
    page = open_page(url).page
    page.get_by_label("Seed", exact=True).fill("7")
    expect(page.get_by_label("New random seed each time")).not_to_be_checked()
    set_count(page, 1)
    page.get_by_label("Prompt").fill("red apple")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#status")).to_contain_text(re.compile("1 picture in .* seed 7"))
    expect(page.get_by_label("Seed", exact=True)).to_have_value("7")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [("", "The prompt is empty"), ("a" * 201, "use at most 200")],
)
def test_a_prompt_that_cannot_be_painted_warns_and_stays(open_page, url, prompt, sentence):
    visit = open_page(url)
    visit.page.get_by_label("Prompt").fill(prompt)
    visit.page.get_by_label("Prompt").press("Enter")
    expect(visit.page.get_by_test_id("toast-body")).to_contain_text(sentence)
    expect(visit.page.get_by_label("Prompt")).to_have_value(prompt)
    expect(visit.page.get_by_role("button", name="Generate")).to_be_visible()
    visit.assert_clean()


@pytest.mark.slow
def test_what_is_chosen_is_painted_at_once(open_page, url):
    """Examples, things of the palette and emoji from new noise; styles, also over the prompt's own, from the same."""
    visit = open_page(f"{url}/?prompt=kitty,+openmoji+style&model=l2&steps=1&seed=3")
    page = visit.page
    expect(page.locator("#reading")).to_have_text("Read as: cat face, openmoji style.")
    page.get_by_label("noto", exact=True).check()
    expect(page.locator("#reading")).to_have_text("Read as: cat face, noto style.")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("kitty")
    expect(page).to_have_url(re.compile("seed=3.*style=noto"))
    page.get_by_role("button", name="rocket").click()
    expect(page.locator("#reading")).to_have_text("Read as: rocket, noto style.")
    page.get_by_role("button", name="Choose from everything").click()
    page.get_by_label("Search what the models know").fill("fruit tropical")
    expect(page.locator("#palette button:visible").first).to_be_visible()
    page.locator('#palette button[value="pineapple"]').click()
    expect(page.locator("#reading")).to_have_text("Read as: pineapple, noto style.")
    page.get_by_label("Prompt", exact=True).fill("🐙")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#reading")).to_have_text("Read as: octopus, noto style.")
    page.get_by_role("button", name="More like this").click()
    expect(page.locator("#status")).to_contain_text("4 pictures in")
    expect(page.locator("#reading")).to_have_text("Read as: octopus, noto style.")
    page.locator("#style").get_by_label("mixed").check()
    expect(page.locator("#reading")).to_have_text("Read as: octopus, in several styles.")
    visit.assert_clean()


@pytest.mark.slow
def test_keys_pressed_while_pictures_come_are_heeded_after_them(open_page, url):
    page = open_page(f"{url}/?prompt=rocket&model=l2&steps=4&seed=3&count=8").page
    expect(page.locator("#reading")).to_contain_text("rocket")
    expect(page.locator("#go")).to_be_hidden()
    page.get_by_label("Prompt", exact=True).fill("pineapple")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#reading")).to_contain_text("pineapple")


@pytest.mark.slow
def test_from_a_picture_to_what_other_pages_show_of_it(open_page, url):
    visit = open_page(f"{url}/?prompt=kitty&model=l2-lpips&steps=3&seed=3&style=noto")
    page = visit.page
    expect(page.get_by_role("link", name="Compare the models")).to_have_attribute(
        "href", re.compile(r"/compare\?prompt=cat\+face%2C\+noto\+style&seed=3$")
    )
    page.get_by_role("link", name="See its steps").click()
    expect(page.locator("#trajectory")).to_contain_text("step 3: 33% noise")
    expect(page.locator("#trajectory")).to_contain_text("l2-lpips makes of it")
    expect(page.locator("#status")).to_have_text("Read as: cat face, noto style.")
    expect(page.get_by_label("Seed")).to_have_value("3")
    page.get_by_label("Prompt", exact=True).fill("rocket")
    page.get_by_label("Prompt", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("prompt=rocket&model=l2-lpips"))
    page.reload()
    expect(page.locator("#status")).to_have_text("Read as: rocket, flat style.")
    visit.assert_clean()


DROP = """async (name) => {
    const carried = new DataTransfer();
    carried.items.add(new File(["whale\\nrocket"], name, { type: "text/plain" }));
    const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: carried });
    document.querySelector("#pictures").dispatchEvent(event);
    return event.defaultPrevented;
}"""


@pytest.mark.slow
def test_a_dropped_list_is_taken_and_no_dropped_file_takes_the_page_away(open_page, url):
    visit = open_page(url)
    page = visit.page
    expect(page.locator("#status")).to_contain_text("1 picture in")
    assert page.evaluate(DROP, "prompts.txt")
    expect(page.get_by_label("Prompts, one a line")).to_have_value("whale\nrocket")
    page.get_by_role("button", name="Generate the list").click()
    expect(page.get_by_label("Prompts, one a line")).to_be_hidden()  # the pictures are seen instead
    expect(page.locator("#status")).to_contain_text("2 pictures in")
    expect(page.locator("#others")).to_be_hidden()
    assert page.evaluate(DROP, "letter.pdf")
    expect(page.get_by_test_id("toast-body").first).to_contain_text("does not say how it was made")
    visit.assert_clean()


@pytest.mark.slow
def test_ones_own_pictures(open_page, url, tmp_path):
    """Kept, in all tabs; chosen again, gone between, deleted, downloaded; and a file of ours opened."""
    visit = open_page(f"{url}/?prompt=sunflower&model=l2&steps=2&seed=5&count=2")
    page, tiles = visit.page, visit.page.locator("#past figure")
    expect(page.get_by_role("button", name="Download all")).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("2 pictures in")
    expect(tiles).to_have_count(2)
    other = page.context.new_page()
    other.goto(f"{url}/?prompt=rocket&model=l2&steps=2&seed=6")
    expect(tiles).to_have_count(3)
    with other.expect_download() as download:
        expect(other.get_by_role("button", name="Download", exact=True)).to_be_enabled()
        other.get_by_role("button", name="Download", exact=True).click()
    page.get_by_role("button", name="Delete: rocket").click()
    expect(other.locator("#past figure")).to_have_count(2)
    page.reload()
    expect(page.locator("#status")).to_contain_text("2 pictures in")
    expect(tiles).to_have_count(2)
    for number in range(2):
        tiles.nth(number).get_by_role("button", name="One of two").click()
    page.get_by_role("button", name="Between these two").click()
    expect(page.locator("#pictures")).to_contain_text("83% of the way")
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()  # where the pictures are
    for number in range(2):
        delete, tile = (tiles.nth(number).locator(one).bounding_box() for one in (".acts button:last-child", ".use"))
        assert delete["x"] + delete["width"] <= tile["x"] + tile["width"] + 1
    page.set_input_files("#past .open", download.value.path())
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("rocket")
    expect(page).to_have_url(re.compile("prompt=rocket.*seed=6"))
    expect(tiles).to_have_count(3)
    with page.expect_download() as zipped:
        page.get_by_role("button", name="Download all").click()
    with zipfile.ZipFile(zipped.value.path()) as archive:
        assert len(archive.namelist()) == 4
    page.set_input_files("#past .open", Path(__file__))
    expect(page.get_by_test_id("toast-body").first).to_contain_text("does not say how it was made")
    visit.assert_clean()


@pytest.mark.slow
def test_a_list_of_prompts_goes_on_after_a_reload(open_page, url, gate, monkeypatch):
    taken = threading.Event()  # pictures come faster than they are taken
    taken.set()
    monkeypatch.setattr(again, "entries", lambda made: taken.wait(60) and entries(made))
    page = open_page(url).page
    expect(page.locator("#status")).to_contain_text("1 picture in")
    page.get_by_role("button", name="A list of prompts").click()
    page.get_by_label("Prompts, one a line").fill("cat\ndog\nwhale")
    gate.clear()
    page.get_by_role("button", name="Generate the list").click()
    expect(page.locator("#status")).to_contain_text("picture 1 of 3")
    page.reload()
    gate.set()
    expect(page.get_by_label("Prompts, one a line")).to_have_value("cat\ndog\nwhale")
    taken.clear()
    page.get_by_role("button", name="Go on: 3 prompts left").click()
    expect(page.locator("#status")).to_contain_text("3 pictures in")
    taken.set()
    page.get_by_role("button", name="A list of prompts").click()
    expect(page.get_by_role("button", name="Generate the list")).to_be_visible()
    expect(page.locator("#past figure")).to_have_count(3)


@pytest.mark.slow
def test_a_second_request_ends_the_first(open_page, url, gate):
    page = open_page(url).page
    expect(page.locator("#status")).to_contain_text("1 picture in")
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    gate.clear()
    set_count(page, 8)
    page.get_by_label("Prompt").fill("pizza")
    page.get_by_label("Prompt").press("Enter")
    expect(page.locator("#status")).to_contain_text("picture 1 of 8")
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_disabled()  # its file is of the run before
    page.get_by_label("Prompt").fill("robot")
    page.get_by_label("Prompt").press("Enter")
    gate.set()
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("8 pictures in")
    expect(page.locator("#address textarea, #address input")).to_have_value(re.compile("prompt=robot"))
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert all(name.startswith("robot") for name in archive.namelist()[:-1])


@pytest.mark.slow
def test_what_is_said_late_of_the_run_before_takes_no_stop_away(open_page, url, monkeypatch):
    made, told, late = threading.Semaphore(1), threading.Event(), threading.Event()
    sample_image, ways = catalogue.sample_image, Painting.ways

    def tell_late(*given: object) -> Updates:
        told.set()
        assert late.wait(60)
        return ways(*given)

    monkeypatch.setattr(catalogue, "sample_image", lambda *given: made.acquire(timeout=60) and sample_image(*given))
    monkeypatch.setattr(Painting, "ways", tell_late)
    page = open_page(url).page
    stop, strip = page.get_by_role("button", name="Stop", exact=True), page.locator("#strip")
    assert told.wait(60)  # the first picture is there, and nothing is under way
    set_count(page, 2)
    page.get_by_label("Prompt").press("Enter")
    expect(page.locator("#status")).to_contain_text("picture 1 of 2")
    late.set()
    expect(stop).to_be_hidden()
    made.release()
    expect(page.locator("#status")).to_contain_text("picture 2 of 2")
    expect(stop).to_be_visible()
    expect(strip).to_be_hidden()
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_disabled()
    made.release()
    expect(page.locator("#status")).to_contain_text("2 pictures in")
    expect(stop).to_be_hidden()
    expect(strip).to_be_hidden()


@pytest.mark.slow
def test_each_style_has_room_for_its_drawing(open_page, url):
    page = open_page(url).page
    for width in (360, 390, 700, 800, 1000, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        inside = "all => all.every((it) => it.scrollWidth <= it.clientWidth)"
        assert page.locator("#style label").evaluate_all(inside), width


@pytest.mark.slow
def test_a_phone_shows_the_whole_width(open_page, url):
    page = open_page(url, viewport={"width": 390, "height": 844}).page
    page.get_by_label("Prompt").fill("red apple")
    page.get_by_label("Prompt").press("Enter")
    expect(page.locator("#status")).to_contain_text("1 picture in")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.get_by_role("button", name="Generate")).to_be_in_viewport()


@pytest.mark.slow
def test_without_models_the_page_says_how_to_train_one(open_page, serve_app, tmp_path):
    visit = open_page(serve_app(tmp_path))
    expect(visit.page.locator("#status")).to_contain_text("python -m e2ed2 train")
    visit.page.get_by_label("Prompt").fill("red apple")
    visit.page.get_by_label("Prompt").press("Enter")
    expect(visit.page.get_by_test_id("toast-body")).to_contain_text("python -m e2ed2 train")
    visit.assert_clean()


@pytest.fixture(scope="module")
def client(url, tmp_path_factory) -> Client:
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_the_same_seed_gives_the_same_bytes(client):
    def paint(seed: int, count: int) -> list[Path]:
        words = {"style": "flat", "api_name": "/generate"}
        shown, _, used, *_ = client.predict("red apple", "l2", 2, seed, False, count, **words)
        assert used == seed
        return [Path(entry["image"]) for entry in shown]

    first, second = paint(7, 2)
    assert paint(8, 1)[0].read_bytes() == second.read_bytes() != first.read_bytes()
    with Image.open(first) as image:
        assert (image.size, image.mode) == ((128, 128), "RGB")
        settings = {"prompt": "red apple", "caption": "red apple, flat style"}
        assert image.info == settings | {"model": "l2", "steps": "2", "seed": "7"}


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        ({"steps": 9}, "steps must be a whole number from 1 to 4."),
        ({"steps": "many"}, "steps must be a whole number from 1 to 4."),
        ({"count": 1_000_000}, "count must be a whole number from 1 to 8."),
        ({"model": "/etc"}, "model must be one of l2, l2-lpips."),
    ],
)
def test_a_forged_request_gets_a_clear_message(client, forged, message):
    request = {"prompt": "x", "model": "l2", "steps": 4, "seed": 7, "randomise": False, "count": 1} | forged
    with pytest.raises(AppError, match=re.escape(message)):
        client.predict(**request, api_name="/generate")


def test_the_program_builds_what_its_environment_says(checkpoints, tmp_path, monkeypatch, capsys):
    """`app.py` up to where its server would wait for requests."""
    folders = {"E2ED2_CHECKPOINTS": checkpoints, "STUDY_DATA": tmp_path / "studies", "E2ED2_RUNS": tmp_path / "runs"}
    said = {"PORT": "0", "E2ED2_ADMIN_SECRET": SECRET, "GRADIO_TEMP_DIR": tmp_path / "pictures"}
    for name, value in (folders | said).items():
        monkeypatch.setenv(name, str(value))
    ran, readied = [], []
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setattr(Server, "run", lambda server, sockets: ran.append((server.config.app, *sockets)))
    monkeypatch.setattr(Studies, "prepare", lambda studies, after: readied.append((studies, after)))
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    ((site, listener),), ((studies, ready),) = ran, readied
    with listener:
        assert capsys.readouterr().out == f"The pages are at http://127.0.0.1:{listener.getsockname()[1]}\n"
    assert list(studies.all_models()) == ["l2", "l2-lpips"]
    assert Path(studies.store.library.folder).is_relative_to(tmp_path / "studies")
    assert ready.wait(60)
    visitor = TestClient(site)
    assert visitor.get("/healthz").json() == {"status": "ok"}
    assert "Secret" in visitor.get("/admin/login").text


@pytest.mark.slow  # it imports everything once more
def test_the_program_serves_the_pages(start_app, checkpoints):
    """`python app.py`, in a process of its own, by its environment."""
    url = start_app(E2ED2_CHECKPOINTS=str(checkpoints), E2ED2_ADMIN_SECRET=SECRET)
    assert httpx.get(f"{url}/healthz", timeout=300).json() == {"status": "ok"}
    assert "Secret" in httpx.get(f"{url}/admin/login", timeout=300).text
    line = Client(url, verbose=False).predict("red apple", "l2", 1, 7, False, 1, api_name="/generate")[1]
    assert "1 picture in" in line


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("E2ED2_CHECKPOINTS", "/nowhere")])
def test_a_mistake_in_the_environment_is_one_sentence(name, value, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as exit:
        settings_or_exit()
    assert exit.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert name in said
    assert value in said


def test_a_mistake_in_the_environment_ends_the_program(monkeypatch):
    monkeypatch.setenv("PORT", "http")
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "PORT is 'http': choose a whole number from 0 to 65535.\n"
