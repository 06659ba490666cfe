"""What end-to-end training minimises, and what its models start from, recomputed by hand."""

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from e2ed2.data.batches import BatchOptions
from e2ed2.data.config import DataConfig
from e2ed2.data.from_disk import ShardBatches
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import Gradient, sample
from e2ed2.errors import UserError
from e2ed2.losses.adversarial import generator_loss
from e2ed2.losses.discriminators import Discriminator, FeatureDiscriminator
from e2ed2.losses.distribution import energy_score, mmd
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.spec import TERMS, Kind, LossSpec
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.config import DenoiserConfig
from e2ed2.models.references import WEIGHTS
from e2ed2.models.weights import load_codec, load_denoiser, save_model
from e2ed2.objectives import backbone, denoising, end_to_end
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.objectives.denoising import start_denoiser
from e2ed2.objectives.objective import Outcome
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.run import build

from .conftest import TINY_DENOISER, of_kind, options

SEEDS = UpdateSeeds(0, 3)


def built(run_config, loss, **given):
    return build(options(run_config, loss=loss, precompute=False, sampling_steps=(2,), **given))


def test_a_size_that_the_start_does_not_have_is_refused(run_config):
    with pytest.raises(UserError, match=r"whose width is 16: leave --denoiser\.width out"):
        options(run_config, denoiser=DenoiserConfig(width=24)).objective.build(32)
    options(run_config, denoiser=TINY_DENOISER).objective.build(32)


def test_samples_are_chains_of_the_model_from_the_updates_noise_several_of_each_caption(run_config):
    objective, batches = built(run_config, "l2:3", samples=2)
    batch = batches(0)
    z = torch.randn(8, *batch.latents.shape[1:], generator=SEEDS.stream("image noise"))
    chains = sample(objective.model, z, batch.text.repeat(2), uniform_levels(2))
    assert torch.equal(objective.samples(batch, SEEDS).x0, chains)
    assert objective.samples(batch, SEEDS).held is None
    outcome = objective(batch, SEEDS)
    expected = (chains - batch.latents.repeat_interleave(2, dim=0)).square().mean()
    assert outcome.total().item() == pytest.approx(3 * expected.item(), rel=1e-5)
    assert outcome.judged is None
    pull = torch.rand(chains.shape)
    assert objective(batch, SEEDS, pull).total().item() == pytest.approx((chains * pull).sum().item(), rel=1e-4)


def test_every_term_is_what_it_says_of_the_samples(run_config):
    terms = "l1+l2+energy+lpips+energy-lpips+mmd"
    objective, batches = built(run_config, terms, samples=3, repulsion=0.5)
    batch = batches(0)
    with torch.no_grad():
        x0 = objective.samples(batch, SEEDS).x0
        fake, real = objective.decode(x0, batch, SEEDS)
        found = {name: value.item() for name, value in objective(batch, SEEDS).terms.items()}
        target, pooled = batch.latents.repeat_interleave(3, dim=0), batch.text.pooled
        lpips = objective.perceptual
        distance = lpips(fake, real)
        trios = fake.unflatten(0, (4, 3))
        between = torch.stack([lpips(trios[:, a], trios[:, b]) for a, b in combinations(range(3), 2)])
        expected = {
            "l1": (x0 - target).abs().mean(),
            "l2": (x0 - target).square().mean(),
            "energy": energy_score(x0.unflatten(0, (4, 3)), batch.latents, repulsion=0.5),
            "lpips": distance.mean(),
            "energy-lpips": (distance + 1e-6).sqrt().mean() - 0.25 * (between + 1e-6).sqrt().mean(),
            "mmd": mmd(lpips.embedding(fake).unflatten(0, (4, 3)), lpips.embedding(real[::3]), pooled),
        }
    assert torch.equal(real[::3], batch.images)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item(), rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize(
    ("loss", "sees", "looks"),
    [
        ("l1+l2", False, False),
        ("energy", False, False),
        ("gan", True, False),
        ("lpips", True, True),
        ("energy-lpips", True, True),
        ("mmd", True, True),
    ],
)
def test_pictures_are_read_and_lpips_is_loaded_where_the_loss_asks_for_them(run_config, loss, sees, looks):
    config = options(run_config, loss=loss, samples=2, precompute=False).objective
    objective = config.build(32)
    assert objective.sees_images is sees
    assert (objective.perceptual is not None) is looks
    assert (objective.adversary is not None) is (loss == "gan")
    assert objective.start is None
    assert not objective.needs_held_out
    assert objective.best([{}]) is None
    assert not objective.exhausted([{}])


def test_the_adversary_learns_of_the_same_captions_that_the_generator_was_judged_by(run_config):
    objective, batches = built(run_config, "gan:2", samples=2)
    batch = batches(0)
    outcome = objective(batch, SEEDS)
    pooled = batch.text.pooled.repeat_interleave(2, dim=0)
    assert torch.equal(outcome.judged.pooled, pooled)
    assert not outcome.judged.fake.requires_grad
    assert torch.equal(outcome.judged.real, batch.images.repeat_interleave(2, dim=0))  # there is no more of them
    expected = generator_loss(objective.adversary, outcome.judged.fake, outcome.judged.real, pooled)
    assert outcome.total().item() == pytest.approx(2 * expected.item(), rel=1e-5)
    assert set(outcome.terms) == {"gan"}
    assert not any(weights.requires_grad for weights in objective.adversary.parameters())


def test_mmd_alone_asks_for_no_distance_of_pairs(run_config, monkeypatch):
    monkeypatch.setattr(PerceptualLoss, "forward", lambda *_: pytest.fail("compared"))
    objective, batches = built(run_config, "mmd")
    assert set(objective(batches(0), SEEDS).terms) == {"mmd"}


def test_a_critic_is_as_wide_as_the_captions():
    own, seeing = end_to_end.discriminator("", 9), end_to_end.discriminator("alexnet", 9)
    assert isinstance(own, Discriminator)
    assert own.caption.in_features == 9
    assert isinstance(seeing, FeatureDiscriminator)
    assert {head.caption.in_features for head in seeing.heads} == {9}


def test_the_anchor_holds_samples_to_those_of_a_frozen_start(run_config):
    objective, batches = built(run_config, "anchor")
    batch = batches(0)
    before = objective.samples(batch, SEEDS).x0
    with torch.no_grad():
        for weights in objective.model.transformers.parameters():
            weights += 0.05
    made = objective.samples(batch, SEEDS)
    assert torch.equal(made.held, before)
    expected = (made.x0 - before).square().mean().item()
    assert objective(batch, SEEDS).terms["anchor"].item() == pytest.approx(expected, rel=1e-5)
    assert not objective.start.training
    assert not any(weights.requires_grad for weights in objective.start.parameters())


@pytest.mark.parametrize(("cached", "rows"), [(True, 32), (False, None)])
def test_hundreds_of_pictures_are_looked_at_in_parts(run_config, monkeypatch, cached, rows):
    seen = []
    real_parts, real_crop = end_to_end.in_parts, end_to_end.decode_crop
    monkeypatch.setattr(end_to_end, "in_parts", lambda *given, rows: seen.append(rows) or real_parts(*given, rows=rows))
    monkeypatch.setattr(
        end_to_end, "decode_crop", lambda *given, rows: seen.append(rows) or real_crop(*given, rows=rows)
    )
    objective, batches = built(run_config, "energy-lpips+mmd", samples=2, gradient_cache=cached)
    assert objective.caches_gradient is cached
    objective(batches(0), SEEDS)
    assert seen == [rows] * 5


def test_a_chain_is_recomputed_and_cut_as_asked(run_config, monkeypatch):
    given = []
    monkeypatch.setattr(
        end_to_end, "sample", lambda *rest, **named: given.append((rest[3], named)) or sample(*rest, **named)
    )
    objective, batches = built(run_config, "l2", checkpointed=True, backprop_steps=1, detach_inputs=True)
    batch = batches(0)
    objective(batch, SEEDS)
    objective.samples(batch, SEEDS)
    how = Gradient(steps=1, detach_inputs=True, checkpointed=True)
    assert given == [((1, 0.5, 0), {"gradient": gradient}) for gradient in (how, None)]


def test_the_weights_of_a_sum_are_those_of_its_terms():
    outcome = Outcome({"l1": torch.tensor(2.0), "l2": torch.tensor(5.0)}, {"l1": 0.5, "l2": 3.0, "gan": 0.0})
    assert outcome.total() == 16
    assert outcome.detached() == outcome.terms


@pytest.mark.parametrize(("space", "sees"), [("latents", False), ("pictures", True)])
def test_a_new_term_is_a_function_and_a_line_of_the_table(run_config, monkeypatch, space, sees):
    """Its space decides what it is given, and whether batches have pictures."""
    given = []
    function = lambda compared: given.append(compared) or (compared.made - compared.targets).abs().amax()
    monkeypatch.setitem(sys.modules, "e2ed2.losses.worst", SimpleNamespace(largest=function))
    monkeypatch.setitem(TERMS, "worst", Kind(space, "worst.largest"))
    objective, batches = built(run_config, "worst:2+l2", samples=2)
    assert objective.sees_images is sees
    outcome = objective(batches(0), SEEDS)
    assert list(outcome.terms) == ["l2", "worst"]
    assert given[0].made.shape == given[0].targets.shape == ((8, 3, 32, 32) if sees else (8, 4, 8, 8))
    total = outcome.terms["l2"] + 2 * outcome.terms["worst"]
    assert outcome.total().item() == pytest.approx(total.item(), rel=1e-6)


def test_a_term_that_looks_at_lpips_says_so_in_the_table(run_config, monkeypatch):
    monkeypatch.setitem(TERMS, "lpips", TERMS["lpips"]._replace(perceptual=False))
    objective, batches = built(run_config, "lpips")
    with pytest.raises(ValueError, match="must say so"):
        objective(batches(0), SEEDS)


def test_a_term_of_the_table_that_nothing_computes_is_no_loss(run_config, monkeypatch):
    monkeypatch.setitem(TERMS, "ssim", Kind("latents"))
    objective, batches = built(run_config, "l2+ssim")
    with pytest.raises(ValueError, match="the loss has ssim"):
        objective(batches(0), SEEDS)


def test_a_term_that_was_not_computed_is_no_loss():
    with pytest.raises(ValueError, match="the loss has gan, and the objective computed no such term"):
        Outcome({"l2": torch.tensor(5.0)}, {"l2": 3.0, "gan": 1.0})


# What a denoiser starts from


@pytest.fixture
def one_hot(tiny_model, tmp_path) -> Path:
    """Another model, that reads its choice otherwise."""
    torch.manual_seed(1)
    save_model(build_denoiser(replace(TINY_DENOISER, choice="one-hot")), tmp_path / "one-hot" / "denoiser")
    save_model(load_codec(tiny_model), tmp_path / "one-hot" / "codec")
    return tmp_path / "one-hot"


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_start_is_as_it_was_but_for_what_is_asked(one_hot, tiny_model):
    usual = start_denoiser(CoarseConfig(init=str(one_hot)))
    assert usual.coarse.choice == "one-hot"
    assert same(usual, load_denoiser(one_hot))
    asked = CoarseConfig(init=str(one_hot), denoiser=replace(CoarseConfig(init="x").denoiser, choice="none"))
    assert start_denoiser(asked).coarse.choice == "none"
    both = start_denoiser(CoarseConfig(init=str(tiny_model), coarse_from=str(one_hot)))
    assert same(both.coarse, load_denoiser(one_hot).coarse)
    assert same(both.transformers, load_denoiser(tiny_model).transformers)


def test_a_start_from_nothing_has_the_sizes_that_are_given(tiny_model):
    config = CoarseConfig(codec_from=str(tiny_model), denoiser=replace(TINY_DENOISER, sharing="independent", steps=2))
    fresh = start_denoiser(config)
    assert len(fresh.transformers) == 2
    assert fresh.latent_shape == (4, 8, 8)
    assert all(weights.requires_grad for weights in fresh.coarse.parameters())
    assert fresh.text_width == 384


def test_a_resolution_that_the_latents_do_not_make_is_refused(run_config):
    for resolution in (16, 64):
        with pytest.raises(UserError, match=r"choose --data\.resolution 32"):
            run_config.objective.build(resolution)
    objective = run_config.objective.build(32)
    assert objective.model.training
    assert not any(weights.requires_grad for weights in objective.codec.parameters())


def test_a_codec_comes_from_the_start_or_from_where_it_is_named(run_config, one_hot, tmp_path):
    torch.manual_seed(5)
    other = load_codec(one_hot)
    other.std.fill_(3)
    save_model(other, tmp_path / "other" / "codec")
    config = CoarseConfig(codec_from=str(tmp_path / "other"), denoiser=TINY_DENOISER)
    assert (config.build(32).codec.std == 3).all()
    config = CoarseConfig(init=str(one_hot), codec_from=str(tmp_path / "other"))
    assert (config.build(32).codec.std != 3).all()


@pytest.mark.parametrize("kind", ["end_to_end", "single_step", "coarse"])
def test_batches_are_made_as_the_settings_say(run_config, monkeypatch, kind):
    seen = []
    monkeypatch.setattr(denoising, "captioned_batches", lambda *given: seen.append(given))
    given = {"loss": LossSpec.parse("lpips")} if kind == "end_to_end" else {}
    config = of_kind(run_config, kind, styled_share=0.3, text_noise=0.2, **given).objective
    objective = config.build(32)
    for once in (False, True):
        objective.batches("pictures", 7, 11, torch.device("meta"), once)
    objective.config = replace(config, precompute=False)
    objective.batches("pictures", 7, 11, torch.device("meta"))
    expected = BatchOptions(
        size=7,
        seed=11,
        styled_share=0.3,
        text_noise=0.2,
        with_images=kind == "end_to_end",
        with_words=kind != "coarse",
        device=torch.device("meta"),
    )
    for (pictures, encoder, codec, *how), precompute in zip(seen, (True, False, False), strict=True):
        assert how == [expected, precompute]
        assert pictures == "pictures"
        assert encoder.width == 384
        assert codec is objective.codec
        assert not codec.training
        assert encoder.device.type == codec.device.type == "meta"


@pytest.mark.parametrize(("precompute", "once", "made"), [(True, False, True), (True, True, False), (False,) * 3])
def test_a_backbones_batches_are_made_as_the_settings_say(monkeypatch, precompute, once, made):
    seen = []
    monkeypatch.setattr(backbone, "captioned_batches", lambda *given: seen.append(given) or "batches")
    config = BackboneEndToEndConfig(backbone="tiny:sd3", loss=LossSpec.parse("l2"), precompute=precompute)
    objective = BackboneEndToEnd.of(config, 32)
    assert objective.batches("pictures", 7, 11, torch.device("cpu"), once) == "batches"
    ((pictures, encoder, codec, *how),) = seen
    expected = BatchOptions(
        size=7,
        seed=11,
        styled_share=0.5,
        text_noise=0.0,
        with_images=False,
        with_words=True,
        device=torch.device("cpu"),
    )
    assert how == [expected, made]
    assert pictures == "pictures"
    assert encoder.pipeline is objective.pipeline
    assert codec is objective.codec
    objective.config = replace(config, precompute=False)
    objective.batches("pictures", 7, 11, torch.device("meta"))
    _, encoder, codec, options, _ = seen[1]
    assert {encoder.options["device"].type, options.device.type, next(codec.parameters()).device.type} == {"meta"}


@pytest.mark.parametrize(
    ("precompute", "once", "stored", "places"),
    [
        (True, False, False, ["meta", "cpu"]),
        (False, False, True, ["meta", "cpu"]),
        (False, False, False, ["meta"]),
        (True, True, False, ["meta"]),
    ],
)
def test_text_encoders_that_have_embedded_all_captions_leave_the_device(monkeypatch, precompute, once, stored, places):
    config = BackboneEndToEndConfig(backbone="tiny:sd3", loss=LossSpec.parse("l2"), precompute=precompute)
    objective, seen, move = BackboneEndToEnd.of(config, 32), [], PipelineText.to
    batches = ShardBatches.__new__(ShardBatches) if stored else "batches"
    monkeypatch.setattr(backbone, "captioned_batches", lambda *given: batches)
    monkeypatch.setattr(PipelineText, "to", lambda text, device: seen.append(str(device)) or move(text, "cpu"))
    objective.batches("pictures", 7, 11, torch.device("meta"), once)
    assert seen == places


def test_a_finished_denoiser_is_written_with_its_codec_and_an_index(run_config, tmp_path):
    objective = run_config.objective.build(32)
    objective.export(tmp_path, None)
    assert same(load_denoiser(tmp_path), objective.model)
    assert same(load_codec(tmp_path), objective.codec)
    assert (tmp_path / "model_index.json").is_file()
    assert load_file(tmp_path / "denoiser" / WEIGHTS)
    next(objective.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        objective.export(tmp_path / "none", None)


def test_one_step_and_coarse_trainings_show_targets_above_samples(run_config):
    for kind in (SingleStepConfig.kind, CoarseConfig.kind, EndToEndConfig.kind):
        objective, batches = build(of_kind(run_config, kind, precompute=False))
        batch = replace(batches(0), images=torch.zeros(4, 3, 32, 32))
        shown = objective.preview(objective.model, batch)
        assert shown.shape == (8, 3, 32, 32)
        assert (shown[:4] == 0).all()


def test_pictures_of_a_training_and_those_held_out_are_the_datas(run_config, parquet):
    objective = run_config.objective.build(32)
    data = DataConfig(path=str(parquet), resolution=32, held_out=0.25)
    learned, apart = objective.pictures(data), objective.held_out(data, 5)
    assert len(learned) > len(apart) == 5
    assert objective.held_out(DataConfig(path=str(parquet), resolution=32), 5) is None
