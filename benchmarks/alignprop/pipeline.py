"""The Stable Diffusion that both train: 6.1 million random weights, 64 by 64 pixels."""

from pathlib import Path
from typing import Any

import diffusers as lazy_diffusers
import torch

from e2ed2.models.backbones.tiny import TEXT, tiny_pipeline

diffusers: Any = lazy_diffusers
SIDE, BATCH, STEPS, RANK = 64, 4, 4, 4
PROMPT = "a red apple"


def write_pipelines(folder: Path) -> tuple[Path, Path]:
    """For ours, which begins at pure noise and so predicts v, and for TRL's: the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = tiny_pipeline("sd")
        unet = diffusers.UNet2DConditionModel(
            sample_size=SIDE // 4,
            block_out_channels=(64, 128),
            layers_per_block=2,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=TEXT,
            attention_head_dim=32,
        )
        vae = diffusers.AutoencoderKL(
            block_out_channels=(16, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=SIDE,
        )
    pipeline.register_modules(unet=unet, vae=vae)
    pipeline.save_pretrained(folder / "theirs")
    pure: Any = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, **pure)
    pipeline.save_pretrained(folder / "ours")
    return folder / "ours", folder / "theirs"
