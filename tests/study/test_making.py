"""Studies made in one step from a folder or an archive, and stopped on the evidence."""

import zipfile
from dataclasses import replace

import pytest

from study.errors import StudyError
from study.protocol.parts import CheckShares, Question, Stopping
from study.stopping import e_value, stop_if_decided
from study.store.creating import make_study, sources_in, unpack
from study.store.studies import find_study, list_studies
from study.store.tables import StoredAssignment, StoredStimulus
from tests.study.conftest import picture
from tests.study.specs import make_spec
from tests.study.stores import open_store
from tests.study.voting import rater, vote_all


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "data")
    yield opened
    opened.database.engine.dispose()


@pytest.fixture
def arms(tmp_path):
    """Two folders of three pictures each, with a stray file as some systems leave them."""
    for number, arm in enumerate(("b", "a")):
        (tmp_path / "arms" / arm).mkdir(parents=True)
        for i in range(3):
            picture(9 * number + i).save(tmp_path / "arms" / arm / f"{i}.png")
    (tmp_path / "arms" / "__MACOSX").mkdir()
    (tmp_path / "arms" / ".DS_Store").write_text("x")
    return tmp_path / "arms"


def test_a_folder_of_arms_with_prompts_within_or_given(arms, tmp_path):
    (tmp_path / "given.txt").write_text("x\ny\nz\n")
    given = sources_in(arms, tmp_path / "given.txt")
    assert [(s.arm, s.prompt, s.file.name) for s in given][:3] == [
        ("a", "x", "0.png"),
        ("a", "y", "1.png"),
        ("a", "z", "2.png"),
    ]
    (arms / "prompts.txt").write_text("one\ntwo\nthree\n")
    assert {s.prompt for s in sources_in(arms)} == {"one", "two", "three"}
    assert sources_in(arms.parent / "arms") == sources_in(arms)


def test_a_manifest_in_the_folder_goes_first(arms):
    (arms / "manifest.csv").write_text("prompt,arm,file\nonly,x,a/0.png\nonly,y,b/0.png\n")
    assert [(s.arm, s.prompt) for s in sources_in(arms)] == [("x", "only"), ("y", "only")]


def test_an_archive_that_wraps_all_in_one_folder(arms, tmp_path, store):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for file in arms.rglob("*.png"):
            packed.write(file, f"wrapped/{file.relative_to(arms)}")
        packed.writestr("wrapped/prompts.txt", "one\ntwo\nthree")
        packed.writestr("../../escaped.txt", "x")
    sources = sources_in(unpack(tmp_path / "all.zip", tmp_path / "deep" / "er" / "unpacked") / "wrapped")
    assert not (tmp_path / "escaped.txt").exists()
    assert not (tmp_path / "deep" / "escaped.txt").exists()
    study = make_study(store, "zipped", sources, raters_per_pair=1)
    assert (study.spec.arms, len(study.spec.stimuli)) == (("a", "b"), 6)


def test_what_cannot_be_made_is_said_and_leaves_nothing(arms, tmp_path, store, monkeypatch):
    (tmp_path / "no.zip").write_bytes(b"no archive")
    with pytest.raises(StudyError, match="not a readable zip file"):
        unpack(tmp_path / "no.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as packed:
        packed.writestr("zeros", bytes(2000))
    monkeypatch.setattr("study.store.creating.MAX_UNPACKED", 1000)
    with pytest.raises(StudyError, match="more than"):
        unpack(tmp_path / "big.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for folder, words in ((tmp_path / "none", "not a folder"), (arms / "a", "folder of its own")):
        with pytest.raises(StudyError, match=words):
            sources_in(folder)
    for name, words in (("a b", "letters, digits"), ("", "letters, digits")):
        with pytest.raises(StudyError, match=words):
            make_study(store, name, [])
    (arms / "a" / "1.png").write_bytes(b"broken")
    (arms / "prompts.txt").write_text("one\ntwo\nthree\n")
    with pytest.raises(StudyError, match="cannot be read as an image"):
        make_study(store, "broken", sources_in(arms))
    assert list_studies(store.database) == []
    assert not store.library.folder.exists()


def decided_study(store, make_study, alpha=0.05):
    return make_study(
        store,
        questions=(Question("overall", "Better?"),),
        raters_per_pair=40,
        pairs_per_rater=8,
        checks=CheckShares(0, 0, 0, 0),
        stopping=Stopping("e-value", alpha),
    )


def test_a_study_stops_on_the_evidence_of_raters_who_finished(store, make_study):
    study = decided_study(store, make_study, alpha=0.2)
    stimuli = {s.sha256: s.arm for s in study.spec.stimuli}

    def best(screen) -> str:
        with store.database.read() as session:
            row = session.get(StoredAssignment, screen.assignment)
            left = session.get(StoredStimulus, row.left_id).sha256
        return "left" if stimuli[left] == "secretarmone" else "right"

    assert e_value(store.database, study) == 1.0
    values = []
    for i in range(20):
        vote_all(store, rater(store, study, f"r{i}"), best, limit=7)  # one pair short: no evidence yet
        values.append(e_value(store.database, study))
        vote_all(store, rater(store, study, f"r{i}"), best)
        if stop_if_decided(store, study):
            break
    assert 1 < i < 10
    assert values[0] == 1.0
    assert e_value(store.database, study) >= 5 > values[-1]
    assert find_study(store.database, study.name).closed
    with pytest.raises(match="closed"):
        rater(store, study, "late")
    assert not stop_if_decided(store, find_study(store.database, study.name))


def test_a_tie_everywhere_never_stops_and_a_quota_study_knows_no_evidence(store, make_study):
    study = decided_study(store, make_study)
    for i in range(8):
        vote_all(store, rater(store, study, f"r{i}"), lambda screen: "tie")
    assert not stop_if_decided(store, study)
    assert not stop_if_decided(store, replace(study, spec=replace(study.spec, stopping=Stopping())))


def test_stopping_on_evidence_is_for_two_arms():
    with pytest.raises(StudyError, match="two arms"):
        make_spec(arms=3, stopping=Stopping("e-value"))
