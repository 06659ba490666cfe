"""diffusers' networks as denoisers: our chain is what the stock pipelines do."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, DPMSolverMultistepScheduler, EDMEulerScheduler

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.path import VariancePreserving
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.models import base
from e2ed2.models.backbones.backbone import Backbone, check_pure_noise, reading_of
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.families import family_of
from e2ed2.models.backbones.opening import open_pipeline
from e2ed2.models.backbones.stock import for_any_steps, stock_call, stock_scheduler
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.backbones.tiny import GRID, TINY, tiny_pipeline

PROMPTS = ["red apple", "two blue dogs!"]


class Parts:
    """A tiny pipeline, and ours of the same weights."""

    def __init__(self, family: str):
        self.pipeline = tiny_pipeline(family)
        self.pipeline.set_progress_bar_config(disable=True)
        self.backbone, self.codec = Backbone.of(self.pipeline), PretrainedCodec(self.pipeline.vae)
        self.encoder = PipelineText(self.pipeline)
        self.text = self.encoder(PROMPTS)
        self.noise = torch.randn(2, *self.backbone.latent_shape, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def ours(self, steps: int):
        latents = sample(self.backbone, self.noise, self.text, uniform_levels(steps))
        return self.codec.decode(latents).add(1).div(2).clamp(0, 1)

    def stock(self, steps: int):
        self.pipeline.scheduler = stock_scheduler(self.backbone, self.pipeline.scheduler)
        size = {"height": 32, "width": 32, "output_type": "pt"}
        call = stock_call(self.pipeline, steps)
        return self.pipeline(PROMPTS, latents=self.noise.clone(), **size, **call).images


@pytest.fixture(scope="module", params=TINY)
def parts(request) -> Parts:
    return Parts(request.param)


@pytest.fixture(scope="module")
def sd() -> Parts:
    return Parts("sd")


@pytest.mark.parametrize("steps", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3)), 4])
def test_our_chain_is_the_stock_pipeline(parts, steps):
    assert torch.allclose(parts.ours(steps), parts.stock(steps), atol=1e-5)


@pytest.mark.parametrize("family", [pytest.param("sana", marks=pytest.mark.slow), "sd3"])
def test_trained_for_one_number_of_steps_a_flow_model_takes_them_by_itself(family):
    """A stranger's call without `sigmas`, which else would begin its last step at 0.001."""
    parts = Parts(family)
    size = {"height": 32, "width": 32, "output_type": "latent"}

    def made(scheduler, call: dict) -> torch.Tensor:
        parts.pipeline.scheduler = scheduler
        return parts.pipeline(PROMPTS, latents=parts.noise.clone(), **size, **call).images

    def scheduler_for(steps: int | None):
        return stock_scheduler(parts.backbone, parts.pipeline.scheduler, steps)

    for steps in (2, 4):
        with torch.no_grad():
            ours = sample(parts.backbone, parts.noise, parts.text, uniform_levels(steps))
        near = 1e-5 * ours.abs().max().item()
        call = stock_call(parts.pipeline, steps)
        plain = {name: value for name, value in call.items() if name != "sigmas"}
        assert torch.allclose(made(scheduler_for(steps), plain), ours, atol=near)
        assert torch.allclose(made(for_any_steps(scheduler_for(3)), call), ours, atol=near)
        assert not torch.allclose(made(scheduler_for(None), plain), ours, atol=100 * near)
    assert scheduler_for(1).config.shift_terminal is None  # that would divide nothing by nothing


def test_captions_are_never_cleaned():
    """With two more packages PixArt's pipeline would: the same caption would be other words on another machine."""
    pipeline = tiny_pipeline("pixart")
    assert PipelineText(pipeline).options["clean_caption"] is False
    assert stock_call(pipeline, 2)["clean_caption"] is False
    assert "clean_caption" not in stock_call(tiny_pipeline("sd"), 2)


def test_the_prompt_decides_the_picture(parts):
    one, other = parts.ours(2)
    alike = sample(parts.backbone, parts.noise[:1].repeat(2, 1, 1, 1), parts.text, uniform_levels(2))
    assert not torch.allclose(alike[0], alike[1], atol=1e-4)
    assert not torch.allclose(one, other, atol=1e-4)


def test_every_part_offers_what_the_protocols_ask(parts):
    assert isinstance(parts.backbone, base.Denoiser)
    assert isinstance(parts.codec, base.Codec)
    assert isinstance(parts.encoder, base.TextEncoder)
    assert parts.backbone.latent_shape == (4, GRID, GRID)
    assert (parts.codec.factor, parts.encoder.width) == (2, parts.text.tokens.shape[-1])
    assert parts.encoder.unread("apple") == ""
    long = "y" * parts.encoder.max_tokens
    assert parts.encoder.unread(f"{long}z").endswith("z")
    assert "has no effect" in parts.encoder.notes(f"{long}z")[0]


@pytest.mark.parametrize("steps", [3, 7])
def test_where_t_does_not_divide_the_timesteps_the_chain_counts_as_ddim_does(sd, steps):
    jumps = sd.backbone.path.jumps(uniform_levels(steps))
    scheduler = stock_scheduler(sd.backbone, sd.pipeline.scheduler)
    scheduler.set_timesteps(steps)
    assert [round(1000 * t) - 1 for t, _ in jumps] == scheduler.timesteps.tolist()
    written = [int(t) - 1000 // steps for t in scheduler.timesteps]
    assert [round(1000 * s) - 1 for _, s in jumps] == [max(-1, one) for one in written]


def test_levels_that_are_not_uniform_are_taken_as_they_are():
    path = VariancePreserving([0.9, 0.5, 0.2, 0.1])
    assert path.jumps((1.0, 0.5, 0.0)) == [(1.0, 0.5), (0.5, 0.0)]
    assert path.jumps((1.0, 0.25, 0.0)) == [(1.0, 0.25), (0.25, 0.0)]


def test_levels_of_a_batch_may_differ(parts):
    levels = torch.tensor([1.0, 0.5])
    together = parts.backbone(parts.noise, levels, parts.text)
    for row, level in enumerate(levels):
        alone = parts.backbone(parts.noise[row : row + 1], level[None], parts.text[row : row + 1])
        assert torch.allclose(together[row], alone[0], rtol=1e-4, atol=1e-5 * max(1, alone.abs().max().item()))


def test_a_network_in_half_precision_keeps_the_chain_in_full(sd):
    network = tiny_pipeline("sd").unet.to(torch.bfloat16)
    half = Backbone(network, sd.backbone.family, sd.backbone.path, "epsilon", sd.backbone.latent_shape)
    latents = sample(half, sd.noise, sd.text, uniform_levels(3))
    assert latents.dtype == torch.float32
    assert torch.allclose(latents, sample(sd.backbone, sd.noise, sd.text, uniform_levels(3)), rtol=0.1, atol=0.5)


def test_latents_come_back_from_the_scale_and_the_shift_of_the_autoencoder(parts):
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    vae = parts.pipeline.vae
    raw = (parts.codec.encode(images) / parts.codec.scale) + parts.codec.shift
    encoded = vae.encode(images)
    assert torch.allclose(raw, encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent)
    assert torch.allclose(parts.codec.decode(parts.codec.encode(images)), vae.decode(raw).sample, atol=1e-5)


def test_a_tiny_autoencoder_is_a_codec():
    sizes = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    codec = PretrainedCodec(AutoencoderTiny(num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), **sizes))
    assert isinstance(codec, base.Codec)
    assert codec.decode(codec.encode(torch.zeros(1, 3, 32, 32))).shape == (1, 3, 32, 32)


def test_fingerprints_are_of_the_weights(sd):
    assert sd.codec.fingerprint == PretrainedCodec(tiny_pipeline("sd").vae).fingerprint
    assert sd.codec.fingerprint != PretrainedCodec(tiny_pipeline("sd", seed=1).vae).fingerprint
    assert sd.encoder.fingerprint != PipelineText(tiny_pipeline("sd", seed=1)).fingerprint


def test_building_a_tiny_backbone_leaves_the_worlds_chance_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    tiny_pipeline("sd")
    assert torch.equal(torch.rand(1), expected)


def test_a_scheduler_says_the_path_and_what_the_network_predicts(sd):
    path, kind = reading_of(DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True))
    assert (path.alpha(0.25), kind) == (0.75, "velocity")
    path, kind = reading_of(DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True))
    assert (path.alpha(1.0), kind) == (0.0, "v")
    with pytest.raises(UserError, match="EDMEulerScheduler"):
        reading_of(EDMEulerScheduler())


def test_noise_cannot_be_predicted_where_the_chain_begins_with_nothing_else(sd):
    check_pure_noise(sd.backbone)  # alpha is 0.068
    with pytest.raises(UserError, match=r"0\.0064"):
        check_pure_noise(Backbone.of(tiny_pipeline("pixart")))
    check_pure_noise(Backbone.of(tiny_pipeline("sana")))


def test_what_is_no_backbone_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    for name, told in (("tiny:dall-e", "tiny: and one of sd"), (str(tmp_path), "no diffusers pipeline")):
        with pytest.raises(UserError, match=told):
            open_pipeline(name)
    with pytest.raises(UserError, match="SimpleNamespace cannot be trained"):
        family_of(SimpleNamespace(unet=None))
