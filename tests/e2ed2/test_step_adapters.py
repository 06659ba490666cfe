"""Independent steps of a backbone: an adapter for each step on one frozen network (Fig. 4)."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from app.engine.catalogue import Models
from e2ed2 import E2ED2Pipeline
from e2ed2.data.config import DataConfig
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.evaluation.protocols.arms import Arm
from e2ed2.evaluation.protocols.changed import generator_of
from e2ed2.inference.request import Request
from e2ed2.losses.spec import LossSpec
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.card import usage
from e2ed2.training.config import RunConfig
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer, TrainerConfig
from e2ed2.types import CaptionedBatch

from .conftest import two_pictures
from .test_processes import assert_equal, checkpoint, in_two, one_process, words
from .test_training import whole_and_resumed

PROMPT = "red apple"
MADE = [("sd", 2), ("sd", 4), ("sana", 4), ("sd3", 3)]
STRANGER = """
import importlib.util, sys
from pathlib import Path
from safetensors.torch import load_file, save_file

assert importlib.util.find_spec("e2ed2") is None
for folder in map(Path, sys.argv[1:]):
    known = {"noise": load_file(folder / "noise.safetensors")["noise"]}
    exec((folder / "card.py").read_text(), known)
    save_file({"made": known["made"].contiguous()}, folder / "made.safetensors")
"""


def objective(family="sd", steps=2, **options) -> BackboneEndToEnd:
    usual = {"sharing": "independent", "lora_rank": 4, "loss": LossSpec.parse("l2")}
    config = BackboneEndToEndConfig(backbone=f"tiny:{family}", sampling_steps=(steps,), **usual | options)
    torch.manual_seed(3)  # of the adapters
    return BackboneEndToEnd.of(config, 32)


def stirred(made: BackboneEndToEnd) -> BackboneEndToEnd:
    """With adapters that do something, each something else."""
    generator = torch.Generator().manual_seed(1)
    for name, weights in made.model.named_parameters():
        if "lora_B" in name:
            weights.data = torch.randn(weights.shape, generator=generator) * 0.5
    return made


@pytest.fixture(scope="module")
def batch() -> CaptionedBatch:
    return two_pictures(objective(), [PROMPT, "a blue dog"])


def gradients(made: BackboneEndToEnd, batch: CaptionedBatch) -> dict[str, torch.Tensor]:
    made.zero_grad()
    made(batch, UpdateSeeds(0, 0)).total().backward()
    return {name: weights.grad for name, weights in made.model.named_parameters() if weights.requires_grad}


def test_every_step_has_an_adapter_which_begins_as_nothing_and_is_all_that_learns(batch):
    made, shared = objective(steps=3), objective(steps=3, sharing="shared")
    names = {name for name, weights in made.model.named_parameters() if weights.requires_grad}
    assert {re.search(r"step_\d", name)[0] for name in names} == {"step_1", "step_2", "step_3"}
    assert len(names) == 3 * len(trained(shared.model))
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(*(sample(one.model, noise, batch.text, uniform_levels(3)) for one in (made, shared)))


def test_the_gradients_of_equal_adapters_add_up_to_that_of_a_shared_one(batch):
    shared, own = stirred(objective(steps=3, sharing="shared")), objective(steps=3)
    weights = dict(shared.model.named_parameters())
    for name, value in own.model.named_parameters():
        value.data = weights[re.sub(r"step_\d", "default", name)].data.clone()
    summed: dict[str, torch.Tensor] = {}
    for name, slope in gradients(own, batch).items():
        assert slope.abs().max() > 0 or "lora_B" in name
        name = re.sub(r"step_\d", "default", name)
        summed[name] = summed.get(name, 0) + slope
    whole = gradients(shared, batch)
    assert whole.keys() == summed.keys()
    largest = max(slope.abs().max() for slope in whole.values())
    assert all(torch.allclose(whole[name], summed[name], rtol=1e-4, atol=1e-5 * largest) for name in whole)


@pytest.mark.parametrize(
    "recomputed",
    [
        {"checkpointed": True},
        {"block_checkpointing": True},
        {"checkpointed": True, "block_checkpointing": True},
        {"block_checkpointing": True, "family": "sana"},
        {"block_checkpointing": True, "family": "sd3"},
    ],
    ids=" ".join,
)
def test_what_is_recomputed_is_recomputed_with_the_adapter_of_its_step(batch, recomputed):
    family = recomputed.get("family", "sd")
    plain = stirred(objective(family, 3))
    batch = replace(batch, text=plain.encoder("cpu")([PROMPT, "a blue dog"]))
    expected, found = gradients(plain, batch), gradients(stirred(objective(**{"steps": 3} | recomputed)), batch)
    largest = max(slope.abs().max() for slope in expected.values())
    assert {re.search(r"step_\d", name)[0] for name, slope in expected.items() if slope.any()} == {
        "step_1",
        "step_2",
        "step_3",
    }
    assert all(torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-6 * largest) for name in expected)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tune": "full"}, "leave --tune full or --sharing out"),
        ({"sampling_steps": (1, 2)}, "--sampling-steps 4, at least 2"),
        ({"sampling_steps": (1,)}, "--sampling-steps 4, at least 2"),
        ({"backprop_steps": 1}, "would never learn"),
        ({"random_backprop": True}, "would never learn"),
    ],
)
def test_what_leaves_a_step_without_an_adapter_or_an_adapter_without_a_step_is_refused(options, told):
    usual = {"backbone": "tiny:sd", "sharing": "independent", "sampling_steps": (2,)}
    with pytest.raises(UserError, match=told):
        BackboneEndToEndConfig(**usual | options)


def test_independent_steps_are_not_sharded_nor_of_a_pipeline_that_reads_no_adapters():
    with pytest.raises(UserError, match="does not go with --sharing independent"):
        RunConfig(objective().config, trainer=TrainerConfig(shard=True))
    with pytest.raises(UserError, match="A PixArtAlphaPipeline reads no adapters"):
        objective("pixart")


def card_of(made: BackboneEndToEnd, folder) -> str:
    """The code on the card, on a given noise, whose picture is `made`."""
    text = usage(folder, RunConfig(made.config), SimpleNamespace(example=PROMPT))
    code = "\n".join(line.removeprefix("    ") for line in text.splitlines() if not line or line.startswith("    "))
    given = "latents=noise, height=32, width=32, output_type='pt'"
    call = re.compile(r"^pipe\((.*)\)\.images\[0\]$", re.M)
    assert call.search(code)
    return call.sub(rf"made = pipe(\1, {given}).images", code)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder each: the model, its card's code, a noise, and what our chain makes of it."""
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(5))
    folders = {}
    for family, steps in MADE:
        folders[family, steps] = folder = tmp_path_factory.mktemp(f"{family}-{steps}")
        made = stirred(objective(family, steps))
        with torch.no_grad():
            latents = sample(made.model, noise, made.encoder("cpu")([PROMPT]), uniform_levels(steps))
            expected = PretrainedCodec(made.pipeline.vae).decode(latents).add(1).div(2).clamp(0, 1)
        made.write(folder / "model", None)
        save_file({"noise": noise}, folder / "noise.safetensors")
        save_file({"expected": expected.contiguous()}, folder / "expected.safetensors")
        (folder / "card.py").write_text(card_of(made, folder / "model"))
    return folders


def close(made: torch.Tensor, folder) -> bool:
    return torch.allclose(made, load_file(folder / "expected.safetensors")["expected"], atol=1e-5)


def test_the_code_on_the_card_makes_our_pictures_and_the_pipeline_alone_those_of_its_start(finished):
    folder = finished["sd", 2]
    known = {"noise": load_file(folder / "noise.safetensors")["noise"]}
    exec((folder / "card.py").read_text(), known)
    assert close(known["made"], folder)
    call = {"num_inference_steps": 2, "guidance_scale": 1, "height": 32, "width": 32, "output_type": "pt"}
    again = known["pipe"](PROMPT, latents=known["noise"], callback_on_step_end=known["next_adapter"], **call).images
    assert close(again, folder)  # the last step's callback made the first adapter active
    known["pipe"].disable_lora()
    assert not close(known["pipe"](PROMPT, latents=known["noise"], **call).images, folder)
    assert sorted(file.name for file in (folder / "model" / "lora").iterdir()) == [
        "step_1.safetensors",
        "step_2.safetensors",
    ]


@pytest.mark.slow  # 15 s: a process that imports diffusers anew
def test_diffusers_alone_makes_our_pictures(finished):
    command = [sys.executable, "-I", "-c", STRANGER, *map(str, finished.values())]
    done = subprocess.run(command, cwd=finished["sd", 2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for folder in finished.values():
        made = load_file(folder / "made.safetensors")["made"]
        assert close(made, folder)
        assert made.std() > 0.01


def test_the_commands_and_the_pages_sample_each_step_with_its_adapter(finished, called, tmp_path):
    folder = finished["sd", 2]
    expected = load_file(folder / "expected.safetensors")["expected"][0].permute(1, 2, 0).mul(255).numpy()
    command = ("sample", "--model", folder / "model", "--prompt", PROMPT, "--seed", 5)
    file = tmp_path / called(*command, "--steps", 2, "--out", tmp_path).out.strip().rpartition("/")[2]
    assert abs(np.asarray(Image.open(file)) - expected).max() <= 1
    models = Models(tmp_path, tmp_path, {"added/own": folder / "model"})
    assert models.steps("added/own") == (2,)
    heard = []
    made = models.sampled(Request(PROMPT, "added/own", 2, 5), heard.append)
    assert abs(np.asarray(made) - expected).max() <= 1
    assert heard == [None, None]
    assert "choose 2, not 4" in called(*command, "--steps", 4, code=2).err
    assert "2 steps: " in (told := called("inspect", folder / "model").out)
    assert "3 steps: " not in told
    assert "parts: " not in told  # no training starts from it
    with pytest.raises(UserError, match="has a chain of its own: leave scheduler out"):
        generator_of(Arm(str(folder / "model"), 2, scheduler="DDIMScheduler"), "cpu")


def test_our_pipeline_samples_them_too(finished):
    folder = finished["sd3", 3]
    ours, noise = E2ED2Pipeline.from_pretrained(folder / "model"), load_file(folder / "noise.safetensors")["noise"]
    assert close(ours(PROMPT, 3, latents=noise, output_type="pt").images, folder)
    with pytest.raises(UserError, match="choose 3, not 2"):
        ours(PROMPT, 2)


def test_a_copy_without_an_adapter_is_not_sampled_and_none_is_trained_on(finished, called, tmp_path):
    whole = finished["sd", 2] / "model"
    with pytest.raises(UserError, match="2 independent steps: start from"):
        BackboneEndToEnd.of(BackboneEndToEndConfig(backbone=str(whole)), 32)
    (tmp_path / "captions.txt").write_text("a cat\n")
    pairs = (
        "data",
        "pairs",
        tmp_path / "captions.txt",
        "--backbone",
        whole,
        "--resolution",
        32,
        "--out",
        tmp_path / "p",
    )
    assert "2 independent steps: start from" in called(*pairs, code=2).err
    shutil.copytree(whole, tmp_path / "copy")
    (tmp_path / "copy" / "lora" / "step_2.safetensors").unlink()
    for command in ("sample", "--prompt", "cat", "--steps", 2, "--model"), ("inspect",):
        assert "step_2.safetensors, the adapter of one" in called(*command, tmp_path / "copy", code=2).err
    with pytest.raises(UserError, match="copy the whole folder again"):
        E2ED2Pipeline.from_pretrained(tmp_path / "copy")


@pytest.fixture(scope="module")
def few(parquet, tmp_path_factory):
    """Eight pictures."""
    file = tmp_path_factory.mktemp("few") / "few.parquet"
    pq.write_table(pq.read_table(parquet).slice(0, 8), file)
    return file


def run(few, **trainer) -> RunConfig:
    usual = {"updates": 2, "batch_size": 2, "lr": 1e-3, "warmup": 1, "ema_decay": 0.5, "log_every": 1}
    data = DataConfig(path=str(few), resolution=32)
    return RunConfig(
        objective().config, data, TrainerConfig(**usual | {"preview_every": 100, "mixed_precision": "no"} | trainer)
    )


def test_an_update_moves_every_steps_adapter_and_its_average(few, tmp_path):
    config = run(few, accumulate=2)
    trainer = Trainer(config.trainer, *build(config), tmp_path)
    named = {name: weights for name, weights in trainer.model.named_parameters() if "lora_B" in name}
    assert not any(weights.any() for weights in named.values())
    for _ in range(2):
        trainer.train_step()
    moved = {name: weights.clone() for name, weights in named.items()}
    for step in ("step_1", "step_2"):
        assert all(weights.any() for name, weights in moved.items() if step in name)
    with trainer.averaged():
        assert not any(torch.equal(weights, moved[name]) for name, weights in named.items())


@pytest.mark.slow  # 4 s: three trainings, each with its model
def test_a_stopped_training_goes_on_bit_for_bit(few, tmp_path, monkeypatch):
    config = run(few, accumulate=2)
    whole, parts = map(checkpoint, whole_and_resumed(config, tmp_path, monkeypatch, 1))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert {re.search(r"step_\d", name)[0] for name in whole} == {"step_1", "step_2"}
    one, other = (load_file(tmp_path / "whole" / "model" / "lora" / f"step_{k}.safetensors") for k in (1, 2))
    assert all(value.abs().max() > 0 for value in (*one.values(), *other.values()))
    assert "pipe.set_adapters(adapters[0])" in (tmp_path / "parts" / "model" / "README.md").read_text()


@pytest.mark.slow  # a minute: two processes
def test_two_processes_learn_what_one_does(few, tmp_path):
    config = run(few, clip=1e9)
    config = replace(config, objective=replace(config.objective, checkpointed=True, block_checkpointing=True))
    own = ("--backbone", "tiny:sd", "--lora-rank", 4, "--sharing", "independent", "--block-checkpointing")
    in_two("sd15-l2-lpips", *own, *words(config, tmp_path))
    assert_equal(checkpoint(tmp_path), one_process(config, 2)[0])
