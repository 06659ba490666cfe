"""What a model's name stands for, and where things are kept."""

import pytest

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.files import data_folder, runs_folder
from e2ed2.inference.request import model_path
from e2ed2.models.references import model_folder
from study.store.store import data_folder as studies_folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("E2ED2_RUNS", raising=False)
    monkeypatch.delenv("STUDY_DATA", raising=False)
    return tmp_path / "home"


def test_a_path_goes_before_a_training_and_a_training_before_a_bundled_model(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_folder("single-step") == CHECKPOINTS / "single-step"
    (home / "runs" / "single-step" / "model").mkdir(parents=True)
    assert model_folder("single-step") == home / "runs" / "single-step" / "model"
    (tmp_path / "single-step").mkdir()
    assert model_folder("single-step").resolve() == tmp_path / "single-step"


def test_a_trainings_folder_stands_for_the_model_in_it(home, tmp_path):
    (tmp_path / "run" / "model" / "denoiser").mkdir(parents=True)
    assert model_folder(str(tmp_path / "run")) == tmp_path / "run" / "model"
    assert model_path(str(tmp_path / "run")) == tmp_path / "run" / "model"


def test_an_unknown_model_is_refused_with_the_places_that_were_searched(home):
    with pytest.raises(UserError, match="no-such-model") as error:
        model_folder("no-such-model")
    assert str(home / "runs") in str(error.value)
    assert "l2-lpips" in str(error.value)


def test_the_working_directory_decides_nothing(home, tmp_path, monkeypatch):
    before = data_folder(), runs_folder(), studies_folder()
    monkeypatch.chdir(tmp_path)
    assert (data_folder(), runs_folder(), studies_folder()) == before == (home, home / "runs", home / "studies")


def test_without_a_variable_the_operating_systems_data_folder_is_used(home, monkeypatch):
    monkeypatch.delenv("E2ED2_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    assert data_folder() == home / "e2ed2-studio"
    assert studies_folder() == home / "e2ed2-studio" / "studies"


def test_studies_of_a_former_release_are_not_forgotten(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    studies_folder()
    assert capsys.readouterr().err == ""
    (tmp_path / "study-data").mkdir()
    assert studies_folder() == home / "studies"
    assert "STUDY_DATA=study-data" in capsys.readouterr().err
    monkeypatch.setenv("STUDY_DATA", "study-data")
    assert str(studies_folder()) == "study-data"
    assert capsys.readouterr().err == ""
