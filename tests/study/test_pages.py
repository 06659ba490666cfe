"""What an organiser decides about the rater's pages: language, own texts, practice, questionnaire, references."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.images.importing import import_images
from study.images.library import Library
from study.images.sources import sources_from_folders, sources_from_manifest
from study.protocol.choices import Pages
from study.protocol.parts import (
    DEFAULT_QUESTIONS,
    LANGUAGES,
    REFERENCE,
    CheckShares,
    Exclusions,
    Item,
    Page,
    PracticePair,
    Question,
)
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.store.leaving import drop
from study.store.pages import page_of
from study.store.raters import find_rater
from study.store.studies import create_study
from study.web import create_app
from study.web.language import CATALOGUES
from study.web.practice import DRAWN, verdict
from tests.study.conftest import picture
from tests.study.test_images import arms_of
from tests.study.test_web import Browser

TEMPLATES = Path("study/web/templates")
ONE_PAIR = {"checks": CheckShares(0, 0, 0, 0), "exclusions": Exclusions.none(), "pairs_per_rater": 1}


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


@pytest.fixture
def visit(store, make_study):
    """A browser at the consent of a study with these pages."""

    def visit(page: Page, agent: str = "", status: int = 200, **changes) -> Browser:
        study = make_study(store, page=page, **(ONE_PAIR | changes))
        browser = Browser(create_app(store))
        browser.client.headers["User-Agent"] = agent
        browser.get(f"/join/{study.token}", status)
        browser.study = study
        return browser

    return visit


def sentences() -> set[str]:
    return {s for file in TEMPLATES.glob("*.html") for s in re.findall(r'_\("((?:[^"\\]|\\.)*)"', file.read_text())}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_a_catalogue_has_every_sentence_with_what_it_is_given(language):
    known = json.loads((CATALOGUES / f"{language}.json").read_text("utf-8"))
    assert sentences() - known.keys() == set()
    for sentence, translated in known.items():
        assert sorted(re.findall(r"\{\w+\}", sentence)) == sorted(re.findall(r"\{\w+\}", translated)), sentence
        assert translated.strip()


def test_raters_read_their_language_from_consent_to_thanks(visit):
    browser = visit(Page(language="ar"))
    said = [browser.page]
    for fields in ({}, {}, *[{"answer": "left"}, {}] * len(DRAWN)):
        said.append(browser.submit(**fields))
    said += [browser.link("استراحة"), browser.get(browser.url.removesuffix("/pause")), browser.vote()]
    for page in said:
        assert '<html lang="ar" dir="rtl">' in page
        words = re.sub(r"<[^>]*>|&\w+;|http\S+", " ", page.split("<main", 1)[1].split(">", 1)[1])
        words = re.sub(r"a &lt;.*|a\s+number \d|<picture>|\b[A-Z0-9]{8}\b|\b[0-9a-f]{64}\b", " ", words)
        assert set(re.findall(r"[A-Za-z]{2,}", words)) <= {"picture", "number", "amp", "lt", "gt"}
    assert "شكرًا" in browser.page
    assert "أُغلقت هذه الدراسة" not in browser.get("/r/nobody", 403)  # of no study: in English
    assert "This personal link is not valid" in browser.page


def test_own_texts_stand_in_place_of_the_usual_ones_and_run_nothing(visit):
    text = "# About\n\nWe study *pictures*. <script>alert(1)</script> [x](javascript:alert(1))"
    browser = visit(Page(consent=text, instructions="Look **closely**.", practice=()))
    assert "<em>pictures</em>" in browser.page
    assert "&lt;script&gt;" in browser.page
    assert 'href="javascript' not in browser.page
    assert "Taking part is voluntary" not in browser.page
    assert "<strong>closely</strong>" in browser.submit()
    assert "Pair 1 of 1" in browser.submit()  # no practice


def test_practice_of_ones_own_asks_the_first_question(visit, store):
    shown = [store.library.add(data) for data in (b"RIFF one", b"RIFF two")]
    pair = PracticePair("a chair", *shown, "right", "Its leg is broken.")
    browser = visit(Page(practice=(pair,)), questions=(Question("worse", "Which is worse?", "spoilt"),))
    browser.submit()
    assert "Practise with 1 pairs" in browser.page or "Practise" in browser.page
    assert "Which is worse?" in browser.submit()
    assert [image.content for image in browser.images()] == [b"RIFF one", b"RIFF two"]
    assert "would choose B here" in browser.submit(answer="left")
    assert "Its leg is broken." in browser.page
    assert "Pair 1 of 1" in browser.submit()


@pytest.mark.parametrize(("gold", "answer"), [("intact", "left"), ("spoilt", "right"), ("none", "")])
def test_the_drawn_pairs_have_the_right_answer_of_the_question(gold, answer):
    from tests.study.specs import make_spec

    spec = make_spec(questions=(Question("q", "Which?", gold),))
    assert verdict(spec, DRAWN[0])[0] == answer
    assert bool(verdict(spec, DRAWN[0])[1]) == (gold == "intact")
    assert verdict(spec, DRAWN[2])[0] == "tie"


def test_what_raters_say_of_themselves_is_exported_until_they_withdraw(visit, store, tmp_path):
    items = (Item("screen", "On what do you look?", ("phone", "monitor")), Item("job", "What do you do?"))
    browser = visit(Page(practice=(), questionnaire=items, comment=True))
    browser.submit()
    browser.submit()
    assert "Before you go" in browser.vote()
    url, page = browser.url, browser.page
    assert "none of those" in browser.submit(409, **{"about-screen": "fridge"})
    browser.url, browser.page = url, page
    said = {"about-screen": "monitor", "about-job": "=SUM(1)", "comment": "nice", "about-none": "x"}
    assert "Thank you" in browser.submit(**said)
    assert "Thank you" in browser.get(url)
    export_study(store, browser.study, tmp_path)
    table = pd.read_csv(tmp_path / "remarks.csv")
    assert dict(zip(table["key"], table["words"], strict=True)) == {
        "screen": "monitor",
        "job": "'=SUM(1)",  # no spreadsheet computes it
        "comment": "nice",
    }
    assert verify_export(tmp_path).problems == ()
    drop(store.database, browser.study, find_rater(store.database, url.rsplit("/", 1)[1]).id, "withdrew")
    export_study(store, browser.study, tmp_path)
    assert not (tmp_path / "remarks.csv").exists()
    assert verify_export(tmp_path).problems == ()


def test_nobody_is_asked_where_the_study_asks_nothing(visit):
    browser = visit(Page(practice=()))
    browser.submit()
    browser.submit()
    assert "Thank you" in browser.vote()


@pytest.mark.parametrize("agent", ["Mozilla/5.0 (Linux; Android 14) Mobile", "Mozilla/5.0 (iPad; CPU OS 17)"])
def test_phones_are_told_to_come_back_on_a_computer(visit, agent):
    assert "on a computer" in visit(Page(desktop_only=True), agent, 403).page


def test_a_vote_on_pictures_that_were_too_small_is_refused(visit):
    browser = visit(Page(desktop_only=True, min_size=300, practice=()), "Mozilla/5.0 (X11; Linux x86_64)")
    browser.submit()
    browser.submit()
    url, page = browser.url, browser.page
    for viewport in ("", "1280x800@1", "1280x800@1 400x299"):
        browser.url, browser.page = url, page
        assert "too small here" in browser.vote(status=409, viewport=viewport)
    browser.url, browser.page = url, page
    assert "Thank you" in browser.vote(viewport="1280x800@1 400x300")


def test_no_prompt_is_shown_where_there_is_none(tmp_path, visit):
    arms = arms_of(tmp_path, ["cat.png", "dog.png"], ["cat.png", "dog.png"])
    assert {s.prompt for s in sources_from_folders(arms, by_name=True)} == {"cat", "dog"}
    browser = visit(Page(show_prompts=False, practice=()), questions=DEFAULT_QUESTIONS[:2])
    assert "description" not in browser.submit()
    assert 'class="prompt"' not in browser.submit()
    assert "a &lt;picture&gt;" not in browser.page


def test_a_reference_is_shown_beside_both_and_is_no_arm(tmp_path, store):
    arms = arms_of(tmp_path, ["1.png", "2.png"], ["1.png", "2.png"])
    (tmp_path / "r").mkdir()
    for i in (1, 2):
        picture(40 + i, (16, 16)).save(tmp_path / "r" / f"{i}.png")
    images = import_images(
        sources_from_folders(arms | {REFERENCE: tmp_path / "r"}, tmp_path / "prompts.txt"), store.library
    )
    assert (images.arms, len(images.stimuli), len(images.references)) == (("a", "b"), 4, 2)
    values = {"references": images.references, "page": Page(practice=())} | ONE_PAIR
    spec = StudySpec("toy", images.arms, images.prompts, images.stimuli, images.degraded, images.gold_of, **values)
    study = create_study(store.database, StudySpec.from_json(spec.to_json()))
    browser = Browser(create_app(store))
    browser.get(f"/join/{study.token}")
    browser.submit()
    browser.submit()
    _, reference, _ = browser.images()
    shown = next(s for s in images.references if s.prompt in browser.page)
    assert reference.content == store.library.path(shown.sha256).read_bytes()
    export_study(store, study, tmp_path / "out")
    assert verify_export(tmp_path / "out").problems == ()


def test_a_manifest_names_references_in_a_column(tmp_path):
    rows = [f"p,{arm},{arm}.png,r.png" for arm in "ab"]
    (tmp_path / "m.csv").write_text("\n".join(["prompt,arm,file,reference", *rows]))
    assert [s.arm for s in sources_from_manifest(tmp_path / "m.csv")] == [REFERENCE, "a", "b"]


def test_an_organisers_files_become_the_pages(tmp_path):
    for name in ("good", "bad"):
        picture(len(name)).save(tmp_path / f"{name}.png")
    (tmp_path / "practice.csv").write_text("left,right,expected,because\ngood.png,bad.png,left,B is bad.\n")
    (tmp_path / "about.csv").write_text("key,text,choices\nage,How old are you?,18 to 30|over 30\nwhy,Why?,\n")
    (tmp_path / "consent.md").write_text("Please.")
    pages = Pages("de", tmp_path / "consent.md", None, str(tmp_path), tmp_path / "about.csv", True, None, 300)
    page = page_of(pages, Library(tmp_path / "data"), Page(desktop_only=True))
    assert (page.language, page.consent, page.desktop_only, page.min_size) == ("de", "Please.", True, 300)
    assert page.questionnaire == (Item("age", "How old are you?", ("18 to 30", "over 30")), Item("why", "Why?"))
    (pair,) = page.practice
    assert (pair.expected, pair.because) == ("left", "B is bad.")
    assert page_of(Pages(practice="drawn"), Library(tmp_path), page).practice is None
    assert page_of(Pages(practice="none"), Library(tmp_path), page).practice == ()


@pytest.mark.parametrize(
    ("name", "content", "pages", "told"),
    [
        ("c.md", "", Pages(consent=Path("c.md")), "is empty"),
        ("x", "", Pages(consent=Path("none.md")), "cannot be read"),
        ("x", "", Pages(practice="."), "has no practice.csv"),
        ("practice.csv", "left,right,expected\na.png,b.png,best\n", Pages(practice="."), "expected: left, tie, right"),
        ("practice.csv", "left,right\n", Pages(practice="."), "lists no pair"),
        ("q.csv", "key,text\nage,\n", Pages(questionnaire=Path("q.csv")), "needs a key of its own"),
        ("q.csv", "key,text\n", Pages(questionnaire=Path("q.csv")), "has no question"),
        ("x", "", Pages(min_size=-1), "min_size is -1"),
    ],
)
def test_a_file_that_does_not_fit_is_one_sentence(tmp_path, monkeypatch, name, content, pages, told):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content)
    with pytest.raises(StudyError, match=told):
        page_of(pages, Library(tmp_path / "data"), Page())
