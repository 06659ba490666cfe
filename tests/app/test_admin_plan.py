"""What the admin's form becomes, without a browser."""

import zipfile

import pytest

from app.admin.request import ARCHIVE, FOLDER, Pictures, create
from app.studies.ready import Studies
from study.errors import StudyError
from study.protocol.choices import Plan
from study.store.store import Store
from study.store.studies import list_studies
from tests.study.conftest import picture


@pytest.fixture
def studies(tmp_path, checkpoints):
    store = Store.open(tmp_path / "data", f"sqlite:///{tmp_path}/data/study.db")
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
    assert (tmp_path / "all.zip").exists()  # so that the runner can mend the prompts and try again


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
