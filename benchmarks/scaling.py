"""FLOPs and parameters of the real backbones, counted on meta tensors: nothing is downloaded, nothing is computed.

python -m benchmarks.scaling

A gradient counts what it needs: with adapters none of the weights', of a decoder its input's alone. From these
counts follows what a training costs; the rate is an assumption.
"""

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
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
STEPS = 4
DECODED = 4  # pictures at a time, `--decode-batch`
MEMORY = 80e9 / 2**30  # GiB of a GPU of 80 GB
RATE = 250.0  # TFLOP/s, assumed
SHARE = 0.9  # of eight times the rate, of eight GPUs
FROZEN = 4 + 2  # bytes: a weight in float32, and its copy in bf16
TRAINED = 4 * 5 + 2  # the same, its gradient, two moments of AdamW, its average


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


@dataclass(frozen=True)
class Network:
    """Weights in millions; GFLOP of a call, and of a call with the gradient; GiB that a call in bf16 keeps for it."""

    weights: float
    adapters: float  # weights of LoRA
    call: float
    whole: float  # with the gradient of all weights
    lora: float
    kept: float  # for the gradient of all weights
    kept_lora: float
    kept_blocks: float  # of LoRA, each block recomputed


@dataclass(frozen=True)
class Decoder:
    """Weights in millions, of the encoder too; GFLOP of a picture, and with the gradient of the latents; GiB kept."""

    weights: float
    call: float
    gradient: float
    kept: float


def millions(weights: Iterable[Tensor]) -> float:
    return sum(one.numel() for one in weights) / 1e6


def network_of(build: Callable[[], Any], shape: tuple[int, int, int], tokens: tuple[int, int]) -> Network:
    with torch.device("meta"):
        network = build().train()
        x = torch.randn(1, *shape, requires_grad=True)  # the steps before it want a gradient
        text = TextEmbedding(torch.randn(1, *tokens), torch.ones(1, tokens[0], dtype=torch.bool), torch.randn(1, 8))
        predict = FAMILIES[type(network).__name__].predict
        call = partial(predict, network, x, torch.ones(1), text)
        weights = millions(network.parameters())
        plain, whole = counted(call, False), counted(call, True)
        nn.Module.to(network, torch.bfloat16)
        x, text = x.to(torch.bfloat16), text.to("meta", torch.bfloat16)
        call = partial(predict, network, x, torch.ones(1), text)
        kept = kept_bytes(call, network) / 2**30
        add_lora(network, RANK, TARGETS)
        nn.Module.to(network, torch.bfloat16)
        adapters = millions(one for one in network.parameters() if one.requires_grad)
        lora, kept_lora = counted(call, True), kept_bytes(call, network) / 2**30
        network.enable_gradient_checkpointing()
        return Network(weights, adapters, plain, whole, lora, kept, kept_lora, kept_bytes(call, network) / 2**30)


def decoder_of(build: Callable[[], Any], shape: tuple[int, int, int]) -> Decoder:
    with torch.device("meta"):
        decoder = build().requires_grad_(False)
        latents = torch.randn(1, *shape, requires_grad=True)
        plain, gradient = (counted(lambda: decoder.decode(latents).sample, backward) for backward in (False, True))
        nn.Module.to(decoder, torch.bfloat16)
        latents = latents.to(torch.bfloat16)
        kept = kept_bytes(lambda: decoder.decode(latents).sample, decoder) / 2**30
        return Decoder(millions(decoder.parameters()), plain, gradient, kept)


@dataclass(frozen=True)
class Training:
    """An end-to-end training of four steps, steps and decoder recomputed; without a decoder, one step at a time."""

    network: Network
    decoder: Decoder | None
    lora: bool

    @property
    def tflop(self) -> float:
        """TFLOP of one picture."""
        network, decoder = self.network, self.decoder
        gradient = network.lora if self.lora else network.whole
        if decoder is None:
            return gradient / 1e3
        return (STEPS * (network.call + gradient) + decoder.call + decoder.gradient) / 1e3

    @property
    def fixed(self) -> float:
        """GiB: weights and what belongs to them, and a part of the batch in the decoder."""
        network, decoder = self.network, self.decoder
        weights = FROZEN * network.weights + TRAINED * network.adapters if self.lora else TRAINED * network.weights
        if decoder is None:
            return weights * 1e6 / 2**30
        return (weights + FROZEN * decoder.weights) * 1e6 / 2**30 + DECODED * decoder.kept

    @property
    def each(self) -> float:
        """GiB of a picture: one step's."""
        return self.network.kept_lora if self.lora else self.network.kept

    @property
    def batch(self) -> int:
        return int((MEMORY - self.fixed) / self.each)

    def cells(self) -> list[str]:
        rate = RATE / self.tflop
        hours = 1e6 / rate / 3600
        costs = [f"{self.tflop:.1f}", f"{rate:.0f}", f"{hours:.1f} h", f"{hours / 8 / SHARE:.1f} h"]
        return [*costs, f"{self.fixed:.1f}", f"{self.each:.2f}", f"{self.batch}"]


TRAININGS = {
    "SD 1.5, 512 px": ("AutoencoderKL, 512 px", "AutoencoderTiny, 512 px", None),
    "PixArt-alpha, 512 px": ("AutoencoderKL, 512 px", None),
    "SANA 0.6B, 512 px": ("AutoencoderDC, 512 px",),
}


def trainings(networks: dict[str, Network], decoders: dict[str, Decoder]) -> Table:
    columns = ("TFLOP a picture", "pictures/s", "a million, 1 GPU", "8 GPUs", "GiB fixed", "GiB a picture", "in 80 GB")
    table = Table("training", "decoder", *columns)
    for name, network in networks.items():
        for decoder in TRAININGS[name]:
            for lora in (True, False) if decoder else (False,):
                tuned = "LoRA" if lora else "all weights" if decoder else "all weights, one step"
                of = decoders[decoder] if decoder else None
                table.add_row(f"{name}, {tuned}", decoder or "-", *Training(network, of, lora).cells())
    return table


def main() -> None:
    console = Console(width=180)
    networks = {name: network_of(*given) for name, given in BACKBONES.items()}
    decoders = {name: decoder_of(*given) for name, given in DECODERS.items()}
    table = Table("backbone", "M", "M of LoRA", "a call", "and gradient", "LoRA", "GiB", "LoRA", "LoRA, blocks")
    for name, one in networks.items():
        weights, adapters, call, whole, lora, *kept = astuple(one)
        work = (f"{value:,.0f}" for value in (weights, adapters, call, whole, lora))
        table.add_row(name, *work, *(f"{value:.2f}" for value in kept))
    console.print(table)
    table = Table("decoder", "M", "a call", "call + gradient of the latents", "GiB")
    for name, one in decoders.items():
        table.add_row(name, f"{one.weights:,.1f}", f"{one.call:,.0f}", f"{one.gradient:,.0f}", f"{one.kept:.2f}")
    console.print(table, "GFLOP of one picture; GiB that autograd keeps of it in bf16", sep="\n")
    console.print(trainings(networks, decoders), f"at {RATE:.0f} TFLOP/s, which is assumed", sep="\n")


if __name__ == "__main__":
    main()
