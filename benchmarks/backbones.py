"""The transformer here against diffusers' backbones at the same tokens, width and depth: forward and backward.

python -m benchmarks.backbones
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers import PixArtTransformer2DModel, UNet2DConditionModel
from torch import Tensor

from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.config import DenoiserConfig
from e2ed2.types import TextEmbedding

BATCH, REPEATS = 32, 5


def seconds(run: Callable[[], Tensor]) -> float:
    """Best of a few forward and backward passes, s."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run().square().mean().backward()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    z, t = torch.randn(BATCH, 32, 8, 8), torch.rand(BATCH)
    text = TextEmbedding(torch.randn(BATCH, 10, 384), torch.ones(BATCH, 10, dtype=torch.bool), torch.randn(BATCH, 384))
    ours = build_denoiser(DenoiserConfig())
    pixart: Any = PixArtTransformer2DModel(
        num_attention_heads=6,
        attention_head_dim=32,
        in_channels=32,
        out_channels=32,
        num_layers=4,
        sample_size=8,
        patch_size=1,
        cross_attention_dim=192,
        caption_channels=384,
        use_additional_conditions=False,
    )
    unet: Any = UNet2DConditionModel(
        sample_size=8,
        in_channels=32,
        out_channels=32,
        block_out_channels=(192, 256),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=384,
        attention_head_dim=32,
    )
    candidates: dict[str, tuple[Any, Callable[[], Tensor]]] = {
        "ours (coarse path and transformer)": (ours, lambda: ours(z, t, text, ours.condition(z, text))),
        "PixArtTransformer2DModel": (
            pixart,
            lambda: (
                pixart(
                    z,
                    encoder_hidden_states=text.tokens,
                    timestep=t * 1000,
                    added_cond_kwargs={"resolution": None, "aspect_ratio": None},
                    encoder_attention_mask=text.mask,
                ).sample
            ),
        ),
        "UNet2DConditionModel": (unet, lambda: unet(z, t * 1000, encoder_hidden_states=text.tokens).sample),
    }
    base = None
    for name, (model, run) in candidates.items():
        time_taken = seconds(run)
        base = base or time_taken
        parameters = sum(p.numel() for p in model.parameters()) / 1e6
        print(f"{name:36} {parameters:6.1f} M  {BATCH / time_taken:7.1f} samples/s  {time_taken / base:5.2f}x the time")


if __name__ == "__main__":
    main()
