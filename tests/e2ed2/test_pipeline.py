"""The pipeline as diffusers' users know pipelines: how it loads, what it takes, what it gives."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import dynamic_modules_utils

from e2ed2 import E2ED2Pipeline
from e2ed2.assets import CHECKPOINTS
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.inference.model import to_image
from e2ed2.inference.request import available_models
from e2ed2.models import components
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import load_codec, load_denoiser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def modules_of_its_own(tmp_path_factory):
    """diffusers copies the code that it is told to trust; not into the folder of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        patch.setattr(sys, "path", list(sys.path))
        yield


@pytest.fixture(scope="module")
def pipe(tiny_model) -> E2ED2Pipeline:
    return E2ED2Pipeline.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM()


def with_diffusers(folder) -> DiffusionPipeline:
    return DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(pipeline, **options) -> bytes:
    return pipeline("red apple", 2, *seeded(7), **options).images[0].tobytes()


# How it loads.


def test_a_bundled_model_loads_with_diffusers_and_survives_moving_and_saving(tmp_path):
    ours = drawn(E2ED2Pipeline.from_pretrained(CHECKPOINTS / "l2"))
    theirs = with_diffusers(shutil.copytree(CHECKPOINTS / "l2", tmp_path / "elsewhere" / "l2"))
    assert type(theirs) is E2ED2Pipeline
    assert set(theirs.components) == {"denoiser", "codec", "text_encoder"}
    theirs.save_pretrained(tmp_path / "saved")
    again = [with_diffusers(tmp_path / "saved"), E2ED2Pipeline.from_pretrained(tmp_path / "saved")]
    assert {drawn(one) for one in (theirs, *again)} == {ours}
    assert not list((tmp_path / "saved" / "text_encoder").glob("*.safetensors"))


PROGRAM = """
import sys
from diffusers import DiffusionPipeline

def load(**options):
    try:
        pipe = DiffusionPipeline.from_pretrained(sys.argv[1], **options)
        print(pipe("red apple", num_inference_steps=1).images[0].size)
    except Exception as error:
        print(type(error).__name__, " ".join(str(error).split()))

load()
sys.modules["e2ed2"] = None  # as if it were not installed
load(trust_remote_code=True)
del sys.modules["e2ed2"]
load(trust_remote_code=True)
"""


@pytest.mark.slow
def test_a_program_that_knows_diffusers_alone_loads_a_model_or_is_told_what_it_needs(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "model"],
        cwd=tmp_path / "empty",
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_MODULES_CACHE": str(tmp_path / "modules")},
        capture_output=True,
        text=True,
    )
    untrusted, missing, size = done.stdout.splitlines()
    assert untrusted.startswith("ValueError")
    assert "Pass `trust_remote_code=True` to allow" in untrusted
    assert missing.startswith("ModuleNotFoundError This model needs the package e2ed2")
    assert "run `pip install .` in a copy of its repository" in missing
    assert "pip install e2ed2" not in done.stderr  # that would be somebody else's
    assert size == "(32, 32)"


@pytest.mark.parametrize("name", available_models())
def test_every_bundled_model_has_the_index_that_is_written(name, tmp_path):
    components.write_index(tmp_path)
    for file in (components.INDEX, f"{components.PIPELINE}.py"):
        assert (CHECKPOINTS / name / file).read_text() == (tmp_path / file).read_text()


def test_what_a_training_writes_loads_with_diffusers(run_config, tmp_path):
    run_config.objective.build(32).write(tmp_path / "model", None)
    assert drawn(with_diffusers(tmp_path / "model")) == drawn(E2ED2Pipeline.from_pretrained(tmp_path / "model"))


def test_a_folder_from_before_there_was_an_index_loads(tiny_model):
    assert not (tiny_model / components.INDEX).exists()
    assert E2ED2Pipeline.from_pretrained(tiny_model).text_encoder.width == MiniLM.width


def test_a_model_of_another_text_encoder_is_refused(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    config = tmp_path / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sha256": "0" * 64}))
    for load in (with_diffusers, E2ED2Pipeline.from_pretrained):
        with pytest.raises(UserError, match="another text encoder"):
            load(tmp_path)


def test_a_component_comes_from_a_hub_at_its_revision(tiny_model, tmp_path, monkeypatch):
    asked = []

    def download(repository, revision, **_):
        asked.append((repository, revision))
        return str(tiny_model / "codec")

    monkeypatch.setattr(components, "snapshot_download", download)
    entry = {"codec": {"hub": "someone/codec", "revision": "abc123"}}
    (tmp_path / components.MANIFEST).write_text(json.dumps(entry))
    assert load_codec(tmp_path).fingerprint == load_codec(tiny_model).fingerprint
    assert asked == [("someone/codec", "abc123")]


@pytest.mark.parametrize("option", ["variant", "device_map", "quantization_config"])
def test_an_option_of_diffusers_that_the_parts_do_not_honour_is_refused(tiny_model, option):
    with pytest.raises(UserError, match=f"cannot be loaded with {option}"):
        type(load_denoiser(tiny_model)).from_pretrained(tiny_model / "denoiser", **{option: "fp16"})


@pytest.mark.parametrize("options", [{"revision": "abc"}, {"cache_dir": "."}, {"token": "t"}, {"token": True}])
def test_what_only_a_download_could_honour_is_refused_of_a_folder(tiny_model, options):
    with pytest.raises(UserError, match=f"is a folder, and {next(iter(options))} would have no effect"):
        E2ED2Pipeline.from_pretrained(tiny_model, **options)


def test_what_asks_for_no_download_is_honoured_of_a_folder(tiny_model):
    usual = {"revision": None, "cache_dir": None, "token": False, "local_files_only": True}
    assert E2ED2Pipeline.from_pretrained(tiny_model, **usual).device.type == "cpu"


# Its parts.


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_the_precision_is_that_of_all_parts(tiny_model, name):
    asked = E2ED2Pipeline.from_pretrained(tiny_model, **{name: torch.bfloat16})
    cast = E2ED2Pipeline.from_pretrained(tiny_model).to(torch.bfloat16)
    assert {part.dtype for pipe in (asked, cast) for part in pipe.components.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtype": torch.float16, "torch_dtype": torch.float16}, "one option"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"torch_dtype": torch.int8}, r"dtype is torch\.int8"),
    ],
)
def test_a_precision_that_is_none_is_refused(tiny_model, options, sentence):
    with pytest.raises(UserError, match=sentence):
        E2ED2Pipeline.from_pretrained(tiny_model, **options)


def test_pipelines_that_share_a_text_encoder_do_not_move_each_others(tiny_model, encoder):
    first, second = (E2ED2Pipeline.from_pretrained(tiny_model, text_encoder=encoder) for _ in range(2))
    weights = [next(one.parameters()) for one in (encoder, first.text_encoder, second.text_encoder)]
    assert len({weight.data_ptr() for weight in weights}) == 1  # in memory once, until one is moved
    before = drawn(second)
    first.to(torch.bfloat16)
    assert first.text_encoder.dtype == torch.bfloat16
    assert {encoder.dtype, second.text_encoder.dtype} == {torch.float32}
    assert drawn(second) == before


# What it gives.


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("l2", 4),
        pytest.param("lpips", 4, marks=pytest.mark.slow),
        pytest.param("energy", 4, marks=pytest.mark.slow),
        ("independent", 4),
        ("single-step", 1),
    ],
)
def test_every_image_of_a_list_has_the_bytes_of_the_chain_written_out(name, steps, encoder):
    """What else is asked for changes nothing: the pages, the command line and a list give the same bytes."""
    pipe = E2ED2Pipeline.from_pretrained(CHECKPOINTS / name, text_encoder=encoder)
    prompts = ["cat", "a very long caption of a red apple"]
    with torch.no_grad():
        for prompt, seed, image in zip(prompts, (3, 7), pipe(prompts, steps, seeded(3, 7)).images, strict=True):
            z = torch.randn(1, *pipe.denoiser.latent_shape, generator=seeded(seed)[0])
            latents = sample(pipe.denoiser, z, encoder([prompt]), uniform_levels(steps))
            assert image.tobytes() == to_image(pipe.codec.decode(latents)[0]).tobytes()


def test_together_images_are_the_same_up_to_rounding(pipe):
    prompts = ["cat", "a very long caption of a red apple", "red apple"]
    one_by_one = pipe(prompts, 2, seeded(3, 5, 7), output_type="np").images
    assert np.abs(pipe(prompts, 2, seeded(3, 5, 7), output_type="np", batch_size=2).images - one_by_one).max() < 1e-4


def test_images_of_one_prompt_lie_next_to_each_other_each_from_its_own_noise(pipe):
    several = pipe(["cat", "dog"], 2, *seeded(7), num_images_per_prompt=2, output_type="pt").images
    given = pipe(["cat", "cat", "dog", "dog"], 2, *seeded(7), output_type="pt").images
    assert torch.equal(several, given)
    assert not torch.equal(several[0], several[1])


def test_every_output_type_is_of_the_same_image(pipe):
    pil, pixels, tensor, latents = (
        pipe("cat", 2, *seeded(7), output_type=kind, return_dict=False)[0] for kind in ("pil", "np", "pt", "latent")
    )
    assert np.abs(np.asarray(pil[0]) / 255 - pixels[0]).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(pixels, tensor.permute(0, 2, 3, 1).numpy())
    assert latents.shape == (1, *pipe.denoiser.latent_shape)
    assert pipe.image(latents).tobytes() == pil[0].tobytes()


def test_given_latents_are_the_noise(pipe):
    noise = torch.randn(1, *pipe.denoiser.latent_shape, generator=seeded(7)[0])
    assert drawn(pipe) == pipe("red apple", 2, latents=noise).images[0].tobytes()


def test_a_callback_sees_each_step_and_can_replace_the_latents(pipe):
    seen = []

    def zeroed(pipeline, index, t, tensors):
        seen.append((pipeline is pipe, index, t, set(tensors)))
        return tensors | {"latents": torch.zeros_like(tensors["latents"])}

    options = {"callback_on_step_end": zeroed, "callback_on_step_end_tensor_inputs": ["latents", "clean"]}
    latents = pipe("cat", 2, *seeded(7), output_type="latent", **options).images
    assert seen == [(True, 0, 1.0, {"latents", "clean"}), (True, 1, 0.5, {"latents", "clean"})]
    assert not latents.any()


def test_a_callback_that_returns_nothing_or_what_it_was_given_changes_nothing(pipe):
    for returned in (lambda *_: None, lambda *given: given[-1]):
        assert drawn(pipe, callback_on_step_end=returned) == drawn(pipe)


# What it refuses.


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_images_per_prompt": 0}, "num_images_per_prompt is 0"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"num_inference_steps": 2.5}, "num_inference_steps is 2.5"),
        ({"batch_size": True}, "batch_size is True"),
        ({"output_type": "jpeg"}, "no output_type 'jpeg': choose one of pil, np, pt, latent"),
        ({"latents": [0.0]}, r"latents are a list: they must be a tensor \[1, 4, 8, 8\]"),
        ({"latents": torch.zeros(1, 3, 8, 8)}, r"latents are \[1, 3, 8, 8\]: they must be a tensor \[1, 4, 8, 8\]"),
        ({"latents": torch.zeros(1, 4, 8, 8), "generator": torch.Generator()}, "generator has no effect"),
        ({"generator": 7}, r"must be a torch\.Generator"),
        ({"generator": [7]}, r"must be a torch\.Generator"),
        ({"prompt": ["cat", "dog"], "generator": seeded(1, 2, 3)}, "3 generators do not fit 2 images"),
        ({"generator": []}, "0 generators do not fit 1 images"),
        ({"callback": 3}, "callback is 3: give a function"),
        ({"callback_on_step_end": "show"}, "callback_on_step_end is 'show': give a function"),
        ({"callback_on_step_end_tensor_inputs": ["latents"]}, "no effect without callback_on_step_end"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(pipe, options, sentence):
    with pytest.raises(UserError, match=sentence):
        pipe(**{"prompt": "cat", "num_inference_steps": 1} | options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"negative_prompt": "dog"}, "negative_prompt would have no effect, there is no guidance"),
        ({"guidance_scale": 7.5}, "guidance_scale would have no effect, these models .* give 1, or leave it out"),
        ({"guidance_scale": torch.tensor(7.5)}, "guidance_scale would have no effect"),
        ({"height": 512}, "height would have no effect, this model's pictures are 32 by 32 pixels"),
        ({"width": 16}, "width would have no effect"),
        ({"eta": 1.0}, "eta would have no effect"),
        ({"sigmas": [1.0, 0.5]}, "sigmas would have no effect, .* give num_inference_steps instead"),
        ({"timesteps": np.array([999])}, "timesteps would have no effect"),
        ({"prompt_embeds": torch.zeros(1, 2, 3)}, "give a prompt instead"),
        ({"stpes": 3}, "takes no stpes: it takes prompt, num_inference_steps, generator, .*, batch_size"),
        ({"stpes": None}, "takes no stpes"),
        ({"prompt": None}, "prompt must be a text"),
    ],
)
def test_what_only_other_pipelines_take_is_refused_in_one_sentence(pipe, options, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        pipe(**{"prompt": "cat", "num_inference_steps": 1} | options)
    assert len(str(refused.value).splitlines()) == 1


def test_what_only_other_pipelines_take_passes_where_it_changes_nothing(pipe):
    none = dict.fromkeys(("negative_prompt", "guidance_scale", "height", "sigmas", "timesteps", "eta", "clip_skip"))
    for options in (none, {"guidance_scale": 1.0, "height": 32, "width": 32, "eta": 0.0}, {"guidance_scale": 0}):
        assert drawn(pipe, **options) == drawn(pipe)


def test_a_bar_counts_the_steps_unless_it_is_switched_off(pipe, capsys):
    pipe(["cat", "dog"], 2)
    assert "4/4" in capsys.readouterr().err
    pipe.set_progress_bar_config(disable=True)
    pipe("cat", 2)
    del pipe._progress_bar_config
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "fp16"},
        {"safe_serialization": False},
        {"max_shard_size": "5GB"},
        {"push_to_hub": True},
        {"use_flashpack": True},
        {"repo_id": "somebody/model"},
    ],
)
def test_saving_refuses_what_it_does_not_honour(pipe, tmp_path, options):
    with pytest.raises(UserError, match=f"save_pretrained .*{next(iter(options))}.*: leave"):
        pipe.save_pretrained(tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("names", ["latents", ["prompt_embeds"], 1])
def test_a_callback_is_given_what_there_is_and_no_more(pipe, names):
    with pytest.raises(UserError, match="list latents, clean or both"):
        pipe("cat", 1, callback_on_step_end=lambda *_: None, callback_on_step_end_tensor_inputs=names)


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (torch.zeros(1, 4, 8, 8), "returned a Tensor: return a dictionary"),
        ({"clean": torch.zeros(1, 4, 8, 8)}, "returned 'clean': only latents can be replaced"),
        ({"latents": torch.zeros(1, 4, 4, 4)}, r"latents are \[1, 4, 4, 4\]"),
    ],
)
def test_a_callback_may_return_latents_and_nothing_else(pipe, returned, sentence):
    with pytest.raises(UserError, match=sentence):
        pipe("cat", 1, callback_on_step_end=lambda *_: returned)
