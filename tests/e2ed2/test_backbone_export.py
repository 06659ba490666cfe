"""What a training leaves is diffusers' own: a process without this project makes the same pictures from it."""

import json
import subprocess
import sys

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.export import LORA, save_pipeline
from e2ed2.models.backbones.lora import add_lora
from e2ed2.models.backbones.opening import quiet
from e2ed2.models.backbones.stock import stock_call
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.backbones.tiny import TINY, tiny_pipeline

PROMPT, STEPS = "red apple", (1, 2, 3, 4)
STRANGER = """
import importlib.util, json, sys
from pathlib import Path
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file

assert importlib.util.find_spec("e2ed2") is None
for folder in sys.argv[1:]:
    folder = Path(folder)
    pipe = DiffusionPipeline.from_pretrained(folder / "model")
    noise = load_file(folder / "noise.safetensors")["noise"]
    calls, size = json.loads((folder / "calls.json").read_text()), {"height": 32, "width": 32, "output_type": "pt"}
    made = {
        steps: pipe("red apple", latents=noise.clone(), **size, **call).images.contiguous()
        for steps, call in calls.items()
    }
    save_file(made, folder / "made.safetensors")
"""


def trained(family: str) -> tuple[object, Backbone]:
    """A pipeline, and its network after some training: adapters, and for PixArt another prediction."""
    pipeline = quiet(tiny_pipeline(family))
    backbone = Backbone.of(pipeline)
    if family == "pixart":
        backbone = backbone.converted("v")
    add_lora(backbone.network, 4, ("to_q", "to_v"))
    generator = torch.Generator().manual_seed(1)
    for name, weights in backbone.network.named_parameters():
        if "lora_B" in name:
            weights.data = torch.randn(weights.shape, generator=generator)
    return pipeline, backbone


@torch.no_grad()
def ours(pipeline, backbone, noise, steps):
    latents = sample(backbone, noise, PipelineText(pipeline)([PROMPT]), uniform_levels(steps))
    return PretrainedCodec(pipeline.vae).decode(latents).add(1).div(2).clamp(0, 1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """For each family a folder: the model, our pictures, and how diffusers is to be called."""
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    folders = {family: tmp_path_factory.mktemp(family) for family in TINY}
    for family, folder in folders.items():
        pipeline, backbone = trained(family)
        expected = {str(steps): ours(pipeline, backbone, noise, steps).contiguous() for steps in STEPS}
        save_file(expected, folder / "expected.safetensors")
        save_file({"noise": noise}, folder / "noise.safetensors")
        save_pipeline(pipeline, backbone, folder / "model")
        assert {file.stat().st_mode & 0o044 for file in (folder / "model").rglob("*.safetensors")} == {
            (folder / "model").stat().st_mode & 0o044
        }
        again = quiet(type(pipeline).from_pretrained(folder / "model"))
        (folder / "calls.json").write_text(json.dumps({steps: stock_call(again, steps) for steps in STEPS}))
    return folders


@pytest.fixture(scope="module")
def strangers(saved):
    """With the pictures of a process that knows diffusers alone."""
    command = [sys.executable, "-I", "-c", STRANGER, *map(str, saved.values())]
    done = subprocess.run(command, cwd=saved["sd"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return saved


@pytest.mark.slow
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("family", TINY)
def test_diffusers_alone_makes_our_pictures(strangers, family, steps):
    folder = strangers[family]
    made, expected = (load_file(folder / f"{name}.safetensors")[str(steps)] for name in ("made", "expected"))
    assert torch.allclose(made, expected, atol=1e-5)
    assert made.std() > 0.01


def test_the_adapters_made_a_difference(saved):
    folder = saved["sd"]
    pipeline = quiet(tiny_pipeline("sd"))
    noise = load_file(folder / "noise.safetensors")["noise"]
    untrained = ours(pipeline, Backbone.of(pipeline), noise, 2)
    assert not torch.allclose(untrained, load_file(folder / "expected.safetensors")["2"], atol=1e-2)


def test_the_adapters_alone_are_read_by_the_pipeline_that_they_belong_to(saved):
    folder = saved["sd"]
    merged = StableDiffusionPipeline.from_pretrained(folder / "model")
    start = quiet(tiny_pipeline("sd"))
    start.load_lora_weights(folder / "model" / LORA)
    start.scheduler = merged.scheduler
    noise = load_file(folder / "noise.safetensors")["noise"]
    call = {"latents": noise, "height": 32, "width": 32, "output_type": "pt"} | stock_call(start, 2)
    made = start(PROMPT, **call).images
    assert torch.allclose(made, load_file(folder / "expected.safetensors")["2"], atol=1e-5)


def test_a_family_whose_pipeline_reads_no_adapters_has_them_merged_only(saved):
    assert (saved["sana"] / "model" / LORA).is_dir()
    assert (saved["sd3"] / "model" / LORA).is_dir()
    assert not (saved["pixart"] / "model" / LORA).exists()


def test_saving_leaves_the_training_as_it_is(tmp_path):
    pipeline, backbone = trained("sd3")
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    scheduler = pipeline.scheduler
    save_pipeline(pipeline, backbone, tmp_path)
    assert before.keys() == backbone.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert pipeline.scheduler is scheduler
