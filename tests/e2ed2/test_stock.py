"""Pipelines of diffusers where a model is asked for: what was trained here, and what comes from elsewhere."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from e2ed2 import E2ED2Pipeline
from e2ed2.errors import UserError
from e2ed2.inference.stock import StockPipeline, load_stock, was_trained_here
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.export import save_pipeline
from e2ed2.models.backbones.opening import quiet
from e2ed2.models.backbones.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """As a training on chains of four steps leaves it."""
    folder = tmp_path_factory.mktemp("finished") / "model"
    pipeline = quiet(tiny_pipeline("sd3"))
    save_pipeline(pipeline, Backbone.of(pipeline), folder, 4)
    assert was_trained_here(folder)  # also where `run.json` is left behind, as diffusers does when it downloads
    (folder / "run.json").write_text(json.dumps({"config": {"objective": {"kind": "backbone_end_to_end"}}}))
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Somebody else's, with guidance."""
    folder = tmp_path_factory.mktemp("foreign") / "tiny-sd"
    tiny_pipeline("sd").save_pretrained(folder)
    return folder


def pixels(image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def test_what_was_trained_here_is_sampled_along_the_steps_of_its_training(finished, called, tmp_path):
    command = ("sample", "--model", finished, "--steps", 2, "--prompt", "red apple", "--seed", 5, "--out", tmp_path)
    file = tmp_path / called(*command).out.strip().rpartition("/")[2]
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(5))
    ours = E2ED2Pipeline.from_pretrained(finished)
    seen = []
    expected = ours("red apple", 2, latents=noise, callback=seen.append).images[0]
    assert [step.t for step in seen] == [1.0, 0.5]
    assert abs(pixels(Image.open(file)) - pixels(expected)).max() <= 1
    row = json.loads((tmp_path / "manifest.jsonl").read_text())
    assert (row["prompt"], row["steps"], row["guidance"], row["file"]) == ("red apple", 2, 1.0, file.name)
    assert Image.open(file).text["guidance"] == "1.0"
    with pytest.raises(UserError, match="copy that"):
        ours.save_pretrained(tmp_path / "again")


def test_what_was_trained_here_before_its_index_said_so_is_known_by_its_card(foreign, tmp_path):
    shutil.copytree(foreign, older := tmp_path / "older")
    (older / "run.json").write_text(json.dumps({"config": {"objective": {"kind": "backbone_single_step"}}}))
    assert was_trained_here(older)
    (older / "run.json").write_text(json.dumps({"config": {"objective": {"kind": "end_to_end"}}}))
    assert not was_trained_here(older)


def test_what_comes_from_elsewhere_keeps_its_own_guidance_unless_another_is_given(foreign):
    assert not was_trained_here(foreign)
    its_own, none, same = (load_stock(foreign, 2, guidance)(["red apple"], [1])[0] for guidance in (None, 1.0, 7.5))
    assert (pixels(its_own) == pixels(same)).all()
    assert (pixels(its_own) != pixels(none)).any()


def test_inspect_says_what_a_pipeline_has_and_which_parts_can_be_trained(finished, foreign, called):
    said = called("inspect", foreign).out
    assert "a StableDiffusionPipeline: " in said
    assert "4 steps: " in said
    assert "attn2" in said.splitlines()[-1].removeprefix("parts: ").split(", ")
    assert "M transformer" in called("inspect", finished).out


def test_export_leaves_a_pipeline_that_is_whole_as_it_is(foreign, called, tmp_path):
    assert "copy or upload it as it is" in called("export", foreign, tmp_path / "copy", code=2).err


@pytest.mark.parametrize("guidance", ["nan", "inf", "-2"])
def test_a_guidance_that_is_none_is_refused(foreign, called, guidance):
    command = ("sample", "--model", foreign, "--prompt", "cat", "--guidance", guidance)
    assert "choose a number of at least 0" in called(*command, code=2).err


def test_guidance_is_refused_where_there_is_none(foreign, called):
    class Unguided:
        def __call__(self, prompt, num_inference_steps, generator):
            return SimpleNamespace(images=[num_inference_steps])

    assert StockPipeline(Unguided(), 3)(["cat"], [0]) == [3]
    with pytest.raises(UserError, match="A Unguided has no guidance"):
        StockPipeline(Unguided(), 3, guidance=2.0)
    sample = ("sample", "--prompt", "cat", "--model")
    assert "l2 has no guidance" in called(*sample, "l2", "--guidance", 2, code=2).err
    assert "not learned these styles" in called(*sample, foreign, "--style", "noto", code=2).err


def test_a_training_goes_by_its_name_and_a_folder_without_a_model_by_none(finished, called, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_RUNS", str(finished.parents[1]))
    out = tmp_path / "out"
    called("sample", "--model", finished.parent.name, "--steps", 1, "--prompt", "cat", "--out", out)
    assert len(list(out.glob("cat-0-*.png"))) == 1
    assert "or that of a diffusers pipeline" in called("sample", "--model", tmp_path, "--prompt", "cat", code=2).err
