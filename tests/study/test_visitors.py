"""Pairs that visitors choose: blind sides, names only after the vote, apart from every designed study."""

import re

import pytest
from fastapi.testclient import TestClient

from study.errors import StudyError
from study.reporting.export import export_study
from study.reporting.report import build
from study.reporting.verify import verify_export
from study.store.frames import read_tables
from study.store.studies import find_study, list_studies
from study.store.tables import Arm, StoredAssignment, StoredStimulus
from study.store.visitors import Chosen, open_pair, reveal, tally
from study.store.votes import cast, last_screen, next_screen
from study.web import create_app
from tests.study.conftest import picture
from tests.study.voting import ballot, rater, vote_all


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


def chosen(store, first: int = 1, second: int = 2, prompt: str = "red apple", back: str = ""):
    pictures = {"l2, 1 step": picture(first), "energy, 4 steps": picture(second)}
    return open_pair(store, prompt, pictures, back)


def test_the_same_pair_is_one_study_whichever_side_it_was_on(store):
    made = chosen(store)
    turned = open_pair(store, "red apple", {"energy, 4 steps": picture(2), "l2, 1 step": picture(1)})
    assert turned.id == made.id
    assert len({made.id, chosen(store, second=3).id, chosen(store, prompt="apple").id}) == 3


@pytest.mark.parametrize(
    "pictures",
    [{"l2": picture(1)}, {"l2": picture(1), "l1": picture(2, (32, 32))}, {str(i): picture(i) for i in range(3)}],
)
def test_what_is_no_pair_makes_no_study(store, pictures):
    with pytest.raises(StudyError, match="two pictures"):
        open_pair(store, "red apple", pictures)
    assert list_studies(store.database, by_visitors=True) == []


def test_the_side_is_drawn_for_each_pair_and_turned_for_the_next_rater(store):
    def left(study, name):
        who = rater(store, study, name)
        vote_all(store, who)
        return reveal(store.database, who).left

    firsts = {left(chosen(store, number, number + 20), "ann") for number in range(12)}
    assert firsts == {"l2, 1 step", "energy, 4 steps"}
    study = chosen(store)
    assert {left(study, "ann"), left(study, "bob")} == firsts


def test_names_are_told_after_the_vote_which_then_stays(store):
    who = rater(store, chosen(store))
    assert reveal(store.database, who) is None
    cast(store.database, who, ballot(next_screen(store.database, who), "left"))
    told = reveal(store.database, who)
    assert {told.left, told.right} == {"l2, 1 step", "energy, 4 steps"}
    assert told.answer_in_words(told.screen.answers["overall"]) == f"You chose A, {told.left}."
    with pytest.raises(match="seen which picture is whose"):
        cast(store.database, who, ballot(last_screen(store.database, who), "right"))


def test_a_designed_study_never_tells(store, make_study):
    who = rater(store, make_study(store))
    vote_all(store, who)
    assert reveal(store.database, who) is None


def test_designed_studies_and_pairs_of_visitors_do_not_meet(store, make_study):
    designed, pair = make_study(store), chosen(store)
    vote_all(store, rater(store, pair))
    assert [study.name for study in list_studies(store.database)] == [designed.name]
    assert [study.name for study in list_studies(store.database, by_visitors=True)] == [pair.name]
    assert read_tables(store.database, designed).votes.empty
    assert make_study(store, "visitors-mine").name in {study.name for study in list_studies(store.database)}


def test_the_tally_counts_over_pairs_whichever_side_a_model_was_on(store):
    def prefer(arm):
        def choose(screen):
            return "tie" if arm is None else "left" if left_of(store, screen) == arm else "right"

        return choose

    for number, arm in enumerate(("l2, 1 step", "l2, 1 step", None, "energy, 4 steps")):
        vote_all(store, rater(store, chosen(store, number, number + 20)), prefer(arm))
    assert tally(store.database) == [Chosen("energy, 4 steps", "l2, 1 step", wins=1, ties=1, losses=2)]


def left_of(store, screen) -> str:
    """The left arm, which only a test may know before the vote."""
    with store.database.read() as session:
        shown = session.get(StoredAssignment, screen.assignment)
        return session.get(Arm, session.get(StoredStimulus, shown.left_id).arm_id).name


def test_a_pair_has_the_chain_and_the_report_says_what_it_is(store, tmp_path):
    study = chosen(store)
    vote_all(store, rater(store, study))
    export_study(store, study, tmp_path / "out")
    assert verify_export(tmp_path / "out").problems == ()
    page = build(tmp_path / "out", tmp_path / "out").read_text()
    assert "A visitor chose this pair" in page


def test_consent_given_elsewhere_opens_the_pair_at_once(store):
    study = chosen(store, prompt="a <b> apple", back="../compare?prompt=a&seed=7")
    client = TestClient(create_app(store))
    page = client.post(f"/join/{study.token}")
    assert "Which image is better overall?" in page.text
    assert "a &lt;b&gt; apple" in page.text
    assert not re.search(r"l2,|energy,|\d step", page.text)  # a random token has neither commas nor blanks
    form = {
        name: re.search(f'name="{name}" value="([^"]+)"', page.text)[1] for name in ("assignment", "request", "sent")
    }
    answers = {f"q-{question.key}": "right" for question in find_study(store.database, study.name).spec.questions}
    thanks = client.post(f"{page.url.path}/vote", data=form | answers)
    assert re.search(r"You chose B, (l2, 1 step|energy, 4 steps)", thanks.text)
    assert 'href="../../compare?prompt=a&amp;seed=7"' in thanks.text
    assert (
        client.post(f"/join/{study.token}").text == client.get(f"{page.url.path}/back").text
    )  # no second vote, no way back
