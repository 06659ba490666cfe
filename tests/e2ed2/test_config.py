"""A run's settings: how they are kept, and that files of before are read."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from e2ed2.assets import CHECKPOINTS
from e2ed2.data.commands import Look
from e2ed2.errors import UserError
from e2ed2.evaluation.config import Evaluate
from e2ed2.losses.spec import LossSpec
from e2ed2.models.config import CodecConfig, DenoiserConfig
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.config import PreferenceConfig, ReconstructionConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.training.config import KINDS, RunConfig, TrainerConfig, flat, upgraded
from e2ed2.training.options import refuse_unread
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import train

from .conftest import options
from .test_training import stop_after

FILES = sorted(CHECKPOINTS.glob("*/run.json"))


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_read_as_they_were_written(name):
    written = PRESETS[name].plain()
    assert upgraded(json.loads(json.dumps(written))) == written


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_settings_of_the_bundled_models_are_read(file):
    before = json.loads(file.read_text())["config"]
    now, own = upgraded(before), before["objective"]
    if isinstance(own, str):  # the options of all objectives lay beside it
        own = before | {"kind": own}
    assert now["objective"]["kind"] == own["kind"]
    for name in {"loss", "sampling_steps", "time_shift", "init", "crop"} & set(now["objective"]) & set(own):
        assert now["objective"][name] == own[name]
    assert set(now["objective"]) == {one.name for one in fields(KINDS[own["kind"]])} | {"kind"}
    assert now["trainer"]["lr"] == before["trainer"]["lr"]
    assert now["data"]["resolution"] == 128


def test_what_an_objective_never_read_is_dropped_and_what_is_younger_is_usual():
    before = {"objective": "codec", "loss": "l2", "crop": 64, "codec": {"widths": [8], "encoder_layers": [1]}}
    now = upgraded(before)["objective"]
    assert "loss" not in now
    assert (now["crop"], now["lpips"], now["zoom"]) == (64, 0.5, 1)
    trainer = upgraded(before | {"trainer": {"steps": 7, "lr": 0.1}})["trainer"]
    assert (trainer["updates"], trainer["lr"], "steps" in trainer) == (7, 0.1, False)
    assert (now["codec"]["widths"], now["codec"]["finest"]) == ([8], 32)


def test_a_run_without_adapters_goes_on_whatever_their_rank_was_by_default():
    config = RunConfig(BackboneEndToEndConfig(backbone="tiny:sd", tune="full"))
    before = config.plain()
    before["objective"]["lora_rank"] = 16
    assert upgraded(before) == config.plain()


def test_settings_have_the_names_of_the_command_line():
    names = flat(PRESETS["l2"].plain())
    assert {"loss", "sampling-steps", "denoiser.width", "data.path", "trainer.lr", "kind"} <= set(names)
    assert not [name for name in names if "_" in name or name.startswith("objective")]


def as_before(config) -> dict:
    """As the first `run.json` files were: flat, with the options of all objectives."""
    settings = config.plain()
    objective = settings.pop("objective")
    kind = objective.pop("kind")
    trainer = settings.pop("trainer")
    settings["trainer"] = {"steps": trainer.pop("updates")} | trainer
    return settings | {"time_shift": 3.0, "crop": 128} | objective | {"objective": kind}


def test_a_run_with_settings_of_before_goes_on(run_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(run_config, tmp_path)
    file = tmp_path / "run.json"
    old = json.dumps({"config": as_before(run_config)})
    file.write_text(old)
    with pytest.raises(UserError, match=r"other settings \(loss\)"):
        train(options(run_config, loss="l1"), tmp_path)
    for damaged in (old[:40], "[]", "{}", '{"config": {"objective": "none"}}'):
        file.write_text(damaged)
        with pytest.raises(UserError, match=r"run.json is damaged: delete it"):
            train(run_config, tmp_path)
    file.write_text(old)
    assert train(run_config, tmp_path)
    assert json.loads(file.read_text())["config"] == run_config.plain()


@pytest.mark.parametrize(
    "given", [["--time_shift=5"], ["--no-checkpointed", "--no-precompute"], ["--lpips", "1"], ["--codec.finest", "9"]]
)
def test_an_option_is_refused_however_it_is_written(given):
    with pytest.raises(UserError, match="kind coarse does not read --"):
        refuse_unread(PRESETS["coarse"].objective, given)


def test_options_that_all_read_are_not_refused():
    for preset in PRESETS.values():
        start = next(f"--{name}" for name in ("init", "backbone", "votes") if hasattr(preset.objective, name))
        refuse_unread(preset.objective, [start, "a", "--trainer.lr", "1", "--data.path", "--out=b", "loss"])


DENOISER, BACKBONE = {"init": "x"}, {"backbone": "tiny:sd", "loss": LossSpec.parse("l2")}
PLEASING = {"loss": LossSpec.parse("l2+preference"), "preference_from": "x"}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (ReconstructionConfig, {"crop": 1}),
        (ReconstructionConfig, {"lpips": 0.0, "edges": 0.0, "latent_noise": 0.0, "zoom": 128.0, "zoom_share": 0.0}),
        (ReconstructionConfig, {"init": "x", "decoder_only": True, "codec": CodecConfig(finest_layers=2)}),
        (ReconstructionConfig, {"codec": CodecConfig(latent_channels=8)}),
        (CoarseConfig, DENOISER | {"styled_share": 0.0, "text_noise": 0.0, "plain_share": 1.0}),
        (CoarseConfig, {"codec_from": "x", "styled_share": 1.0}),
        (SingleStepConfig, DENOISER | {"time_shift": 0.5, "coarse_lr_share": 0.0}),
        (PreferenceConfig, {"members": 2}),
        (EndToEndConfig, DENOISER | {"loss": LossSpec.parse("l2+gan"), "critic": "alexnet"}),
        (EndToEndConfig, DENOISER | {"loss": LossSpec.parse("energy"), "samples": 2, "repulsion": 0.0}),
        (EndToEndConfig, DENOISER | {"sampling_steps": (1,), "backprop_steps": 1, "nearest_of": 2}),
        (EndToEndConfig, DENOISER | PLEASING | {"patience": 1, "follow_unsure": True}),
        (BackboneSingleStepConfig, {"backbone": "x", "few_steps_share": 0.0}),
        (BackboneSingleStepConfig, {"backbone": "x", "few_steps_share": 1.0}),
        (BackboneEndToEndConfig, BACKBONE | {"lora_rank": 1, "decode": "latent"}),
        (BackboneEndToEndConfig, BACKBONE | {"decode": "tiny", "tiny_codec": "x", "decode_crop": 1, "decode_batch": 1}),
        (BackboneEndToEndConfig, BACKBONE | {"tune": "full", "parts": ("attn2",)}),
        (BackboneEndToEndConfig, BACKBONE | {"guidance": 1.5, "teacher_steps": 1}),
        (BackboneEndToEndConfig, BACKBONE | PLEASING | {"decode": "tiny", "tiny_codec": "x"}),
    ],
)
def test_what_is_just_possible_is_taken(kind, given):
    made = kind(**given)
    assert {name: getattr(made, name) for name in given.keys() - {"loss"}} == {
        name: value for name, value in given.items() if name != "loss"
    }


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (DenoiserConfig, {"heads": 0}, "heads must be at least 1"),
        (DenoiserConfig, {"coarse_width": 0}, "coarse-width must be at least 1"),
        (CodecConfig, {"latent_channels": 0}, "latent-channels"),
        (CodecConfig, {"decoder_layers": (1, -1, 1)}, "decoder-layers"),
        (TrainerConfig, {"betas": (0.9, 1.0)}, "betas are 0.9 and 1.0"),
        (Evaluate, {"seed": -1}, "Seed -1 is out of range"),
        (Evaluate, {"variety": -1}, "variety and nearest"),
        (Evaluate, {"nearest": -1}, "variety and nearest"),
        (Look, {"limit": 0}, "limit 1 or more"),
        (Look, {"out": Path("sheet")}, "ends in .png"),
        (ReconstructionConfig, {"lpips": -0.1}, "must be at least 0"),
        (ReconstructionConfig, {"edges": -0.1}, "must be at least 0"),
        (ReconstructionConfig, {"latent_noise": -0.1}, "must be at least 0"),
        (ReconstructionConfig, {"zoom": 129.0}, "crop's 128"),
        (ReconstructionConfig, {"zoom_share": -0.1}, "zoom-share"),
        (ReconstructionConfig, {"init": "x", "codec": CodecConfig(latent_channels=8)}, "only --codec.finest-layers"),
        (CoarseConfig, DENOISER | {"styled_share": -0.1}, "styled-share"),
        (CoarseConfig, DENOISER | {"styled_share": 1.5}, "styled-share"),
        (CoarseConfig, DENOISER | {"plain_share": -0.1}, "plain-share"),
        (CoarseConfig, DENOISER | {"plain_share": 1.5}, "plain-share"),
        (CoarseConfig, DENOISER | {"text_noise": -0.1}, "text-noise"),
        (CoarseConfig, DENOISER | {"coarse_lr_share": -0.1}, "coarse-lr-share"),
        (CoarseConfig, DENOISER | {"coarse_lr_share": 0.0}, "all that learns here"),
        (PreferenceConfig, {"members": 1}, "at least 2"),
        (EndToEndConfig, DENOISER | {"samples": 0}, "at least 1"),
        (EndToEndConfig, DENOISER | {"loss": LossSpec.parse("l2+energy-lpips")}, "at least 2 samples"),
        (EndToEndConfig, DENOISER | {"repulsion": 1.5}, "repulsion"),
        (EndToEndConfig, DENOISER | {"nearest_of": 0}, "nearest-of is 0"),
        (EndToEndConfig, DENOISER | {"nearest_of": 2, "samples": 2}, "nearest-of or --samples"),
        (EndToEndConfig, DENOISER | {"backprop_steps": 0}, "backprop-steps"),
        (EndToEndConfig, DENOISER | {"backprop_steps": 5}, "no chain has more than 4"),
        (EndToEndConfig, DENOISER | {"sampling_steps": (0, 1)}, "sampling-steps"),
        (BackboneSingleStepConfig, {"backbone": "x", "few_steps_share": 1.5}, "few-steps-share"),
        (BackboneSingleStepConfig, {"backbone": "x", "few_steps_share": -0.1}, "few-steps-share"),
        (BackboneEndToEndConfig, BACKBONE | {"lora_targets": ()}, "lora-targets"),
        (BackboneEndToEndConfig, BACKBONE | {"tune": "full", "lora_targets": ("to_q",)}, "no adapters"),
        (BackboneEndToEndConfig, BACKBONE | {"decode_crop": 0}, "decode-crop"),
        (BackboneEndToEndConfig, BACKBONE | {"guidance": 1.0}, "guidance is 1"),
        (BackboneEndToEndConfig, BACKBONE | {"guidance": -2.0}, "guidance is -2"),
        (BackboneEndToEndConfig, BACKBONE | {"guidance": 2.0, "samples": 2}, "leave --samples out"),
        (BackboneEndToEndConfig, BACKBONE | {"guidance": 2.0, "teacher_steps": 0}, "teacher-steps is 0"),
        (BackboneEndToEndConfig, BACKBONE | {"teacher_steps": 24}, "--guidance: add it"),
        (BackboneEndToEndConfig, BACKBONE | PLEASING | {"decode": "latent"}, "whole pictures"),
    ],
)
def test_what_is_just_impossible_is_refused(kind, given, words):
    with pytest.raises(UserError, match=words):
        kind(**given)
