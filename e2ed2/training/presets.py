"""The trainings of the bundled models, and those of diffusers backbones."""

from dataclasses import replace
from typing import Any

from e2ed2.data.config import COLOURED, DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.config import CodecConfig, DenoiserConfig
from e2ed2.models.references import model_folder
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.config import ObjectiveConfig, PreferenceConfig, ReconstructionConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.training.config import RunConfig, TrainerConfig

IN_COLOURS = DataConfig(path=COLOURED)
CHOOSING = DenoiserConfig(choice="one-hot")  # one of the drawings that fit a caption
# The choices of the bundled coarse path that came to mean one artist each; they differ for another coarse path.
DECIDED = replace(CHOOSING, kept=(0, 6, 7, 8, 14))
LONG = TrainerConfig(
    updates=5000, batch_size=1024, lr=1e-3, warmup=200, log_every=50, preview_every=1000, save_every=1000
)
CODEC = RunConfig(
    ReconstructionConfig(codec=CodecConfig(finest_layers=1), edges=0.5, zoom=2.0, zoom_share=0.5, latent_noise=0.2),
    trainer=replace(LONG, updates=4400, batch_size=64, lr=1.5e-3, ema_decay=0.999),
)
CODEC_DECODER = RunConfig(
    replace(CODEC.objective, init="codec", decoder_only=True),
    trainer=TrainerConfig(updates=2600, batch_size=8, lr=5e-4, warmup=80, preview_every=500, save_every=250),
)
COARSE = RunConfig(
    CoarseConfig(
        codec_from="codec", styled_share=0.6, coarse_lr_share=1.0, samples=16, plain_share=0.5, denoiser=CHOOSING
    ),
    data=IN_COLOURS,
    trainer=LONG,
)
BASELINE = SingleStepConfig(
    codec_from="coarse",
    coarse_from="coarse",
    coarse_lr_share=0.0,
    time_shift=3.0,
    denoiser=DenoiserConfig(choice="none"),
)
SINGLE_STEP = RunConfig(BASELINE, data=IN_COLOURS, trainer=replace(LONG, batch_size=256))
# An hour of a CPU's core with a perceptual term; the bundled models had 1,400 updates, on a GPU.
FINISHING = TrainerConfig(
    updates=400, batch_size=64, lr=7e-4, warmup=20, ema_decay=0.99, preview_every=100, save_every=50
)


def finish(loss: str, trainer: TrainerConfig = FINISHING, **options: Any) -> RunConfig:
    """End to end, from the single-step baseline.

    Args:
        options: of `EndToEndConfig`.
    """
    objective = EndToEndConfig(init="single-step", coarse_lr_share=0.0, loss=LossSpec.parse(loss), **options)
    return RunConfig(objective, data=IN_COLOURS, trainer=trainer)


ENERGY: Any = {"samples": 2, "repulsion": 0.5, "denoiser": DECIDED}


# Where the backbones are, on the Hugging Face hub. None of these trainings was made here: the settings are starting
# points, from what others report of similar ones (docs/scaling.md).
SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
PIXART = "PixArt-alpha/PixArt-XL-2-512x512"
SANA = "Efficient-Large-Model/Sana_600M_512px_diffusers"
CONVERTING = TrainerConfig(
    updates=10_000, batch_size=16, lr=1e-5, warmup=500, ema_decay=0.999, clip=0.5, save_every=500
)
LARGE = TrainerConfig(updates=5_000, batch_size=8, lr=1e-4, warmup=200, ema_decay=0.999, clip=0.1, save_every=250)


def convert(backbone: str) -> RunConfig:
    """Convert a backbone that predicts noise into one that can start at pure noise."""
    objective = BackboneSingleStepConfig(backbone=backbone, tune="full", block_checkpointing=True)
    return RunConfig(objective, data=DataConfig(resolution=512), trainer=CONVERTING)


def few_steps(backbone: str, **options: Any) -> RunConfig:
    """Train a backbone end to end, with adapters."""
    usual: Any = {"loss": LossSpec.parse("l2:0.3+lpips"), "checkpointed": True}
    objective = BackboneEndToEndConfig(backbone=backbone, **usual | options)
    return RunConfig(objective, data=DataConfig(resolution=512), trainer=LARGE)


ABOUT = {
    "codec": "Pictures to latents and back: the first training, which all others stand on.",
    "codec-decoder": "Its decoder once more, for sharper pictures: the latents, and so all models, stay as they are.",
    "coarse": "The coarse path: from a caption, roughly what is where; with a choice among its drawings, or without.",
    "single-step": "The baseline, one denoising step at a time; the end-to-end trainings start from it.",
    "single-step-long": "The baseline, trained on for as much work as an end-to-end training.",
    "l1": "End to end, mean absolute error of the latents.",
    "l2": "End to end, mean squared error of the latents.",
    "lpips": "End to end, perceptual distance of the pictures.",
    "l2-lpips": "End to end, squared error and perceptual distance: a good first choice.",
    "l2-lpips-gan": "End to end, the same and a discriminator: more fine detail.",
    "energy": "End to end, energy scores: one of the drawings that fit a caption, not their average.",
    "lpips-imle": "End to end, perceptual distance to the drawing that is nearest: one of those that fit, and crisp.",
    "energy-mmd": "End to end, energy scores and MMD over 256 pictures at a time: also the spread over captions.",
    "independent": "End to end in four steps, with a network for each.",
    "shared-twin": "End to end in four steps with one network, to compare with `independent`.",
    "preference": "What people prefer, from the votes of a study; then a term of the loss.",
    "sd15-convert": "Stable Diffusion 1.5 to v-prediction from pure noise: a better start for end-to-end training.",
    "pixart-convert": "PixArt-alpha to v-prediction from pure noise: what its end-to-end training starts from.",
    "sd15-l2-lpips": "Stable Diffusion 1.5 end to end, squared error and perceptual distance, by LoRA.",
    "pixart-l2-lpips": "PixArt-alpha end to end, squared error and perceptual distance, by LoRA.",
    "sana-l2-lpips": "SANA 0.6B end to end, squared error and perceptual distance, by LoRA.",
}
PRESETS = {
    "codec": CODEC,
    "codec-decoder": CODEC_DECODER,
    "coarse": COARSE,
    "single-step": SINGLE_STEP,
    "single-step-long": RunConfig(
        replace(BASELINE, init="single-step", codec_from="", coarse_from=""),
        data=IN_COLOURS,
        trainer=replace(SINGLE_STEP.trainer, lr=FINISHING.lr),
    ),
    "l1": finish("l1"),
    "l2": finish("l2"),
    "lpips": finish("lpips"),
    "l2-lpips": finish("l2:0.3+lpips"),
    "l2-lpips-gan": finish("l2:0.3+lpips+gan:0.05"),
    "energy": finish("energy+energy-lpips", replace(FINISHING, batch_size=32), **ENERGY),
    "lpips-imle": finish("lpips", nearest_of=16, denoiser=DECIDED),
    # The same number of samples as `energy`, and a third more work, since each is sampled twice.
    "energy-mmd": finish(
        "energy+energy-lpips+mmd",
        replace(FINISHING, updates=100, batch_size=16, accumulate=8, warmup=5, preview_every=25, save_every=25),
        gradient_cache=True,
        **ENERGY,
    ),
    "independent": finish("l2:0.3+lpips", sampling_steps=(4,), denoiser=DenoiserConfig(sharing="independent", steps=4)),
    "shared-twin": finish("l2:0.3+lpips", sampling_steps=(4,)),
    "preference": RunConfig(
        PreferenceConfig(),
        trainer=TrainerConfig(
            updates=400,
            batch_size=256,
            lr=3e-3,
            warmup=20,
            weight_decay=0.0,
            ema_decay=0.98,
            clip=10.0,
            preview_every=400,
        ),
    ),
    "sd15-convert": convert(SD15),
    "pixart-convert": convert(PIXART),
    "sd15-l2-lpips": few_steps(SD15),
    "pixart-l2-lpips": few_steps("pixart-convert", precompute=True),
    "sana-l2-lpips": few_steps(SANA, precompute=True),
}


def check_start(objective: ObjectiveConfig) -> None:
    """
    Raises:
        UserError: a model that it starts from, or a feature network, does not exist; the message says which command
            makes it, if one does.
    """
    objective.check_complete()
    check_networks(objective.networks())
    for name in objective.models():
        try:
            model_folder(name)
        except UserError:
            if name not in PRESETS:
                raise
            raise UserError(
                f"This training starts from {name}, which is not there yet: run `python -m e2ed2 train {name}` first."
            ) from None


def check_networks(named: dict[str, str]) -> None:
    """Check the networks before opening other parts, which takes minutes if they are large."""
    if named:
        from e2ed2.models.hub import network_place  # takes half a second, which most trainings need not wait

        for name, what in named.items():
            network_place(name, what)
