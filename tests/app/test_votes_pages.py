"""The whole loop on the pages: votes, a preference, a model fine-tuned with it, a before-and-after study."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from study.protocol.parts import CheckShares, Exclusions
from study.store.creating import make_study, sources_in
from study.store.store import Store
from study.store.tables import StoredAssignment, StoredStimulus
from study.store.votes import Screen
from tests.study.voting import rater, vote_all

SECRET = "a-secret-of-the-tests"
PROMPTS, RATERS = 12, 14
LIMIT = 300_000  # ms, while the machine may be training


def voted(folder: Path) -> Path:
    """A data folder with a study whose raters like warm colours."""
    rng = np.random.default_rng(0)
    warmth: dict[str, float] = {}
    lines = ["prompt,arm,file"]
    for number in range(PROMPTS):
        tone = rng.uniform(20, 100) * rng.choice((-1, 1))
        for arm, sign in (("one", 1), ("two", -1)):
            (folder / "pictures" / arm).mkdir(parents=True, exist_ok=True)
            noise = rng.normal(0, 10, (64, 64, 3))
            pixels = np.clip(np.array([128 + sign * tone, 120, 128 - sign * tone]) + noise, 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "pictures" / arm / f"{number}.png")
            warmth[f"{number} {arm}"] = sign * tone
            lines.append(f"thing {number},{arm},{arm}/{number}.png")
    (folder / "pictures" / "manifest.csv").write_text("\n".join(lines) + "\n")
    store = Store.open(folder / "data")
    plan = {"checks": CheckShares(0, 0, 0, 0), "exclusions": Exclusions.none(), "raters_per_pair": RATERS}
    study = make_study(store, "first", list(sources_in(folder / "pictures", None)), pairs_per_rater=PROMPTS, **plan)
    shown = {
        stimulus.sha256: warmth[f"{stimulus.prompt.removeprefix('thing ')} {stimulus.arm}"]
        for stimulus in study.spec.stimuli
    }

    def warmer(screen: Screen) -> str:
        with store.database.read() as session:
            pair = session.get_one(StoredAssignment, screen.assignment)
            left, right = (shown[session.get_one(StoredStimulus, i).sha256] for i in (pair.left_id, pair.right_id))
        return "left" if left > right else "right"

    for number in range(RATERS):
        vote_all(store, rater(store, study, f"rater {number}"), warmer)
    store.database.engine.dispose()
    return folder / "data"


@pytest.mark.slow
def test_votes_become_a_model_and_people_are_asked_about_it(start_app, checkpoints, open_page, tmp_path):
    where = {"E2ED2_CHECKPOINTS": str(checkpoints), "E2ED2_ADMIN_SECRET": SECRET, "STUDY_DATA": str(voted(tmp_path))}
    url = start_app(**where)
    visit = open_page(f"{url}/training")
    page = visit.page
    expect(page.get_by_role("link", name="sign in")).to_have_attribute("href", "admin/")
    page.goto(f"{url}/admin/")
    page.get_by_label("Secret").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("tab", name="New study")).to_be_visible()
    page.goto(f"{url}/training")
    page.get_by_role("button", name="Learn what they prefer").click()
    expect(page.locator("#votes-status")).to_contain_text("liked-1", timeout=LIMIT)
    expect(page.locator("#liked")).to_contain_text("of new prompts", timeout=LIMIT)
    expect(page.locator("#liked figure")).to_have_count(12)
    glowing = page.locator("#liked .where").first
    expect(glowing).to_have_css("opacity", "0")
    page.get_by_label("Show where it looks").check()
    expect(glowing).to_have_css("opacity", "1")
    visit.assert_accessible()
    page.get_by_role("button", name="Finish a model with it").click()
    expect(page.get_by_label("Please whom")).to_have_value("liked-1")
    page.get_by_label("Name", exact=True).first.fill("warmer")
    page.get_by_label("number input for Updates").fill("10")
    page.get_by_label("number input for Updates").blur()
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#training-status")).to_contain_text("warmer is finished", timeout=LIMIT)
    page.get_by_role("link", name="Ask people: before against after").click()
    expect(page.get_by_label("Name")).to_have_value("warmer-before-after")
    expect(page.get_by_label("own/warmer")).to_be_checked()
    page.get_by_role("button", name="Create the study").click()
    expect(page.locator(".study")).to_contain_text("warmer-before-after", timeout=LIMIT)
    page.goto(f"{url}/results")
    expect(page.locator("#loop")).to_contain_text("being asked, 0 answers so far", timeout=LIMIT)
    assert visit.outside == []  # what a page still asked for when it was left is broken off, and said so
