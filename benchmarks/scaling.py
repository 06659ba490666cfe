"""FLOPs and parameters of the real backbones, counted on meta tensors: nothing is downloaded, nothing is computed.

python -m benchmarks.scaling

A gradient counts what it needs: with adapters none of the weights', of a decoder its input's alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import diffusers as lazy_diffusers
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from e2ed2.models.backbones.families import FAMILIES
from e2ed2.models.backbones.lora import add_lora
from e2ed2.objectives.backbone_config import TARGETS
from e2ed2.training.alive import kept_bytes
from e2ed2.training.flops import flop_counter
from e2ed2.types import TextEmbedding

diffusers: Any = lazy_diffusers  # its lazy imports hide the classes from a type checker
RANK = 64  # of the presets


def sd15() -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8
    )


def pixart() -> Any:
    heads = {"num_attention_heads": 16, "attention_head_dim": 72, "cross_attention_dim": 1152}
    return diffusers.PixArtTransformer2DModel(sample_size=64, num_layers=28, caption_channels=4096, **heads)


def sana() -> Any:
    heads = {"num_attention_heads": 36, "attention_head_dim": 32, "num_layers": 28, "cross_attention_dim": 1152}
    cross = {"num_cross_attention_heads": 16, "cross_attention_head_dim": 72, "caption_channels": 2304}
    return diffusers.SanaTransformer2DModel(sample_size=16, **heads, **cross)


def kl() -> Any:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return diffusers.AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, **blocks)


def dc() -> Any:
    blocks = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    sides = {"encoder_block_types": blocks, "decoder_block_types": blocks}
    return diffusers.AutoencoderDC(upsample_block_type="interpolate", downsample_block_type="Conv", **sides)


# Network, latents [C, h, w], tokens [L, D] of the text.
BACKBONES: dict[str, tuple[Callable[[], Any], tuple[int, int, int], tuple[int, int]]] = {
    "SD 1.5, 512 px": (sd15, (4, 64, 64), (77, 768)),
    "PixArt-alpha, 512 px": (pixart, (4, 64, 64), (120, 4096)),
    "SANA 0.6B, 512 px": (sana, (32, 16, 16), (300, 2304)),
}
DECODERS: dict[str, tuple[Callable[[], Any], tuple[int, int, int]]] = {
    "AutoencoderKL, 512 px": (kl, (4, 64, 64)),
    "AutoencoderDC, 512 px": (dc, (32, 16, 16)),
    "AutoencoderTiny, 512 px": (diffusers.AutoencoderTiny, (4, 64, 64)),
}


def counted(run: Callable[[], Tensor], backward: bool) -> float:
    """GFLOP of one call, and of its gradient."""
    with flop_counter() as counter, torch.set_grad_enabled(backward):
        made = run()
        if backward:
            made.sum().backward()
    return counter.get_total_flops() / 1e9


def costs(build: Callable[[], Any], shape: tuple[int, int, int], tokens: tuple[int, int]) -> tuple[float, ...]:
    """Parameters in millions; GFLOP of a call, of a call with the gradient of all weights, and of adapters.

    Then GiB that a call in bf16 keeps for its gradient: of all weights, of adapters, and of these with each block
    recomputed.
    """
    with torch.device("meta"):
        network = build().train()
        x = torch.randn(1, *shape, requires_grad=True)  # the steps before it want a gradient
        text = TextEmbedding(torch.randn(1, *tokens), torch.ones(1, tokens[0], dtype=torch.bool), torch.randn(1, 8))
        predict = FAMILIES[type(network).__name__].predict
        call = partial(predict, network, x, torch.ones(1), text)
        parameters = sum(weights.numel() for weights in network.parameters()) / 1e6
        plain, whole = counted(call, False), counted(call, True)
        nn.Module.to(network, torch.bfloat16)
        x, text = x.to(torch.bfloat16), text.to("meta", torch.bfloat16)
        call = partial(predict, network, x, torch.ones(1), text)
        memory = kept_bytes(call, network) / 2**30
        add_lora(network, RANK, TARGETS)
        nn.Module.to(network, torch.bfloat16)
        adapted = counted(call, True)
        less = kept_bytes(call, network) / 2**30
        network.enable_gradient_checkpointing()
        return parameters, plain, whole, adapted, memory, less, kept_bytes(call, network) / 2**30


def decoding(build: Callable[[], Any], shape: tuple[int, int, int]) -> tuple[float, float]:
    """GFLOP of decoding, and of it with the gradient of the latents."""
    with torch.device("meta"):
        decoder = build().requires_grad_(False)
        latents = torch.randn(1, *shape, requires_grad=True)

        def call() -> Tensor:
            return decoder.decode(latents).sample

        return counted(call, False), counted(call, True)


def main() -> None:
    console = Console()
    table = Table("backbone", "M", "a call", "and gradient", "LoRA", "GiB", "LoRA", "LoRA, blocks")
    for name, given in BACKBONES.items():
        found = costs(*given)
        table.add_row(name, *(f"{value:,.0f}" for value in found[:4]), *(f"{value:.2f}" for value in found[4:]))
    console.print(table)
    table = Table("decoder", "a call", "call + gradient of the latents")
    for name, (build, shape) in DECODERS.items():
        table.add_row(name, *(f"{value:,.0f}" for value in decoding(build, shape)))
    console.print(table, "GFLOP of one picture; GiB that autograd keeps of it in bf16", sep="\n")


if __name__ == "__main__":
    main()
