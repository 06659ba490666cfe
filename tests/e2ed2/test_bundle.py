"""A model's folder by itself: what it shares is found by its hash, and loading refuses what it does not know."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from e2ed2 import E2ED2Pipeline
from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.models.components import INDEX, MANIFEST, PIPELINE, WEIGHTS, digest
from e2ed2.models.weights import export_whole, load_codec, load_denoiser, save_model
from tools import bundle

BUNDLED = sorted(folder.parent.name for folder in CHECKPOINTS.glob("*/denoiser"))


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_model_says_what_it_shares(name):
    shared = json.loads((CHECKPOINTS / name / MANIFEST).read_text())
    assert "codec" in shared
    assert all(len(one["shared"]) == 64 for one in shared.values())


def test_only_what_paints_says_that_it_is_a_pipeline():
    assert sorted(file.parent.name for file in CHECKPOINTS.glob(f"*/{INDEX}")) == BUNDLED


def test_a_bundled_model_that_was_copied_elsewhere_works(tmp_path):
    copied = shutil.copytree(CHECKPOINTS / "l2", tmp_path / "elsewhere" / "l2")
    here, there = load_denoiser(CHECKPOINTS / "l2").state_dict(), load_denoiser(copied).state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert load_codec(copied).config == load_codec(CHECKPOINTS / "l2").config


@pytest.mark.parametrize("part", ["codec", "coarse"])
def test_another_component_than_its_own_is_refused(tmp_path, part):
    copied = shutil.copytree(CHECKPOINTS / "l2", tmp_path / "l2")
    shared = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps(shared | {part: {"shared": "0" * 64}}))
    with pytest.raises(UserError, match=rf"shares its {part} \(SHA-256 000000000000…\)"):
        load_codec(copied) if part == "codec" else load_denoiser(copied)


def test_an_exported_model_is_whole(called, tiny_model, tmp_path):
    called("export", tiny_model, tmp_path / "whole")
    assert {part.name for part in (tmp_path / "whole").iterdir()} >= {"denoiser", "codec"}
    pipe, same = E2ED2Pipeline.from_pretrained(tmp_path / "whole"), E2ED2Pipeline.from_pretrained(tiny_model)
    draw = lambda one: one("red apple", 2, torch.Generator().manual_seed(7)).images[0].tobytes()
    assert draw(pipe) == draw(same)
    assert "exists already" in called("export", tiny_model, tmp_path / "whole", code=2).err


@pytest.mark.parametrize("option", ["torch_dtyp", "device_map", "variant", "use_safetensors", "anything"])
def test_an_option_that_is_not_known_is_refused(tiny_model, option):
    with pytest.raises(UserError, match=f"does not know {option}"):
        E2ED2Pipeline.from_pretrained(tiny_model, **{option: None})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_honoured_and_samples(tiny_model, dtype):
    pipe = E2ED2Pipeline.from_pretrained(tiny_model, torch_dtype=dtype)
    assert {pipe.denoiser.dtype, pipe.codec.dtype} == {dtype}
    assert pipe("red apple", 2, torch.Generator().manual_seed(7)).images[0].size[0] > 0


@pytest.mark.parametrize("prompt", [None, 5, [], ["cat", 5]])
def test_a_prompt_that_is_no_text_is_refused(tiny_model, prompt):
    with pytest.raises(UserError, match="must be a text"):
        E2ED2Pipeline.from_pretrained(tiny_model)(prompt)


def test_generators_that_do_not_fit_are_refused(tiny_model):
    with pytest.raises(UserError, match="2 generators do not fit 1 images"):
        E2ED2Pipeline.from_pretrained(tiny_model)("cat", 1, [torch.Generator()] * 2)


def test_a_finished_training_is_bundled_as_the_bundled_ones_are(monkeypatch, tmp_path):
    """`tools.bundle` from a whole model: the same files, the same weights shared."""
    checkpoints = tmp_path / "checkpoints"
    for part in ("codec", "coarse"):
        shutil.copytree(CHECKPOINTS / part, checkpoints / part)
    export_whole(CHECKPOINTS / "l2", tmp_path / "runs" / "l2" / "model")
    monkeypatch.setattr(bundle, "CHECKPOINTS", checkpoints)
    monkeypatch.setattr(bundle, "SHARED", checkpoints / "coarse" / WEIGHTS)
    monkeypatch.setattr(sys, "argv", ["bundle", "l2", "--runs", str(tmp_path / "runs")])
    bundle.main()
    ours, theirs = (
        {file.relative_to(place): file for file in place.rglob("*.*")}
        for place in (checkpoints / "l2", CHECKPOINTS / "l2")
    )
    assert set(ours) == set(theirs)
    for name in (Path(MANIFEST), Path(INDEX), Path(f"{PIPELINE}.py")):
        assert ours[name].read_text() == theirs[name].read_text()
    assert f'from_pretrained("{tmp_path.name}/checkpoints/l2")' in ours[Path("README.md")].read_text()


def test_a_new_decoder_is_every_models_and_one_with_other_latents_is_not(monkeypatch, tmp_path):
    box = tmp_path / "checkpoints"
    for name in ("codec", "coarse", "l2"):
        shutil.copytree(CHECKPOINTS / name, box / name)
    monkeypatch.setattr(bundle, "CHECKPOINTS", box)
    monkeypatch.setattr(sys, "argv", ["bundle", "codec-decoder", "--runs", str(tmp_path / "runs")])
    model = tmp_path / "runs" / "codec-decoder" / "model"
    codec = load_codec(CHECKPOINTS)
    codec.autoencoder.decoder[-2].bias.data += 0.5
    save_model(codec, model / "codec")
    bundle.main()
    manifest = json.loads((box / "l2" / MANIFEST).read_text())
    assert manifest["codec"] == {"shared": digest(model / "codec" / WEIGHTS)}
    assert "coarse" in manifest
    codec.autoencoder.encoder[1].bias.data += 0.5
    save_model(codec, model / "codec")
    with pytest.raises(SystemExit, match="train the models anew"):
        bundle.main()
