"""Backbones of diffusers through the ordinary trainer, with tiny random weights."""

import re
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from diffusers import AutoencoderTiny
from safetensors.torch import load_file

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.adversarial import generator_loss
from e2ed2.losses.spec import LossSpec
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.opening import check_resolution
from e2ed2.models.backbones.tiny import tiny_pipeline
from e2ed2.objectives.backbone import BackboneEndToEnd, BackboneSingleStep
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.card import usage
from e2ed2.training.config import RunConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import train
from e2ed2.training.trainer import Trainer, TrainerConfig
from e2ed2.types import CaptionedBatch

from .conftest import two_pictures
from .test_training import whole_and_resumed

PROMPTS = ["red apple", "a blue dog"]


def objective(loss="l2", family="sd3", **options) -> BackboneEndToEnd:
    config = BackboneEndToEndConfig(backbone=f"tiny:{family}", loss=LossSpec.parse(loss), **options)
    torch.manual_seed(3)  # of the adapters
    return BackboneEndToEnd.of(config, 32)


@pytest.fixture(scope="module")
def batch() -> CaptionedBatch:
    return two_pictures(BackboneEndToEnd.of(BackboneEndToEndConfig(backbone="tiny:sd3"), 32), PROMPTS)


def stirred(made):
    """With adapters that do something."""
    generator = torch.Generator().manual_seed(1)
    for name, weights in made.model.named_parameters():
        if "lora_B" in name:
            weights.data = torch.randn(weights.shape, generator=generator) * 0.3
    return made


def gradient(made, batch, update=0) -> torch.Tensor:
    made.zero_grad()
    made(batch, UpdateSeeds(0, update)).total().backward()
    return torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in trained(made.model)])


def test_adapters_alone_are_trained_and_begin_as_nothing(batch):
    made, plain = objective(), Backbone.of(tiny_pipeline("sd3"))
    names = [name for name, weights in made.model.named_parameters() if weights.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    noise, level = torch.randn(2, 4, 16, 16), torch.ones(2)
    assert torch.equal(made.model(noise, level, batch.text), plain(noise, level, batch.text))


def test_all_weights_or_named_parts_are_trained():
    whole = objective(family="sd", tune="full")
    assert len(trained(whole.model)) == len(list(whole.model.parameters()))
    parts = objective(family="sd", tune="full", parts=("attn2",))
    assert 0 < len(trained(parts.model)) < len(trained(whole.model))


@pytest.mark.parametrize(
    "family", [pytest.param("sd", marks=pytest.mark.slow), pytest.param("sana", marks=pytest.mark.slow), "sd3"]
)
def test_recomputing_a_step_or_its_blocks_changes_no_gradient(batch, family):
    if family != "sd3":
        made = BackboneEndToEnd.of(BackboneEndToEndConfig(backbone=f"tiny:{family}"), 32)
        batch = replace(batch, text=made.encoder("cpu")(PROMPTS))
    options = {"family": family, "sampling_steps": (2,)}
    plain = gradient(stirred(objective(**options)), batch)
    assert plain.abs().max() > 0
    for more in ({"checkpointed": True}, {"block_checkpointing": True}):
        again = gradient(stirred(objective(**options, **more)), batch)
        assert torch.allclose(again, plain, rtol=1e-5, atol=1e-6 * plain.abs().max())


def test_the_gradient_is_that_of_the_loss(batch):
    """Against differences, along a direction of chance."""
    made = stirred(objective(sampling_steps=(2,)))
    slope, weights = gradient(made, batch), trained(made.model)
    direction = torch.randn(slope.shape, generator=torch.Generator().manual_seed(2))
    pieces = direction.split([w.numel() for w in weights])

    def loss(step):
        with torch.no_grad():
            for w, piece in zip(weights, pieces, strict=True):
                w += step * piece.view_as(w)
            value = made(batch, UpdateSeeds(0, 0)).total().double()
            for w, piece in zip(weights, pieces, strict=True):
                w -= step * piece.view_as(w)
        return value

    step = 3e-3
    measured = (loss(step) - loss(-step)) / (2 * step)
    assert measured.item() == pytest.approx((slope @ direction).item(), rel=2e-2)


@pytest.mark.parametrize("family", ["sd", pytest.param("sana", marks=pytest.mark.slow)])
def test_no_gradient_passes_what_a_network_reads_where_that_is_asked_for(batch, family):
    """With and without recomputed steps, alike; the loss is what it was."""
    made = BackboneEndToEnd.of(BackboneEndToEndConfig(backbone=f"tiny:{family}"), 32)
    batch = replace(batch, text=made.encoder("cpu")(PROMPTS))
    full, detached, again = (
        stirred(objective(family=family, sampling_steps=(2,), **options))
        for options in ({}, {"detach_inputs": True}, {"detach_inputs": True, "checkpointed": True})
    )
    assert full(batch, UpdateSeeds(0, 0)).total() == detached(batch, UpdateSeeds(0, 0)).total()
    slope, whole = gradient(detached, batch), gradient(full, batch)
    assert torch.allclose(gradient(again, batch), slope, rtol=1e-5, atol=1e-6 * slope.abs().max())
    last = gradient(stirred(objective(family=family, sampling_steps=(2,), backprop_steps=1)), batch)
    assert not torch.allclose(slope, whole, rtol=1e-2)
    assert not torch.allclose(slope, last, rtol=1e-2)


def test_one_cut_an_update_the_same_on_all_processes():
    made = objective(sampling_steps=(4,), random_backprop=True)
    cuts = [[made.backprop_steps(4, UpdateSeeds(0, update, process)) for update in range(40)] for process in (0, 1)]
    assert cuts[0] == cuts[1]
    assert set(cuts[0]) == {1, 2, 3, 4}
    most = objective(sampling_steps=(4,), random_backprop=True, backprop_steps=2)
    assert {most.backprop_steps(4, UpdateSeeds(0, update)) for update in range(40)} == {1, 2}
    assert {most.backprop_steps(1, UpdateSeeds(0, update)) for update in range(9)} == {1}
    assert objective(backprop_steps=3).backprop_steps(4, UpdateSeeds(0, 0)) == 3


def test_a_cut_leaves_out_the_gradient_of_the_steps_before(batch):
    cut = {last: gradient(stirred(objective(sampling_steps=(2,), backprop_steps=last)), batch) for last in (1, 2, None)}
    assert torch.equal(cut[2], cut[None])
    assert not torch.allclose(cut[1], cut[2], rtol=1e-2)


def test_a_picture_is_decoded_in_parts_with_the_same_gradient(batch):
    together, parts = (
        gradient(stirred(objective("lpips", sampling_steps=(1,), decode_batch=size)), batch) for size in (2, 1)
    )
    assert together.abs().max() > 0
    assert torch.allclose(together, parts, rtol=1e-4, atol=1e-6 * together.abs().max())


def test_a_crop_is_compared_with_the_same_crop_coded_and_decoded(batch):
    made = objective("lpips", decode="crop", decode_crop=8)
    fake, real = made.decode(batch.latents, batch, UpdateSeeds(0, 0))
    assert fake.shape == (2, 3, 16, 16)
    assert torch.equal(fake, real)


def test_a_tiny_decoder_judges_in_place_of_the_large_one(batch, tmp_path):
    sizes = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    AutoencoderTiny(num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), **sizes).save_pretrained(tmp_path)
    made = objective("lpips", decode="tiny", tiny_codec=str(tmp_path))
    fake, real = made.decode(batch.latents, batch, UpdateSeeds(0, 0))
    assert fake.shape == real.shape == (2, 3, 32, 32)
    assert not torch.equal(fake, made.codec.decode(batch.latents))
    assert not trained(made.tiny)
    with pytest.raises(UserError, match="no AutoencoderTiny"):
        objective("lpips", decode="tiny", tiny_codec=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"backbone": ""}, "--backbone"),
        ({"lora_rank": 0}, "lora-rank"),
        ({"parts": ("attn2",)}, "lora-targets"),
        ({"tune": "full", "lora_rank": 4}, "no adapters"),
        ({"decode": "latent"}, "lpips looks at pictures"),
        ({"decode": "tiny"}, "go together"),
        ({"tiny_codec": "x"}, "go together"),
        ({"decode_batch": 0}, "decode-batch"),
        ({"sampling_steps": ()}, "sampling-steps"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, told):
    with pytest.raises(UserError, match=told):
        BackboneEndToEndConfig(**{"backbone": "tiny:sd"} | options)


def test_what_the_backbone_cannot_do_is_refused():
    with pytest.raises(UserError, match=r"No layer's name ends in nonsense: choose --lora-targets among .*to_q"):
        objective(lora_targets=("nonsense",))
    with pytest.raises(UserError, match="No weights are called nonsense"):
        objective(tune="full", parts=("nonsense",))
    with pytest.raises(UserError, match="convert it") as refused:
        objective(family="pixart")
    assert str(refused.value).partition("e2ed2 train ")[2].split()[0] in PRESETS
    with pytest.raises(UserError, match=r"add --data.resolution 32"):
        BackboneEndToEnd.of(BackboneEndToEndConfig(backbone="tiny:sd"), 512)
    with pytest.raises(UserError, match="nothing to convert"):
        BackboneSingleStep.of(BackboneSingleStepConfig(backbone="tiny:sana"), 32)
    with pytest.raises(UserError, match="few-steps-share"):
        BackboneSingleStepConfig(backbone="tiny:sd", few_steps_share=2)


def test_levels_of_a_conversion_are_those_of_short_chains_and_some_of_all():
    made = BackboneSingleStep.of(BackboneSingleStepConfig(backbone="tiny:pixart"), 32)
    assert (made.model.prediction, made.model.path.alpha(1.0)) == ("v", 0.0)
    levels = made.levels(1000, UpdateSeeds(0, 0))
    few = sum(torch.isclose(levels, torch.tensor(float(one))) for one in (1, 3 / 4, 2 / 3, 1 / 2, 1 / 3, 1 / 4)).bool()
    assert 0.45 < few.float().mean() < 0.56
    assert levels.min() > 0
    assert (levels == 1).float().mean() > 0.1
    only = BackboneSingleStep.of(BackboneSingleStepConfig(backbone="tiny:sana", prediction="keep"), 32)
    assert only.model.prediction == "velocity"


def test_levels_of_a_conversion_are_visited_as_often_as_by_chains_of_one_to_four_steps():
    made = BackboneSingleStep.of(BackboneSingleStepConfig(backbone="tiny:pixart", few_steps_share=1.0), 32)
    levels, seeds = made.levels(20_000, UpdateSeeds(0, 0)), UpdateSeeds(0, 0)
    shares = {
        t: torch.isclose(levels, torch.tensor(t)).float().mean().item() for t in (1.0, 3 / 4, 2 / 3, 1 / 2, 1 / 3)
    }
    assert shares == pytest.approx({1: 0.4, 3 / 4: 0.1, 2 / 3: 0.1, 1 / 2: 0.2, 1 / 3: 0.1}, abs=0.015)
    made.config = replace(made.config, few_steps_share=0.0)
    levels = made.levels(20_000, seeds)
    assert levels.mean().item() == pytest.approx(0.5, abs=0.015)
    assert 0 < levels.min() < levels.max() <= 1
    assert torch.equal(levels, made.levels(20_000, seeds))
    assert not torch.equal(levels, made.levels(20_000, UpdateSeeds(0, 1)))


@pytest.mark.parametrize(("family", "prediction"), [("sd3", "keep"), ("pixart", "sample")])
def test_one_step_of_a_backbone_estimates_the_sample_from_its_noisy_version(batch, family, prediction):
    made = BackboneSingleStep.of(BackboneSingleStepConfig(backbone=f"tiny:{family}", prediction=prediction), 32)
    if prediction != "keep":
        assert made.model.prediction == prediction
    batch = replace(batch, text=made.encoder("cpu")(PROMPTS))
    x0, seeds = batch.latents, UpdateSeeds(0, 3)
    z = torch.randn(x0.shape, generator=seeds.stream("image noise"))
    levels = made.levels(2, seeds)
    assert levels[0] != levels[1]
    alpha, sigma = (value.view(2, 1, 1, 1) for value in made.model.path.coefficients(levels))
    expected = (made.model(alpha * x0 + sigma * z, levels, batch.text) - x0).square().mean()
    outcome = made(batch, seeds)
    assert set(outcome.terms) == {"l2"}
    assert outcome.total().item() == pytest.approx(expected.item(), rel=1e-5)
    assert outcome.judged is None


def test_a_backbone_learns_at_one_rate_and_its_network_is_what_is_compiled():
    made = objective()
    (group,) = made.parameter_groups(0.02)
    assert group["lr"] == 0.02
    assert {id(weights) for weights in group["params"]} == {id(weights) for weights in trained(made.model)}
    assert made.compiled_parts() == [made.model.network]
    assert made.model.training
    assert made.teacher is None
    assert made.tiny is None


def test_targets_are_repeated_for_every_sample_of_their_caption(batch):
    made = objective("lpips", samples=2)
    latents = batch.latents.repeat_interleave(2, dim=0)
    _, real = made.decode(latents, batch, UpdateSeeds(0, 0))
    assert torch.equal(real, batch.images.repeat_interleave(2, dim=0))
    made = objective("lpips", samples=2, decode="crop", decode_crop=8)
    fake, real = made.decode(latents, batch, UpdateSeeds(0, 0))
    assert torch.allclose(fake, real, atol=1e-5)
    assert not torch.allclose(real[1], real[2], atol=1e-2)
    assert not real.requires_grad


def test_pictures_are_decoded_so_many_at_a_time_in_float32(batch, monkeypatch):
    made, sizes = objective("lpips", decode_batch=3), []
    decode = made.codec.decode
    monkeypatch.setattr(made.codec, "decode", lambda part: sizes.append(len(part)) or decode(part).double())
    pictures = made.in_parts(made.codec, batch.latents.repeat(4, 1, 1, 1))
    assert sizes == [3, 3, 2]
    assert pictures.dtype == torch.float32
    assert torch.allclose(pictures[:2], decode(batch.latents), atol=1e-5)


def test_a_discriminator_of_pictures_judges_those_that_a_backbone_made(batch):
    made = objective("gan:2", sampling_steps=(1,), samples=2)
    outcome = made(batch, UpdateSeeds(0, 0))
    pooled = batch.text.pooled.repeat_interleave(2, dim=0)
    fake, real = outcome.judged.fake, outcome.judged.real
    assert torch.equal(outcome.judged.pooled, pooled)
    assert torch.equal(real, batch.images.repeat_interleave(2, dim=0))
    assert outcome.total().item() == pytest.approx(2 * generator_loss(made.adversary, fake, real, pooled).item())


def test_a_resolution_is_a_multiple_of_what_the_network_takes():
    check_resolution("some/where", 96, 32)
    check_resolution("tiny:sd", 32, 16)
    for resolution, near in ((100, 96), (120, 128), (5, 32)):
        with pytest.raises(UserError, match=f"multiple of 32: try --data.resolution {near}[.]"):
            check_resolution("some/where", resolution, 32)
    with pytest.raises(UserError, match="is for pictures of 32"):
        check_resolution("tiny:sd", 64, 16)


def test_blocks_are_recomputed_where_it_is_asked_for():
    assert objective(block_checkpointing=True).model.network.is_gradient_checkpointing
    assert not objective().model.network.is_gradient_checkpointing


def run(parquet, config, **trainer) -> RunConfig:
    usual = {"updates": 3, "batch_size": 2, "lr": 1e-3, "warmup": 1, "ema_decay": 0.5, "log_every": 1}
    data = DataConfig(path=str(parquet), resolution=32)
    return RunConfig(config, data=data, trainer=TrainerConfig(**usual | {"preview_every": 100} | trainer))


@pytest.fixture(scope="module")
def few(parquet, tmp_path_factory):
    """Eight pictures."""
    file = tmp_path_factory.mktemp("few") / "few.parquet"
    pq.write_table(pq.read_table(parquet).slice(0, 8), file)
    return file


def state(folder) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").glob("*")) / "model.safetensors")


def test_a_stopped_training_goes_on_bit_for_bit(few, tmp_path, monkeypatch):
    cut = BackboneEndToEndConfig(
        backbone="tiny:sd3", loss=LossSpec.parse("l2"), random_backprop=True, sampling_steps=(1, 2)
    )
    config = run(few, cut)
    whole, parts = map(state, whole_and_resumed(config, tmp_path, monkeypatch, 2))
    assert whole.keys() == parts.keys()
    assert all("lora_" in name or "pos_embed" in name for name in whole)  # what is trained, and buffers
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "parts" / "model" / "model_index.json").is_file()
    card = (tmp_path / "parts" / "model" / "README.md").read_text()
    assert "sigmas=[1.0, 0.5]" in card
    assert "given `sigmas`: by itself it would begin its last step at 0.001." in card
    assert "E2ED2Pipeline" not in card
    assert "`tiny:sd3`, trained further" in card


def test_the_card_says_how_diffusers_makes_the_steps_of_the_training(tmp_path):
    def card(family: str, steps: tuple[int, ...]) -> str:
        options = {"backbone": f"tiny:{family}", "tune": "full", "loss": LossSpec.parse("l2"), "sampling_steps": steps}
        objective = BackboneEndToEnd.of(BackboneEndToEndConfig(**options), 32)
        objective.write(tmp_path / family, None)
        return usage(tmp_path / family, RunConfig(objective.config), SimpleNamespace(example="cat"))

    assert "num_inference_steps=2, guidance_scale=1).images" in (one := card("sd3", (2, 2)))
    assert "the very steps of the training, which were 2, and no other number." in one
    sd = BackboneSingleStep.of(BackboneSingleStepConfig(backbone="tiny:pixart", tune="full"), 32)
    sd.write(tmp_path / "pixart", None)
    call = usage(tmp_path / "pixart", RunConfig(sd.config), SimpleNamespace(example="cat"))
    assert "num_inference_steps=4, guidance_scale=1, clean_caption=False)" in call


@pytest.mark.parametrize(
    ("family", "asked", "used", "said"),
    [
        ("sd", "auto", "bf16", "divided by 0.068 .* bf16 changes it by 2.4%"),
        ("sd", "auto", "no", ""),
        ("sd", "bf16", "bf16", ""),
        ("sd3", "auto", "bf16", ""),
    ],
)
def test_what_rounding_costs_is_said_where_auto_is_bf16(tmp_path, capsys, family, asked, used, said):
    made = objective(family=family)
    capsys.readouterr()
    Trainer(TrainerConfig(mixed_precision=asked), made, Mock(), tmp_path, Accelerator(mixed_precision=used))
    assert re.search(said, (printed := capsys.readouterr().err))
    assert bool(printed) == bool(said)


@pytest.mark.slow
def test_a_backbone_learns(few, tmp_path):
    objective = BackboneEndToEndConfig(backbone="tiny:sana", tune="full", loss=LossSpec.parse("l2"), precompute=True)
    assert train(run(few, objective, updates=60, batch_size=8, lr=1e-2, ema_decay=0.9), tmp_path)
    losses = [line.value("l2") for line in read_metrics(tmp_path)]
    assert sum(losses[-5:]) < sum(losses[:5]) / 2


@pytest.mark.slow
def test_a_dry_run_says_what_the_run_would_be(few, called):
    command = ["train", "sd15-l2-lpips", "--backbone", "tiny:sd", "--data.path", few, "--data.resolution", "32"]
    printed = called(*command, "--dry-run").out
    assert "M trained parameters" in printed
    assert '"backbone": "tiny:sd"' in printed
