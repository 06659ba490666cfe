"""Models that the server's owner adds."""

import threading

import pytest
from PIL import Image

from app.engine.events import Finished
from app.engine.services import Services
from app.errors import ForgedError
from app.look.enlarge import enlarged
from app.pages.generate.progress import Progress, notes
from app.settings import ServerSettings, added_models
from app.studies.pictures import PictureOrder, Wanted, paint_order
from e2ed2.errors import UserError
from e2ed2.models.backbones.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A tiny Stable Diffusion in a folder."""
    folder = tmp_path_factory.mktemp("elsewhere") / "my tiny sd"
    tiny_pipeline("sd").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def services(checkpoints, pipeline, tmp_path_factory):
    return Services(checkpoints, tmp_path_factory.mktemp("runs"), added_models(str(pipeline)))


NAME = "added/my-tiny-sd"


def test_a_pipeline_of_diffusers_is_a_model_of_the_pages(services):
    assert NAME in services.models.names()
    requests = services.plan("kitty", NAME, 20, 7, count=2)
    assert [(one.steps, one.caption) for one in requests] == [(20, ""), (20, "")]  # its own words: it knows no names
    first, again = (services.picture(one) for one in (requests[0], requests[0]))
    assert first.size == (32, 32)
    assert first.tobytes() == again.tobytes() != services.picture(requests[1]).tobytes()
    assert notes(services, requests[0], read=False) == ""
    with pytest.raises(ForgedError, match="from 1 to 50"):
        services.plan("kitty", NAME, 51, 7)


def test_it_can_be_stopped_between_two_steps(services):
    (request,) = services.plan("kitty", NAME, 5, 3)
    stop = threading.Event()
    (finished,) = [one for one in services.sample(request, stop) if isinstance(one, Finished)]
    assert isinstance(finished.image, Image.Image)
    told = []

    def look(step):
        told.append(step)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        services.models.sampled(request, look)
    assert told == [None]


def test_what_it_cannot_do_is_not_offered_or_said(services, tmp_path):
    assert NAME not in [name for _, name in services.models.our_choices()]
    (request,) = services.plan("kitty", NAME, 4, 7)
    with pytest.raises(UserError, match="whose steps cannot be looked into"):
        services.looks(request)
    with pytest.raises(UserError, match="whose steps cannot be looked into"):
        services.midway(request, request, 0.5)
    progress = Progress([request], tmp_path, inside=True)
    for event in services.generate([request], threading.Event()):
        progress.add(event)
    assert progress.made
    assert progress.trail == []


def test_a_large_picture_is_not_made_smaller_for_a_download():
    wide = Image.new("RGB", (512, 256))
    assert enlarged(wide, 128) is wide
    assert enlarged(wide, 1024).size == (1024, 512)


def test_it_is_an_arm_of_a_study(checkpoints, pipeline, tmp_path):
    order = PictureOrder(("l2", NAME), (2,), (Wanted("red apple", "red apple"),))
    sources = list(paint_order(order, tmp_path, checkpoints, tmp_path, added_models(str(pipeline))))
    assert [source.arm for source in sources] == ["l2", NAME]


def test_a_folder_without_a_model_and_a_name_twice_are_sentences(pipeline, checkpoints, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"E2ED2_MODELS names .*holds no model"):
        added_models(str(tmp_path))
    with pytest.raises(UserError, match=f"two models that would be called {NAME}"):
        added_models(f"{pipeline}:{pipeline}")
    monkeypatch.setenv("E2ED2_MODELS", f"{pipeline}:{checkpoints / 'l2'}")
    assert list(ServerSettings.from_environment().added) == [NAME, "added/l2"]
