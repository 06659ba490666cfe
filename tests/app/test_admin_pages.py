"""The admin pages as an organiser meets them: the site with a secret, a real browser."""

import re
import zipfile

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import SECRET
from tests.study.conftest import picture


@pytest.fixture(scope="module")
def admin(url) -> str:
    return f"{url}/admin"


@pytest.fixture
def archive(tmp_path):
    """A zip file that wraps two arms and their prompts in one folder, as archives do."""
    file = tmp_path / "pictures.zip"
    with zipfile.ZipFile(file, "w") as packed:
        for number, arm in enumerate(("mine", "theirs")):
            for i in range(3):
                picture(7 * number + i).save(tmp_path / "one.png")
                packed.write(tmp_path / "one.png", f"pictures/{arm}/{i}.png")
        packed.writestr("pictures/prompts.txt", "one\ntwo\nthree\n")
    return file


def sign_in(page: Page) -> None:
    page.get_by_label("Secret").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("tab", name="New study")).to_be_visible()


def new_study(page: Page, name: str) -> None:
    page.get_by_role("tab", name="New study").click()
    page.locator("#name input").fill(name)


def test_a_study_of_a_zip_file_is_made_opened_and_closed(open_page, admin, archive):
    visit = open_page(admin)
    page = visit.page
    sign_in(page)
    new_study(page, "zipped")
    page.get_by_label("A zip file").check()
    expect(page.locator("#prompts textarea")).to_have_value("")
    page.locator('input[type="file"]').set_input_files(archive)
    expect(page.get_by_text("pictures.zip")).to_be_visible()
    page.get_by_role("button", name="Create the study").click()
    card = page.locator(".study")
    expect(card.get_by_role("heading", name="zipped")).to_be_visible()
    expect(card).to_contain_text("mine, theirs; 3 prompts.")
    link = card.locator('a[href*="/study/join/"]').get_attribute("href")
    assert "I agree and take part" in httpx.get(link, timeout=300).text
    with page.expect_download() as downloading:
        card.get_by_role("link", name="Download the export").click()
    assert downloading.value.suggested_filename == "zipped-1.zip"
    page.get_by_role("button", name="Close this study …").click()
    page.get_by_role("button", name="Yes, take nobody new").click()
    expect(card).to_contain_text("Closed to new raters.")
    visit.assert_clean()


@pytest.mark.slow
def test_people_are_invited_and_the_methods_section_is_downloaded(open_page, admin):
    visit = open_page(admin)
    page = visit.page
    sign_in(page)
    expect(page.locator(".study")).to_be_visible()
    page.get_by_role("button", name="Personal invitations").click()
    page.get_by_label("People").fill("ann\nbob")
    page.get_by_role("button", name="Make links").click()
    expect(page.locator("#links textarea")).to_have_value(re.compile(r"^ann http\S+/study/invite/\S+\nbob http"))
    page.get_by_role("button", name="Methods section for a paper").click()
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Download it").click()
    expect(opened.value.locator("body")).to_contain_text("no comparisons to report yet")
    expect(page.locator("#links textarea")).to_have_value(re.compile("^ann "))  # the page is as it was
    visit.assert_clean()


@pytest.mark.slow
def test_a_study_of_the_models_is_painted_on_the_spot(open_page, admin):
    page = open_page(admin).page
    sign_in(page)
    new_study(page, "painted")
    page.locator("#prompts textarea").fill("red apple\nrocket")
    page.get_by_label("1", exact=True).check()
    page.get_by_role("button", name="Create the study").click()
    expect(page.locator(".study")).to_contain_text(
        "l2, 1 step, l2, 4 steps, l2-lpips, 1 step, l2-lpips, 4 steps; 2 prompts."
    )
    page.get_by_role("tab", name="New study").click()
    page.get_by_role("button", name="Create the study").click()
    expect(page.locator("#made")).to_contain_text("There is a study 'painted' already")
    expect(page.locator("#prompts textarea")).to_have_value("red apple\nrocket")


@pytest.mark.slow
def test_the_admin_pages_are_accessible(open_page, admin):
    visit = open_page(admin)
    visit.assert_accessible()
    sign_in(visit.page)
    expect(visit.page.locator(".study")).to_be_visible()
    visit.assert_accessible()
    new_study(visit.page, "x")
    visit.assert_accessible()
