"""Real, tiny trainings on the bundled pictures."""

import json
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from e2ed2.data.batches import rows
from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.coarse_to_fine import CoarsePath, build_denoiser
from e2ed2.models.weights import load_codec
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.coarse import CoarseRegression
from e2ed2.objectives.config import ReconstructionConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.objectives.end_to_end import EndToEnd
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.config import RunConfig, TrainerConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.precision import precision
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import claim, train
from e2ed2.training.trainer import Trainer
from e2ed2.types import CaptionedBatch, TextEmbedding

from .conftest import TINY_CODEC, TINY_DENOISER, of_kind, options


def weights(folder, part="denoiser"):
    return load_file(folder / "model" / part / "diffusion_pytorch_model.safetensors")


def stop_after(monkeypatch, updates):
    """Ctrl-C in the middle of update `updates`."""
    original = Trainer.train_step

    def step(self):
        if self.done == updates - 1:
            signal.raise_signal(signal.SIGINT)
        return original(self)

    monkeypatch.setattr(Trainer, "train_step", step)


def whole_and_resumed(config, folder, monkeypatch, updates):
    """Folders of a training in one go, and of the same one stopped after so many updates and taken up again."""
    whole, parts = folder / "whole", folder / "parts"
    assert train(config, whole)
    with monkeypatch.context() as patch:
        stop_after(patch, updates)
        assert not train(config, parts)
    assert train(config, parts)
    return whole, parts


@pytest.mark.parametrize(
    ("objective", "loss", "samples"),
    [
        pytest.param("single_step", "l2", 1, marks=pytest.mark.slow),
        pytest.param("end_to_end", "l1", 1, marks=pytest.mark.slow),
        ("end_to_end", "l2+gan", 1),
        pytest.param("end_to_end", "energy+energy-lpips", 2, marks=pytest.mark.slow),
    ],
)
def test_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    run_config, tmp_path, monkeypatch, objective, loss, samples
):
    config = of_kind(run_config, objective)
    if objective == "end_to_end":
        config = options(config, loss=loss, samples=samples)
    folders = whole_and_resumed(config, tmp_path, monkeypatch, 2)
    whole, parts = map(weights, folders)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    one, other = ([replace(line, seconds=0) for line in read_metrics(folder)] for folder in folders)
    assert one == other


def test_nothing_precomputed_trains_alike_and_keeps_nothing_on_disk(run_config, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path / "data"))
    for precompute in (False, True):
        assert not (tmp_path / "data" / "cache").exists()
        assert train(options(run_config, precompute=precompute), tmp_path / str(precompute))
    one, other = ([line.value("l2") for line in read_metrics(tmp_path / str(p))] for p in (False, True))
    assert one == pytest.approx(other, rel=1e-2)


def test_a_run_from_before_a_setting_goes_on(run_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(run_config, tmp_path)
    written = json.loads((tmp_path / "run.json").read_text())
    del written["config"]["objective"]["precompute"]
    (tmp_path / "run.json").write_text(json.dumps(written))
    assert train(run_config, tmp_path)
    with pytest.raises(UserError, match="other settings"):
        train(options(run_config, precompute=False), tmp_path)


def test_end_to_end_training_lowers_its_loss(run_config, tmp_path):
    trainer = replace(run_config.trainer, updates=20, batch_size=16, lr=1e-2, preview_every=20)
    assert train(replace(options(run_config, coarse_lr_share=1.0), trainer=trainer), tmp_path)
    losses = [line.value("l2") for line in read_metrics(tmp_path)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert list((tmp_path / "previews").glob("*.png"))


def of_two_drawings(tiny_model: Path, text: TextEmbedding, named: bool, **options: Any) -> CoarsePath:
    """Trained on one caption with two drawings: all 1 and all -1."""
    torch.manual_seed(0)
    denoiser = build_denoiser(replace(TINY_DENOISER, choice="one-hot"))
    objective = CoarseRegression(denoiser, load_codec(tiny_model), CoarseConfig(init="here", **options))
    light, dark = torch.ones(1, 4, 8, 8), -torch.ones(1, 4, 8, 8)
    batch = CaptionedBatch(
        images=torch.empty(0),
        text=text[:1].repeat(16),
        latents=torch.cat([light, dark] * 8),
        named=torch.full((16,), named),
    )
    optimizer = torch.optim.Adam(denoiser.coarse.parameters(), lr=1e-2)
    for update in range(200):
        optimizer.zero_grad()
        objective(batch, UpdateSeeds(0, update)).total().backward()
        optimizer.step()
    return denoiser.coarse.requires_grad_(False)


@pytest.mark.parametrize(("samples", "named", "apart"), [(1, False, False), (4, False, True), (4, True, False)])
def test_choices_come_to_mean_drawings_where_the_caption_leaves_it_open(samples, named, apart, tiny_model, text):
    """One choice learns the mean of two drawings, several learn both; a named style is obeyed by all."""
    path = of_two_drawings(tiny_model, text, named, samples=samples)
    made = path(2.0 * torch.eye(4), text[:1].repeat(4)).mean(dim=(1, 2, 3))
    assert (made.max() - made.min() > 1.4).item() is apart


def test_one_path_learns_drawings_with_a_choice_and_their_mean_without(tiny_model, text):
    path = of_two_drawings(tiny_model, text, False, samples=4, plain_share=0.5)
    made = path(2.0 * torch.eye(4), text[:1].repeat(4)).mean(dim=(1, 2, 3))
    assert made.max() - made.min() > 1.4
    assert path(torch.zeros(1, 4), text[:1]).abs().max() < 0.3
    alone = of_two_drawings(tiny_model, text, False, samples=4)
    assert alone(torch.zeros(1, 4), text[:1]).mean().abs() > 0.3  # it never saw none


def test_of_several_noises_the_one_whose_coarse_picture_is_nearest_is_trained_on(tiny_model, text):
    """Where the caption names its style, the first noise is taken as it comes."""
    torch.manual_seed(0)
    denoiser = build_denoiser(replace(TINY_DENOISER, choice="one-hot"))
    config = EndToEndConfig(init="here", loss=LossSpec.parse("l2"), nearest_of=8)
    objective = EndToEnd(denoiser, load_codec(tiny_model), config)
    batch = CaptionedBatch(
        images=torch.empty(0),
        text=text[:1].repeat(4),
        latents=torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
        named=torch.tensor([False, False, False, True]),
    )
    seeds = UpdateSeeds(0, 0)
    drawn = torch.randn(32, 4, 8, 8, generator=seeds.stream("image noise")).unflatten(0, (4, 8))
    coarse = [denoiser.condition(noise, batch.text).coarse for noise in drawn.unbind(dim=1)]
    errors = torch.stack([(one - batch.latents).square().mean(dim=(1, 2, 3)) for one in coarse])
    chosen = objective.noise(batch, seeds)
    made = (denoiser.condition(chosen, batch.text).coarse - batch.latents).square().mean(dim=(1, 2, 3))
    assert torch.allclose(made[:3], errors.min(dim=0).values[:3])
    assert not torch.allclose(errors.min(dim=0).values, errors[0])
    assert torch.equal(chosen[3], drawn[3, 0])
    with pytest.raises(UserError, match="nearest-of or --samples"):
        replace(config, samples=2)
    with pytest.raises(UserError, match="at least 1"):
        replace(config, nearest_of=0)


def test_coarse_training_leaves_the_transformer_alone(run_config, tiny_model, tmp_path):
    before = load_file(tiny_model / "denoiser" / "diffusion_pytorch_model.safetensors")
    assert train(of_kind(run_config, "coarse", coarse_lr_share=1.0), tmp_path)
    after = weights(tmp_path)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("coarse.layers") for name in changed)


def test_codec_training_measures_its_latents(parquet, tmp_path):
    config = RunConfig(
        ReconstructionConfig(codec=TINY_CODEC),
        data=DataConfig(path=str(parquet), resolution=64),
        trainer=TrainerConfig(updates=3, batch_size=4, preview_every=3),
    )
    assert train(config, tmp_path)
    assert (weights(tmp_path, "codec")["std"] != 1).all()


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(run_config, tmp_path, monkeypatch):
    from e2ed2.objectives.end_to_end import EndToEnd

    original = EndToEnd.compare
    monkeypatch.setattr(
        EndToEnd, "compare", lambda self, *given: {k: v * float("nan") for k, v in original(self, *given).items()}
    )
    with pytest.raises(UserError, match="not finite"):
        train(run_config, tmp_path)
    assert not (tmp_path / "model").exists()


def test_a_folder_holds_one_run(run_config, tmp_path):
    train(run_config, tmp_path)
    with pytest.raises(UserError, match="other settings"):
        train(options(run_config, loss="l1"), tmp_path)


def test_a_finished_run_holds_its_folder_without_its_checkpoints_too(run_config, tmp_path):
    claim(tmp_path, run_config)
    (tmp_path / "model").mkdir()
    claim(tmp_path, run_config)
    with pytest.raises(UserError, match="other settings"):
        claim(tmp_path, options(run_config, loss="l1"))


def test_without_git_the_commit_is_empty(run_config, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    claim(tmp_path, run_config)
    assert json.loads((tmp_path / "run.json").read_text())["commit"] == ""


@pytest.mark.parametrize(("resolution", "crop"), [(34, 32), (32, 18)])
def test_a_codec_learns_on_whole_latents(run_config, tmp_path, resolution, crop):
    data = replace(run_config.data, resolution=resolution)
    with pytest.raises(UserError, match="choose multiples of 4"):
        train(replace(of_kind(run_config, "codec", crop=crop), data=data), tmp_path)


def test_a_damaged_checkpoint_is_one_sentence(run_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        train(run_config, tmp_path)
    next((tmp_path / "checkpoints").glob("*/model.safetensors")).write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot be resumed"):
        train(run_config, tmp_path)


def test_every_epoch_sees_every_picture_once_in_another_order():
    epochs = [torch.cat([rows(step, 4, 12, seed=3) for step in range(3 * e, 3 * e + 3)]) for e in range(2)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_batches_that_straddle_an_epoch_are_full():
    assert len(rows(2, 5, 12, seed=0)) == 5


def test_every_preset_is_valid_and_reachable():
    assert {
        "codec",
        "coarse",
        "single-step",
        "l1",
        "l2",
        "lpips",
        "l2-lpips",
        "l2-lpips-gan",
        "energy",
        "independent",
    } <= set(PRESETS)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (EndToEndConfig, {"loss": LossSpec.parse("energy"), "init": "x"}, "at least 2 samples"),
        (EndToEndConfig, {"init": ""}, "needs a codec"),
        (EndToEndConfig, {"init": "x", "sampling_steps": ()}, "sampling-steps"),
        (EndToEndConfig, {"init": "x", "text_noise": -1}, "text-noise"),
        (CoarseConfig, {"init": "x", "styled_share": 2}, "styled-share"),
        (CoarseConfig, {"init": "x", "samples": 0}, "at least 1"),
        (EndToEndConfig, {"init": "x", "repulsion": -1}, "repulsion"),
        (SingleStepConfig, {"init": "x", "coarse_lr_share": -1}, "coarse-lr-share"),
        (SingleStepConfig, {"init": "x", "time_shift": 0.0}, "time-shift"),
        (ReconstructionConfig, {"crop": 0}, "crop"),
        (ReconstructionConfig, {"edges": -1}, "edges"),
        (ReconstructionConfig, {"zoom": 0.5}, "zoom"),
        (ReconstructionConfig, {"zoom_share": 1.5}, "zoom-share"),
        (ReconstructionConfig, {"decoder_only": True}, "--init"),
    ],
)
def test_impossible_settings_are_refused(kind, given, words):
    with pytest.raises(UserError, match=words):
        kind(**given)


@pytest.mark.parametrize(
    "setting",
    [
        {"lr": -1},
        {"lr": float("nan")},
        {"clip": 0},
        {"clip": -1},
        {"warmup": -5},
        {"adversary_lr": 0},
        {"weight_decay": -1},
        {"seed": -1},
        {"seed": 2**64},
        {"updates": 0},
        {"batch_size": -1},
        {"ema_decay": 1.0},
    ],
)
def test_nonsense_is_refused_by_its_name(setting):
    (name,) = setting
    with pytest.raises(UserError, match=name.replace("_", "-")):
        TrainerConfig(**setting)


def test_independent_steps_have_parameters_of_their_own(run_config, tmp_path):
    from pathlib import Path

    from e2ed2.models.weights import load_codec, save_model

    start = tmp_path / "start"
    save_model(build_denoiser(replace(TINY_DENOISER, sharing="independent", steps=2)), start / "denoiser")
    save_model(load_codec(Path(run_config.objective.init)), start / "codec")
    assert train(options(run_config, init=str(start), sampling_steps=(2,)), tmp_path / "run")
    after = weights(tmp_path / "run")
    assert not torch.equal(after["transformers.0.out.weight"], after["transformers.1.out.weight"])


def test_independent_steps_can_start_as_one_shared_transformer(run_config, tmp_path):
    config = options(run_config, sampling_steps=(2,), denoiser=replace(TINY_DENOISER, sharing="independent", steps=2))
    assert train(config, tmp_path)
    after = weights(tmp_path)
    assert not torch.equal(after["transformers.0.out.weight"], after["transformers.1.out.weight"])


def test_auto_precision_is_bf16_only_where_the_hardware_multiplies_it(monkeypatch):
    cpu = torch.device("cpu")
    for flag, expected in (("amx_bf16", "bf16"), ("avx512_bf16", "bf16"), ("avx2", "no")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flag=flag: {flag: True})
        assert precision(TrainerConfig(), cpu) == expected
        assert precision(TrainerConfig(mixed_precision="no"), cpu) == "no"


def test_the_card_says_what_the_training_cost(run_config, tmp_path, counted):
    assert train(run_config, tmp_path)
    cost = json.loads((tmp_path / "model" / "run.json").read_text())["cost"]
    assert cost["flop"] > 0
    assert f"{cost['flop'] / 1e15:.3g} PFLOP" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.slow
def test_interrupted_command_says_how_to_go_on(run_config, tmp_path):
    arguments = [
        "train",
        "l2",
        "--out",
        str(tmp_path / "run"),
        "--init",
        run_config.objective.init,
        "--data.path",
        run_config.data.path,
        "--data.resolution",
        "32",
        "--sampling-steps",
        "1",
        "--trainer.updates",
        "100000",
        "--trainer.batch-size",
        "2",
        "--trainer.log-every",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "e2ed2", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    began = any(line.startswith("1/100000,") for line in process.stdout)  # ends with the process, or at its first line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert began, err
    assert process.returncode == 130, err
    assert "the same command resumes" in out
    assert list((tmp_path / "run" / "checkpoints").glob("*/model.safetensors"))


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(run_config, tmp_path):
    """No file may grow past 30 kB, which is how a full disk looks to the program that writes."""
    folder = tmp_path / "run"
    config = replace(run_config, trainer=replace(run_config.trainer, save_every=2))
    script = (
        "import resource, sys, pickle; from pathlib import Path; from e2ed2.training.run import train\n"
        "from e2ed2.errors import UserError\n"
        "from e2ed2.training.trainer import Trainer\n"
        "config, folder = pickle.loads(sys.stdin.buffer.read())\n"
        "step = Trainer.train_step\n"
        "def fill(self):\n"
        "    if self.done == 2: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "    return step(self)\n"
        "Trainer.train_step = fill\n"
        "try: train(config, folder)\n"
        "except UserError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps((config, folder)), capture_output=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.decode().strip().splitlines()[-1]
    assert "free some space" in last
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["000002"]
    assert train(config, folder)  # the same command goes on
