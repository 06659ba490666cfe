"""Models by their id on a hub: from its cache without a network, or one sentence."""

import pytest
from diffusers import DiffusionPipeline

from app.settings import added_models
from e2ed2.errors import UserError
from e2ed2.evaluation.protocols.arms import Arm
from e2ed2.evaluation.protocols.changed import check_arm
from e2ed2.inference.request import model_path
from e2ed2.models.backbones.tiny import tiny_pipeline

COMMIT = "0123abcd" * 5


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The snapshot of somebody/tiny-sd, as a download leaves it; there is no network."""
    place = tmp_path / "models--somebody--tiny-sd"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    tiny_pipeline("sd").save_pretrained(place / "snapshots" / COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def unreachable(name):
        raise OSError("no network")

    monkeypatch.setattr("e2ed2.models.hub.check_repository", unreachable)
    return place / "snapshots" / COMMIT


def test_an_id_is_the_snapshot_in_the_cache(cached):
    assert model_path("somebody/tiny-sd") == cached
    check_arm(Arm.parse("somebody/tiny-sd:1"))
    assert added_models("somebody/tiny-sd") == {"added/tiny-sd": cached}


def test_one_that_is_not_there_is_one_sentence(cached):
    for call in (model_path, added_models):
        with pytest.raises(UserError, match=r"No model 'somebody/other': .*\(no network\); give a folder, or run"):
            call("somebody/other")
    with pytest.raises(UserError, match="or its id on a hub"):
        model_path("nowhere")


def test_pictures_are_sampled_from_it(cached, called, tmp_path):
    command = ("sample", "--model", "somebody/tiny-sd", "--prompt", "a dog", "--steps", "1", "--out", tmp_path / "out")
    called(*command)
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_a_downloaded_one_is_where_diffusers_put_it(cached, monkeypatch):
    monkeypatch.setattr("e2ed2.models.hub.check_repository", lambda name: None)
    monkeypatch.setattr(DiffusionPipeline, "download", lambda name: str(cached) if name == "somebody/new" else None)
    assert model_path("somebody/new") == cached
