"""What becomes of the admin form's values, without a browser."""

import zipfile
from pathlib import Path

import pytest

from app.admin import acts
from app.admin.create import power_of
from app.admin.files import methods_zip
from app.admin.page import build_admin
from app.admin.request import ARCHIVE, FOLDER, OURS, Pictures, create
from app.studies.ready import Studies
from study.errors import StudyError
from study.protocol.choices import Plan
from study.protocol.parts import CheckShares, Exclusions
from study.store.raters import people
from study.store.studies import list_studies, progress
from tests.study.conftest import picture
from tests.study.stores import open_store
from tests.study.voting import rater, vote_all


@pytest.fixture
def studies(tmp_path, checkpoints):
    store = open_store(tmp_path / "data")
    yield Studies(store, checkpoints)
    store.database.engine.dispose()


def packed(tmp_path, broken: bool = False) -> str:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number, arm in enumerate(("one", "two")):
            for i in range(2):
                picture(5 * number + i).save(tmp_path / "x.png")
                archive.write(tmp_path / "x.png", f"{arm}/{i}.png")
        if broken:
            archive.writestr("two/1.png", b"no image")
    return str(tmp_path / "all.zip")


def test_an_upload_becomes_a_study_and_leaves_the_shared_cache(studies, tmp_path):
    upload = packed(tmp_path)
    *told, study = create(studies, "zipped", Pictures(ARCHIVE, "a\nb\n", archive=upload), Plan(raters_per_pair=2))
    assert told == ["Reading the pictures …", "Storing 4 pictures …"]
    assert (study.spec.arms, study.spec.raters_per_pair) == (("one", "two"), 2)
    assert not (tmp_path / "all.zip").exists()
    with pytest.raises(StudyError, match="Choose the zip file again"):
        list(create(studies, "again", Pictures(ARCHIVE, "a\nb\n", archive=upload), Plan()))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("prompts", "broken", "words"),
    [("a\nb\nc", False, "2 images, the list of prompts has 3 prompts"), ("a\nb", True, "two/1.png cannot be read")],
)
def test_what_is_wrong_is_told_in_the_runners_own_words(studies, tmp_path, prompts, broken, words):
    pictures = Pictures(ARCHIVE, prompts, archive=packed(tmp_path, broken))
    with pytest.raises(StudyError, match=words) as raised:
        list(create(studies, "zipped", pictures, Plan()))
    assert "/tmp" not in str(raised.value)
    assert list_studies(studies.store.database) == []
    assert (tmp_path / "all.zip").exists()  # so that the organiser can correct the prompts and try again


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (Pictures(ARCHIVE, ""), "Choose a zip file"),
        (Pictures(FOLDER, "", folder=" "), "Write the path"),
        (Pictures(FOLDER, "", folder="/none"), "not a folder"),
    ],
)
def test_a_field_that_was_forgotten_is_named(studies, pictures, words):
    with pytest.raises(StudyError, match=words):
        list(create(studies, "x", pictures, Plan()))


@pytest.fixture
def asked(studies, tmp_path) -> str:
    """A study with one rater, who has answered everything."""
    plan = Plan(raters_per_pair=2, checks=CheckShares(0, 0, 0, 0), exclusions=Exclusions(*[None] * 6))
    *_, study = create(studies, "asked", Pictures(ARCHIVE, "a\nb\n", archive=packed(tmp_path)), plan)
    vote_all(studies.store, rater(studies.store, study, "ann"))
    return "asked 1"


def test_raters_are_released_and_withdrawn_by_the_names_of_the_table(studies, asked):
    study = acts.study_of(studies, asked)
    assert people(studies.store.database, study)[0][0].endswith("ann")
    assert acts.released(studies, asked, " ann ") == "The open pairs of ann now go to others."
    with pytest.raises(StudyError, match="Nobody, or more than one, is called 'bob'"):
        acts.dropped(studies, asked, "bob", "a bot", False)
    with pytest.raises(StudyError, match="Say why"):
        acts.dropped(studies, asked, "ann", " ", False)
    assert acts.dropped(studies, asked, "ann", "a bot", True).endswith("the name is erased.")
    assert progress(studies.store.database, study).raters["dropped"] == 1
    with pytest.raises(StudyError, match="Choose a study first"):
        acts.released(studies, None, "ann")


def test_what_is_no_science_changes_in_a_running_study_and_the_rest_makes_a_version(studies, asked):
    spec = acts.study_of(studies, asked).spec
    same = {name: getattr(spec, name) for name in ("contact", "open_cap")}
    with pytest.raises(StudyError, match="Nothing is different"):
        acts.adjusted(studies, asked, same)
    assert "contact 'x@y.org'." in acts.adjusted(studies, asked, same | {"contact": "x@y.org"})
    assert acts.study_of(studies, asked).spec.hash == spec.hash
    with pytest.raises(StudyError, match="needs a reason"):
        acts.amended(studies, asked, "", {"raters_per_pair": 3})
    new = acts.amended(
        studies, asked, "too few", {"raters_per_pair": 3, "questions": acts.questions_of("x:none=Which?")}
    )
    assert (new.version, new.spec.raters_per_pair, acts.as_text(new.spec.questions)) == (2, 3, "x:none=Which?")
    assert acts.study_of(studies, asked).closed


def test_votes_are_verified_and_metrics_measured_on_them(studies, asked, tmp_path):
    assert "answers and 6 images are as they were written." in acts.verified(studies, asked)
    for receipt, words in (("x", "A receipt is a number"), ("1 0000", "receipt|chain")):
        with pytest.raises(StudyError, match=words):
            acts.verified(studies, asked, receipt=receipt)
    table = tmp_path / "scores.csv"
    table.write_text(
        "arm,prompt,sharp\n" + "".join(f"{arm},{p},{arm == 'one':d}\n" for arm in ("one", "two") for p in "ab")
    )
    rows = acts.predictions(studies, asked, str(table))
    assert [row[0] for row in rows[:1]] == ["sharp"]
    assert {"another rater", "majority of the others"} <= {row[0] for row in rows}
    assert not table.exists()  # Gradio's cache can be read by anyone
    with pytest.raises(StudyError, match="Choose a CSV file"):
        acts.predictions(studies, asked, str(table))


def test_a_look_for_new_studies_leaves_the_choice_alone(studies, asked):
    """The answer may arrive after another study was made and chosen."""
    renew = next(function.fn for function in build_admin(studies).fns.values() if function.name == "renew")
    found, names = renew(asked, [])
    assert found["choices"] == names
    assert "value" not in found
    assert renew(None, [])[0]["value"] == asked


def test_the_methods_section_comes_as_a_zip(studies, asked):
    answer = methods_zip(studies.store, "asked", 1, "2 GBP", "")
    with zipfile.ZipFile(answer.path) as archive:
        assert "2 GBP" in archive.read("asked-1-methods/methods.md").decode()
    Path(answer.path).unlink()


def test_what_a_study_will_find_is_told_before_it_is_made():
    given = {"origin": OURS, "prompts": "a\nb", "models": ["l2", "lpips"], "steps": [4], "copies": 1}
    said = power_of(given | {"raters_per_pair": 2, "pairs_per_rater": 4})
    assert "finds that with a chance of" in said
    with pytest.raises(StudyError, match="two arms at least"):
        power_of(given | {"models": ["l2"], "raters_per_pair": 2, "pairs_per_rater": 4})
    with pytest.raises(StudyError, match="Of pictures of your own"):
        power_of(given | {"origin": ARCHIVE})
