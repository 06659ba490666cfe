"""Rules of a training, each of which could be broken without a crash: the model would only be worse."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from e2ed2.errors import UserError
from e2ed2.losses.adversarial import RELATIVISTIC
from e2ed2.losses.discriminators import Discriminator
from e2ed2.losses.pixel import edges, l1, l2
from e2ed2.models.codec import Codec, build_codec
from e2ed2.models.config import CodecConfig
from e2ed2.models.weights import load_codec, save_model
from e2ed2.objectives import end_to_end, single_step
from e2ed2.objectives.chain import decode_crop, decode_preview, noise_like, random_window, same_crop
from e2ed2.objectives.config import ReconstructionConfig
from e2ed2.objectives.reconstruction import Reconstruction
from e2ed2.objectives.single_step import SingleStep
from e2ed2.seeds import UpdateSeeds, stream
from e2ed2.training.config import TrainerConfig
from e2ed2.training.run import build, train
from e2ed2.training.trainer import Trainer
from e2ed2.types import CaptionedBatch, PictureBatch

from .conftest import TINY_CODEC, of_kind, options


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    config = TrainerConfig(updates=110, warmup=10).schedule
    assert [config.share(k) for k in range(10)] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert config.share(10) == 1
    assert config.share(60) == pytest.approx(0.5)
    assert config.share(35) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert config.share(109) < 0.001


def test_every_update_is_made_at_its_own_rate(run_config, tmp_path, monkeypatch):
    used = []
    config = replace(run_config.trainer, updates=6, warmup=2, lr=0.01)
    trainer = Trainer(config, *build(run_config), tmp_path)
    inner = trainer.optimizer.optimizer
    real = inner.step
    monkeypatch.setattr(
        inner, "step", lambda *given: used.append([g["lr"] for g in inner.param_groups]) or real(*given)
    )
    full = trainer.full_rates
    for _ in range(6):
        trainer.train_step()
    expected = [[rate * config.schedule.share(k) for rate in full] for k in range(6)]
    assert used == [pytest.approx(row) for row in expected]
    assert used[0][0] < used[1][0] > used[5][0]


def test_the_coarse_path_learns_at_its_share_of_the_rate(run_config):
    config = options(run_config, coarse_lr_share=0.1)
    objective = build(config)[0]
    model = objective.model
    coarse, transformer = objective.parameter_groups(0.02)
    assert (coarse["lr"], transformer["lr"]) == (pytest.approx(0.002), 0.02)
    assert {id(p) for p in coarse["params"]} == {id(p) for p in model.coarse.parameters()}
    assert not any(p.requires_grad for p in build(options(config, coarse_lr_share=0.0))[0].model.coarse.parameters())


def test_the_finished_model_has_the_averaged_weights(run_config, tmp_path, monkeypatch):
    """Their mean over updates, weighted by powers of the decay, from diffusers' own warm-up of it."""
    seen = []
    real = Trainer.train_step

    def step(self):
        metrics = real(self)
        seen.append({name: value.detach().clone() for name, value in self.model.state_dict().items()})
        return metrics

    monkeypatch.setattr(Trainer, "train_step", step)
    assert train(run_config, tmp_path)
    written = load_file(tmp_path / "model" / "denoiser" / "diffusion_pytorch_model.safetensors")
    name = next(name for name in written if name.startswith("transformers") and name.endswith("out.weight"))
    decays = [min(0.5, k / (9 + k)) for k in range(1, 5)]  # (1 + k) / (10 + k), one update later
    average = seen[0][name]
    for decay, weights in zip(decays[1:], seen[1:], strict=True):
        average = decay * average + (1 - decay) * weights[name]
    assert torch.allclose(written[name].float(), average, rtol=2e-2, atol=2e-5)
    assert not torch.allclose(written[name].float(), seen[-1][name], rtol=2e-3, atol=2e-6)


class Enlarge:
    """A decoder whose pictures are the latents' first three channels, four times as large."""

    def decode(self, latents):
        return latents[:, :3].repeat_interleave(4, -1).repeat_interleave(4, -2)


@pytest.fixture
def latents():
    return torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_window_that_is_decoded_is_that_of_the_target(latents):
    images = Enlarge().decode(latents)
    places = set()
    for update in range(20):
        seeds = UpdateSeeds(0, update).on_cpu("decoded window")
        fake, real = decode_crop(Enlarge(), latents, images, seeds, size=4)
        assert fake.shape == (2, 3, 16, 16)
        assert torch.equal(fake, real)
        places.add(fake[0, 0, 0, 0].item())
    assert len(places) > 10


def test_the_adversary_judges_the_same_square_of_both():
    images = torch.randn(2, 3, 40, 24, generator=torch.Generator().manual_seed(0))
    places = set()
    for update in range(20):
        fake, real = same_crop(images, images + 1, UpdateSeeds(0, update).on_cpu("judged square"), size=16)
        assert fake.shape == (2, 3, 16, 16)
        assert torch.equal(fake + 1, real)
        places.add(fake[0, 0, 0, 0].item())
    assert len(places) > 10


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_time_shift_moves_levels_towards_noise(run_config, monkeypatch, shift):
    """Esser et al. 2024, eq. 23."""
    levels = []
    real = single_step.add_noise
    monkeypatch.setattr(single_step, "add_noise", lambda x0, z, t: levels.append(t) or real(x0, z, t))
    objective, batches = build(of_kind(run_config, "single_step", time_shift=shift, precompute=False))
    assert isinstance(objective, SingleStep)
    objective(batches(0), UpdateSeeds(0, 0))
    drawn = 1 - torch.rand(len(levels[0]), generator=UpdateSeeds(0, 0).stream("time"))
    assert torch.allclose(levels[0], shift * drawn / (1 + (shift - 1) * drawn))


def test_single_step_training_estimates_the_sample_from_its_noisy_version(run_config):
    objective, batches = build(of_kind(run_config, "single_step", time_shift=3.0, precompute=False))
    assert isinstance(objective, SingleStep)
    batch, seeds = batches(0), UpdateSeeds(0, 5)
    x0 = batch.latents
    z = torch.randn(x0.shape, generator=seeds.stream("image noise"))
    drawn = 1 - torch.rand(len(x0), generator=seeds.stream("time"))
    t = (3 * drawn / (1 + 2 * drawn)).view(-1, 1, 1, 1)
    conditioning = objective.model.condition(z, batch.text)
    clean = objective.model((1 - t) * x0 + t * z, t.flatten(), batch.text, conditioning)
    outcome = objective(batch, seeds)
    assert set(outcome.terms) == {"l2"}
    assert outcome.total().item() == pytest.approx((clean - x0).square().mean().item(), rel=1e-5)


def test_the_noise_on_latents_is_of_a_strength_of_each_pictures_own_in_units_of_each_channel():
    objective = reconstruction(lpips=0.0, noise=0.5)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents, generator = objective.model.encode_raw(images), UpdateSeeds(0, 7).stream("latent noise")
    strength = torch.rand(3, 1, 1, 1, generator=generator)
    noise = torch.randn(latents.shape, generator=generator)
    spread = torch.stack([latents[:, channel].std() for channel in range(latents.shape[1])]).view(1, -1, 1, 1)
    decoded = objective.model.decode_raw(latents + 0.5 * strength * spread * noise)
    outcome = objective(PictureBatch(images), UpdateSeeds(0, 7))
    assert set(outcome.terms) == {"l1"}
    assert outcome.total().item() == pytest.approx(l1(decoded, images).item(), rel=1e-5)


def test_a_codecs_likeness_is_of_the_zoomed_square():
    objective = reconstruction(lpips=1.0, zoom=2.0)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seeds = UpdateSeeds(0, 1)
    decoded = objective.model.decode_raw(objective.model.encode_raw(images))
    expected = objective.perceptual(*objective.zoomed(decoded, images, seeds)).mean()
    assert objective(PictureBatch(images), seeds).terms["lpips"].item() == pytest.approx(expected.item(), rel=1e-4)


class Many:
    """So many pictures, each asked for as its number."""

    def __init__(self, count):
        self.count, self.asked = count, []

    def __len__(self):
        return self.count

    def tensor(self, rows, device):
        self.asked.append((rows, device))
        return rows


@pytest.mark.parametrize(("count", "apart"), [(40, 1), (1200, 2), (2048, 4)])
def test_latents_are_measured_on_about_512_pictures_from_all_over_the_set(tmp_path, count, apart):
    objective, pictures, measured = reconstruction(), Many(count), []
    objective.model.measure = measured.extend
    objective.write(tmp_path, pictures)
    assert torch.cat(measured).tolist() == list(range(0, count, apart))
    assert max(len(chunk) for chunk in measured) <= 64
    assert {str(device) for _, device in pictures.asked} == {"cpu"}
    assert (tmp_path / "codec").is_dir()


def test_a_codec_shows_pictures_above_their_reconstructions_and_learns_from_crops_of_its_size(run_config):
    objective, batches = build(of_kind(run_config, "codec", init="", crop=16, codec=TINY_CODEC))
    assert batches(0).images.shape == (4, 3, 16, 16)
    first, again, other = batches(0).images, batches(0).images, build(seeded(run_config, 1))[1](0).images
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    images = batches(0).images
    shown = objective.preview(objective.model, PictureBatch(images))
    assert torch.equal(shown[:4], images)
    assert shown.shape == (8, 3, 16, 16)


def seeded(run_config, seed):
    config = of_kind(run_config, "codec", init="", crop=16, codec=TINY_CODEC)
    return replace(config, trainer=replace(config.trainer, seed=seed))


def test_a_codec_keeps_what_it_starts_from(run_config):
    start = load_codec(Path(run_config.objective.init))
    kept = Reconstruction.of(ReconstructionConfig(init=run_config.objective.init, crop=32), 32).model
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), kept.parameters(), strict=True))
    assert kept.config == start.config
    assert all(weights.requires_grad for weights in kept.parameters())
    with pytest.raises(UserError, match="multiples of 4"):
        Reconstruction.of(ReconstructionConfig(init=run_config.objective.init, crop=18), 32)
    Reconstruction.of(ReconstructionConfig(init=run_config.objective.init, crop=18), 16)  # no crop is larger


def test_a_window_is_as_large_as_asked_or_all_there_is(latents):
    generator = torch.Generator().manual_seed(0)
    windows = [random_window((5, 7), 3, generator) for _ in range(200)]
    assert {(rows.start, rows.stop) for rows, _ in windows} == {(n, n + 3) for n in range(3)}
    assert {(columns.start, columns.stop) for _, columns in windows} == {(n, n + 3) for n in range(5)}
    assert random_window((5, 7), 6, generator)[0] == slice(0, 5)
    assert random_window((7, 5), 6, generator)[1] == slice(0, 5)
    assert random_window((5, 7), 9, generator) == (slice(0, 5), slice(0, 7))
    images = Enlarge().decode(latents)
    assert decode_crop(Enlarge(), latents, images, generator)[0].shape == (2, 3, 32, 32)  # 8 latents
    large = torch.zeros(1, 3, 70, 66)
    assert same_crop(large, large, generator)[0].shape == (1, 3, 64, 64)


def test_windows_are_decoded_so_many_at_a_time(latents):
    sizes = []

    class Counted(Enlarge):
        def decode(self, latents):
            sizes.append(len(latents))
            return super().decode(latents).double()

    images = Enlarge().decode(latents)
    fake, real = decode_crop(Counted(), latents, images, UpdateSeeds(0, 0).on_cpu("decoded window"), size=4, rows=1)
    assert sizes == [1, 1]
    assert torch.equal(fake, real)
    assert fake.dtype == torch.float32


def test_a_preview_is_clamped_below_its_targets(latents):
    batch = CaptionedBatch(torch.zeros(2, 3, 64, 64), latents, None, None)
    shown = decode_preview(Enlarge(), batch, 9 * latents)
    assert torch.equal(shown[:2], batch.images)
    assert (shown[2:].min(), shown[2:].max()) == (-1, 1)


def test_noise_without_a_generator_is_always_the_same_and_of_the_latents_kind(latents):
    assert torch.equal(noise_like(latents), noise_like(latents))
    assert torch.equal(noise_like(latents), torch.randn(latents.shape, generator=stream(0, "image noise")))
    assert noise_like(latents.double()).dtype == torch.float64
    given = noise_like(latents, UpdateSeeds(0, 3).stream("image noise"))
    assert torch.equal(given, torch.randn(latents.shape, generator=UpdateSeeds(0, 3).stream("image noise")))


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("single_step", {"precompute": False}),
        ("coarse", {"precompute": False, "samples": 3}),
        ("codec", {"init": "", "codec": TINY_CODEC}),
    ],
)
def test_what_is_drawn_is_drawn_where_the_batch_is(run_config, kind, given):
    objective, batches = build(of_kind(run_config, kind, **given))
    batch = batches(0)
    if kind == "coarse":
        batch = replace(batch, named=torch.tensor([False, False, True, False]))
    plain = objective(batch, UpdateSeeds(0, 0)).total()
    with torch.device("meta"):  # what says no device of its own would land there
        assert torch.equal(objective(batch, UpdateSeeds(0, 0)).total(), plain)


def test_a_codec_weighs_likeness_as_it_says():
    objective = Reconstruction(build_codec(TINY_CODEC), ReconstructionConfig(latent_noise=0.0, lpips=0.7))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    outcome = objective(PictureBatch(images), UpdateSeeds(0, 0))
    decoded = objective.model.decode_raw(objective.model.encode_raw(images))
    likeness, distance = objective.perceptual(decoded, images).mean().item(), (decoded - images).abs().mean().item()
    assert outcome.terms["lpips"].item() == pytest.approx(likeness)
    assert outcome.terms["l1"].item() == pytest.approx(distance)
    assert outcome.total().item() == pytest.approx(distance + 0.7 * likeness)


def reconstruction(noise=0.0, **given) -> Reconstruction:
    torch.manual_seed(0)
    return Reconstruction(build_codec(TINY_CODEC), ReconstructionConfig(latent_noise=noise, **given))


def test_a_codec_weighs_edges_as_it_says():
    objective = reconstruction(lpips=0.0, edges=0.25)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    outcome = objective(PictureBatch(images), UpdateSeeds(0, 0))
    decoded = objective.model.decode_raw(objective.model.encode_raw(images))
    assert set(outcome.terms) == {"l1", "edges"}
    expected = l1(decoded, images).item() + 0.25 * edges(decoded, images).item()
    assert outcome.total().item() == pytest.approx(expected)


def test_zoomed_likeness_is_of_one_square_of_both_somewhere_else_each_time():
    objective = reconstruction(zoom=2.0)
    seen = []
    ramp = torch.arange(32.0).expand(2, 3, 32, 32) + 100 * torch.arange(32.0)[:, None]
    for update in range(6):
        fake, real = objective.zoomed(ramp, ramp + 1, UpdateSeeds(0, update))
        assert fake.shape == real.shape == ramp.shape
        assert torch.allclose(fake + 1, real, atol=1e-3)
        inside = fake[0, 0, 4:-4, 4:-4]
        assert torch.allclose(inside.diff(dim=-1), torch.tensor(0.5), atol=1e-2)  # twice as large
        seen.append(fake[0, 0, 0, 0].item())
    assert len(set(seen)) > 4
    assert reconstruction().zoomed(ramp, ramp, UpdateSeeds(0, 0))[0] is ramp


def test_a_share_of_the_updates_sees_the_zoomed_square_the_others_all():
    objective = reconstruction(zoom=2.0, zoom_share=0.5)
    ramp = torch.arange(32.0).expand(2, 3, 32, 32)
    whole = [objective.zoomed(ramp, ramp, UpdateSeeds(0, update))[0] is ramp for update in range(60)]
    assert 20 < sum(whole) < 40
    assert whole == [objective.zoomed(ramp, ramp, UpdateSeeds(0, update))[0] is ramp for update in range(60)]
    assert reconstruction(zoom=2.0, zoom_share=0.0).zoomed(ramp, ramp, UpdateSeeds(0, 0))[0] is ramp


def test_a_decoder_alone_learns_for_the_latents_that_are_there(tmp_path):
    torch.manual_seed(0)
    codec = build_codec(TINY_CODEC)
    codec.std.fill_(2)
    codec.autoencoder.decoder[1].second.weight.data.normal_()  # an old block says something
    save_model(codec, tmp_path / "codec")
    config = ReconstructionConfig(init=str(tmp_path), decoder_only=True, codec=CodecConfig(finest_layers=2))
    objective = Reconstruction.of(config, 32)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    old = load_codec(tmp_path)
    assert torch.equal(objective.model.encode(images), old.encode(images))
    assert torch.allclose(objective.model.decode(old.encode(images)), old.decode(old.encode(images)), atol=1e-5)
    objective(PictureBatch(images), UpdateSeeds(0, 0)).total().backward()
    learning = {name for name, weights in objective.model.named_parameters() if weights.grad is not None}
    assert learning
    assert all(name.startswith("autoencoder.decoder.") for name in learning)
    objective.export(tmp_path / "new", None)
    assert torch.equal(load_codec(tmp_path / "new").encode(images), old.encode(images))


def test_a_codec_that_is_there_keeps_its_form(tmp_path):
    save_model(build_codec(replace(TINY_CODEC, finest_layers=2)), tmp_path / "codec")
    with pytest.raises(UserError, match=r"only --codec\.finest-layers"):
        ReconstructionConfig(init=str(tmp_path), codec=TINY_CODEC)
    with pytest.raises(UserError, match="cannot have 1 finest-layers"):
        Reconstruction.of(ReconstructionConfig(init=str(tmp_path), codec=CodecConfig(finest_layers=1)), 32)
    assert Reconstruction.of(ReconstructionConfig(init=str(tmp_path)), 32).model.config.options["finest_layers"] == 2


def test_codecs_of_before_are_read_and_finest_layers_begin_as_nothing():
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    before = Codec("PixelShuffleAutoencoder", asdict_of_before(TINY_CODEC), 4)
    torch.manual_seed(0)
    now = build_codec(TINY_CODEC)
    finer = build_codec(replace(TINY_CODEC, finest_layers=2))
    assert set(before.state_dict()) == set(now.state_dict())
    assert torch.equal(now.decode(now.encode(images)), before.decode(before.encode(images)))
    assert len(finer.state_dict()) == len(now.state_dict()) + 2 * 4
    assert build_codec(replace(TINY_CODEC, finest=16)).decode(torch.zeros(1, 4, 8, 8)).shape == (1, 3, 32, 32)


def asdict_of_before(config):
    return {name: value for name, value in asdict(config).items() if not name.startswith("finest")}


@pytest.mark.parametrize("loss", ["l2:0.3+lpips:2", "l1:0.5+l2:4"])
def test_each_term_counts_with_its_weight(run_config, loss):
    base = options(run_config, loss="l1+l2+lpips", precompute=False)
    whole, batches = build(base)
    weighted = build(options(base, loss=loss))[0]
    plain = whole(batches(0), UpdateSeeds(0, 0)).terms
    outcome, expected = weighted(batches(0), UpdateSeeds(0, 0)), 0.0
    for name, weight in (part.split(":") for part in loss.split("+")):
        assert outcome.terms[name].item() == pytest.approx(plain[name].item(), rel=1e-5)
        expected += float(weight) * plain[name].item()
    assert outcome.total().item() == pytest.approx(expected, rel=1e-5)


def test_captions_are_blurred_as_much_as_asked(run_config):
    clean, noisy = (build(options(run_config, text_noise=n, precompute=False))[1](0).text.pooled for n in (0.0, 1.0))
    distance = (noisy - clean).norm(dim=-1)
    assert (distance > 0).all()
    assert (distance < 2).all()  # at most the embedding's own size times chance


def test_the_adversary_sees_what_the_update_made(run_config, tmp_path, monkeypatch):
    judged, made = [], []
    real_loss, real_crop = RELATIVISTIC.discriminator, end_to_end.same_crop
    seen = RELATIVISTIC._replace(discriminator=lambda model, *rest: judged.append(rest) or real_loss(model, *rest))
    monkeypatch.setattr(Discriminator, "losses", seen)
    monkeypatch.setattr(end_to_end, "same_crop", lambda *given: made.append(real_crop(*given)) or made[-1])
    config = options(run_config, loss="l2+gan", precompute=False)
    trainer = Trainer(config.trainer, *build(config), tmp_path)
    before = [weights.clone() for weights in trainer.adversary.discriminator.parameters()]
    trainer.train_step()
    (fake, true, _, _), (painted, drawn) = judged[0], made[0]
    assert torch.equal(fake, painted)
    assert torch.equal(true, drawn)
    assert not fake.requires_grad
    assert l2(fake, true) > 0
    after = list(trainer.adversary.discriminator.parameters())
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True) if old.dim() > 1)
    assert not any(weights.requires_grad for weights in after)  # the objective takes them as constants


def test_the_discriminator_learns_from_the_mean_gradient_of_all_processes(run_config, tmp_path, monkeypatch):
    """Here another process has the opposite gradient, so that the mean is nothing."""
    config = options(run_config, loss="l2+gan", precompute=False)
    trainer = Trainer(config.trainer, *build(config), tmp_path)
    reduced = []
    monkeypatch.setattr(
        trainer.accelerator,
        "reduce",
        lambda gradient, how: reduced.append((gradient, how)) or (gradient - gradient) / 2,
    )
    weights = list(trainer.adversary.discriminator.parameters())
    before = [one.clone() for one in weights]
    trainer.train_step()
    assert {how for _, how in reduced[-len(weights) :]} == {"mean"}
    assert any(gradient.abs().sum() > 0 for gradient, _ in reduced)
    assert all(torch.equal(old, new) for old, new in zip(before, weights, strict=True))
