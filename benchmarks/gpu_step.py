"""One update of a Stable Diffusion 1.5 on this GPU: seconds and memory, beside what `benchmarks.scaling` counts.

The network, the autoencoder and LPIPS have their real sizes; weights are random, captions and pictures are noise. Four
steps from pure noise, backpropagated through all of them, each recomputed; in bf16.

python -m benchmarks.gpu_step
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.checkpoint import checkpoint

from benchmarks.scaling import RANK, kl, sd15
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.path import Flow
from e2ed2.diffusion.sampler import Gradient, sample
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.pixel import l2
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.families import FAMILIES
from e2ed2.models.backbones.lora import add_lora
from e2ed2.objectives.backbone_config import TARGETS
from e2ed2.training.flops import flop_counter
from e2ed2.types import TextEmbedding

STEPS = 4
UPDATES = 3  # timed, after one that is not


@dataclass(frozen=True)
class Found:
    what: str
    batch: int
    seconds: float  # of an update
    gib: float  # at most
    tflops: float  # a second

    @property
    def pictures(self) -> float:
        return self.batch / self.seconds


def network(lora: bool) -> Backbone:
    unet = sd15().to("cuda").train()
    unet.enable_gradient_checkpointing()
    if lora:
        add_lora(unet, RANK, TARGETS)
    return Backbone(unet, FAMILIES["UNet2DConditionModel"], Flow(), "velocity", (4, 64, 64))


def update(backbone: Backbone, batch: int, decoder: Any, perceptual: PerceptualLoss | None) -> Callable[[], None]:
    """A function that makes one update, of adapters or of all weights."""
    trained = [weights for weights in backbone.parameters() if weights.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    text = TextEmbedding(
        torch.randn(batch, 77, 768, device="cuda"),
        torch.ones(batch, 77, dtype=torch.bool, device="cuda"),
        torch.randn(batch, 768, device="cuda"),
    )
    latents = torch.randn(batch, 4, 64, 64, device="cuda")
    images = torch.rand(batch, 3, 512, 512, device="cuda") * 2 - 1

    def one() -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            noise = torch.randn_like(latents)
            x0 = sample(backbone, noise, text, uniform_levels(STEPS), gradient=Gradient(checkpointed=True))
            loss = l2(x0, latents)
            if perceptual is not None:
                decoded = checkpoint(lambda z: decoder.decode(z).sample, x0, use_reentrant=False)
                loss = loss + perceptual(decoded.float(), images).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    return one


def measured(what: str, lora: bool, batch: int, pictures: bool) -> Found:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    decoder = kl().to("cuda").requires_grad_(False) if pictures else None
    one = update(network(lora), batch, decoder, PerceptualLoss().to("cuda") if pictures else None)
    with flop_counter() as counter:
        one()
    torch.cuda.synchronize()
    start = time.monotonic()
    for _ in range(UPDATES):
        one()
    torch.cuda.synchronize()
    seconds = (time.monotonic() - start) / UPDATES
    work = counter.get_total_flops() / 1e12
    return Found(what, batch, seconds, torch.cuda.max_memory_allocated() / 2**30, work / seconds)


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("This measures a GPU, and PyTorch sees none here: `python -m benchmarks.scaling` counts without one.")
    found = [
        measured("LoRA 64, l2", lora=True, batch=8, pictures=False),
        measured("LoRA 64, l2+lpips", lora=True, batch=8, pictures=True),
        measured("all weights, l2+lpips", lora=False, batch=8, pictures=True),
    ]
    table = Table("SD 1.5 at 512 px", "batch", "seconds", "pictures/s", "GiB", "TFLOP/s")
    for one in found:
        table.add_row(
            one.what, str(one.batch), *(f"{value:.2f}" for value in (one.seconds, one.pictures, one.gib, one.tflops))
        )
    Console().print(table, torch.cuda.get_device_name())
    print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
