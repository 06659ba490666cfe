"""From votes to a model and back, without a browser: who may, what is offered, what is trained, what Results tells."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from app.admin.access import COOKIE, Organisers
from app.admin.create import before_after, free_name
from app.admin.request import OURS, Pictures, create
from app.engine.catalogue import Models
from app.engine.orders import Order
from app.engine.services import Services
from app.engine.standing import State, sentence
from app.engine.trainings import VOTES, Trainings
from app.pages.results.rounds import rounds_table
from app.pages.training.liked import accuracy_html, examples_html
from app.pages.training.page import TrainingPage
from app.studies.ready import Studies
from app.studies.votes import rounds, teachers
from e2ed2.errors import STOPPED_EARLY
from e2ed2.preference import votes as limits
from e2ed2.preference.files import sure
from study.protocol.choices import Plan
from study.protocol.parts import CheckShares, Exclusions
from study.store.creating import make_study, sources_in
from study.store.studies import close_study
from tests.study.conftest import picture
from tests.study.stores import open_store
from tests.study.voting import rater, vote_all

ACCURACY = {
    "question": "",
    "prompts": {"value": 0.7, "low": 0.6, "high": 0.8},
    "raters": {"value": 0.72, "low": 0.66, "high": 0.78},
    "chance": 0.5,
    "agreement": 0.8,
    "ceiling": 0.89,
}
SECRET = "a-secret-of-the-tests"
PAGE = {"x-gradio-user": "app"}


def asking(signed_in: bool) -> SimpleNamespace:
    cookies = {COOKIE: Organisers(SECRET).signer.sign("organiser").decode()} if signed_in else {COOKIE: "organiser.x.y"}
    return SimpleNamespace(cookies=cookies, headers=PAGE, query_params={})


@pytest.fixture
def studies(tmp_path, checkpoints):
    store = open_store(tmp_path / "data")
    yield Studies(store, checkpoints, tmp_path / "runs")
    store.database.engine.dispose()


def asked(studies: Studies, folder: Path, name: str, arms: tuple[str, str]) -> None:
    """A study with one rater, who has answered everything: left."""
    for number, arm in enumerate(arms):
        (folder / name / arm).mkdir(parents=True)
        for i in range(2):
            picture(5 * number + i).save(folder / name / arm / f"{i}.png")
    (folder / name / "manifest.csv").write_text(
        "prompt,arm,file\n"
        + "".join(f"{prompt},{arm},{arm}/{i}.png\n" for arm in arms for i, prompt in enumerate("ab"))
    )
    plan = {"checks": CheckShares(0, 0, 0, 0), "exclusions": Exclusions.none(), "raters_per_pair": 2}
    study = make_study(studies.store, name, list(sources_in(folder / name, None)), **plan)
    vote_all(studies.store, rater(studies.store, study, "ann"))


@pytest.fixture
def runs(tmp_path, checkpoints, monkeypatch) -> Trainings:
    """Trainings that are begun, but in no process: as if they were stopped at once."""

    def launch(trainings: Trainings, name: str) -> None:
        (trainings.folder / name / "log.txt").write_text(STOPPED_EARLY)

    monkeypatch.setattr(Trainings, "_launch", launch)
    return Trainings(Models(checkpoints, tmp_path / "runs"))


def finish(trainings: Trainings, name: str, checkpoints: Path | None = None) -> None:
    model = trainings.folder / name / "model"
    if checkpoints:
        shutil.copytree(checkpoints / "l2", model)
        shutil.copytree(checkpoints / "codec", model / "codec")
    else:
        (model / "examples").mkdir(parents=True)
        (model / "accuracy.json").write_text(json.dumps([ACCURACY]))
        for kind in ("", "-where"):
            Image.new("RGBA", (8, 8), "red").save(model / "examples" / f"0{kind}.png")
        said = [{"caption": "a <red> square", "lead": 1.25, "most": True}]
        (model / "examples" / "examples.json").write_text(json.dumps(said))
    (model / "README.md").write_text("a card")


def page_of(studies: Studies, checkpoints: Path) -> TrainingPage:
    with gr.Blocks() as demo:
        return TrainingPage(Services(checkpoints, studies.runs), demo, studies, Organisers(SECRET).asks)


def test_who_is_no_organiser_sees_nothing_of_votes_and_trains_on_none(studies, tmp_path, checkpoints, runs):
    asked(studies, tmp_path, "first", ("one", "two"))
    page = page_of(studies, checkpoints)
    votes = page.votes
    shown = votes.show(asking(False))
    assert not shown[votes.part].visible
    assert shown[votes.invitation].visible
    assert set(shown) == {votes.part, votes.invitation}
    assert not votes.form(asking(False), page.pleasing)[page.pleasing].visible
    assert votes.show(asking(True))[votes.part].visible
    assert not Organisers("another-secret").asks(asking(True))
    said = page.begin("l2", "l2", 10, None, pleasing="liked", request=asking(False))[page.status]
    assert said == "Only an organiser who is signed in may train on the votes of a study."
    assert runs.all_names() == []


def test_a_study_is_offered_once_its_votes_suffice(studies, tmp_path, checkpoints, runs, monkeypatch):
    asked(studies, tmp_path, "first", ("one", "two"))
    page = page_of(studies, checkpoints)
    votes = page.votes
    shown = votes.show(asking(True))
    assert "first needs 9" in shown[votes.lacking]
    assert "that are no tie (it has 2)" in shown[votes.lacking]
    assert not shown[votes.asking].visible
    monkeypatch.setattr(limits, "DECIDED", 2)
    monkeypatch.setattr(limits, "LEAST", {"prompts": 2, "raters": 1})
    assert [one.lacks for one in teachers(studies)] == [""]
    shown = votes.show(asking(True))
    assert shown[votes.asking].visible
    assert shown[votes.study].value == "first 1"
    assert votes.begin("first 1") == ""
    assert runs.preferences() == ["liked-1"]
    run = runs.folder / "liked-1"
    command = runs.record("liked-1")["command"]
    assert command[:4] == ["train", "preference", "--votes", str(run / VOTES)]
    assert (run / VOTES / "votes.parquet").is_file()
    assert "was stopped after 0" in votes.show(asking(True))[votes.status]
    finish(runs, "liked-1")
    assert runs.state("liked-1").finished
    assert not (run / VOTES).exists()  # people's answers are kept in one place


def test_a_preference_is_no_visitors_business(studies, tmp_path, runs, checkpoints):
    runs.learn("first 1", lambda folder: folder.mkdir(), "Liked")
    finish(runs, "liked")
    assert (runs.names(), runs.preferences()) == ([], ["liked"])
    page = page_of(studies, checkpoints)
    assert page.remove("liked", asking(True))[page.status].startswith("There is no such training")
    shown = page.votes.show(asking(True))
    assert shown[page.votes.preference].value == "liked"
    assert "From the votes of first 1." in shown[page.votes.shown]
    assert "a &lt;red&gt; square" in shown[page.votes.shown]
    assert page.votes.of_chosen("liked", asking(False)) == {page.votes.shown: ""}
    assert page.votes.remove("liked") == "liked is deleted."
    assert runs.all_names() == []


def test_a_model_is_finished_with_it_and_people_are_asked_again(studies, tmp_path, runs, checkpoints):
    runs.learn("first 1", lambda folder: folder.mkdir(), "liked")
    finish(runs, "liked")
    page = page_of(studies, checkpoints)
    assert page.votes.form(asking(True), page.pleasing)[page.pleasing].choices[1:] == [("liked", "liked")]
    page.begin("l2", "l2", 50, None, "Nicer", "", None, "liked", asking(True))
    command = runs.record("nicer")["command"]
    place = command.index("--loss")
    model = str(runs.folder / "liked" / "model")
    assert command[place : place + 4] == ["--loss", "l2+anchor:0.3+preference:0.1", "--preference-from", model]
    assert rounds(runs, studies) == []
    finish(runs, "nicer", checkpoints)
    (one,) = rounds(runs, studies)
    assert (one.model, one.start, one.preference) == ("own/nicer", "l2", "liked")
    shown = page.votes.show(asking(True))[page.votes.shown]
    assert "admin/?before=l2&amp;after=own%2Fnicer" in shown
    assert "nobody was asked" in rounds_table([one])
    filled = before_after(studies, "l2", "own/nicer")
    assert filled["name"] == "nicer-before-after"
    assert len(set(filled["prompts"].splitlines())) == 30
    *_, painted = create(studies, "painted", Pictures(OURS, "cat\n", ("l2", "own/nicer"), (4,)), Plan())
    assert painted.spec.arms == ("l2", "own/nicer")
    (one,) = rounds(runs, studies)
    assert (one.asked, one.answers) == ("painted", 0)
    asked(studies, tmp_path, "nicer-before-after", ("l2", "own/nicer"))
    assert free_name(studies.store, "nicer-before-after") == "nicer-before-after-2"
    (one,) = rounds(runs, studies)
    assert (one.asked, one.won) == ("nicer-before-after", None)
    assert f"being asked, {one.answers} answers so far" in rounds_table([one])
    close_study(studies.store, "nicer-before-after")
    (one,) = rounds(runs, studies)
    assert one.won.arm == "own/nicer"
    assert f"{one.won.win_rate:.2f} (" in rounds_table([one])


def test_an_order_names_a_preference_that_is_there(runs):
    for name in ("gone", "../own"):
        with pytest.raises(Exception, match="no finished preference"):
            runs.start(Order("l2", "l2", 50, preference=name))


def test_votes_that_taught_nothing_say_so():
    assert sure(ACCURACY)
    by_lot = ACCURACY | {"raters": {"value": 0.52, "low": 0.45, "high": 0.6}, "agreement": None, "ceiling": None}
    assert not sure(by_lot)
    assert "taught nothing that is sure" in accuracy_html(by_lot)
    assert "two people agree" not in accuracy_html(by_lot)
    assert "0.70, 0.60 to 0.80" in accuracy_html(ACCURACY)
    assert "two people agree 0.80" in accuracy_html(ACCURACY)


def test_a_preference_without_examples_has_none(tmp_path):
    assert examples_html(tmp_path) == ""


def test_how_a_preference_is_getting_on():
    state = State("liked", 0, 400, going=True, stopping=False, finished=False, learning=True)
    assert "looks at every picture" in sentence(state)
