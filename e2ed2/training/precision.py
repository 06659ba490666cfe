"""The device of a training, and the precision to train in there."""

import sys
from typing import Any

import torch
from accelerate import Accelerator

from e2ed2.device import take_device
from e2ed2.objectives.objective import Objective
from e2ed2.progress import say
from e2ed2.training.config import TrainerConfig


def accelerator_for(config: TrainerConfig, device: str = "", **options: Any) -> Accelerator:
    """`options`: accelerate's own. Raises UserError: there is no such device."""
    return Accelerator(mixed_precision=precision(config, take_device(device)), **options)


def precision(config: TrainerConfig, device: torch.device) -> str:
    """The meaning of `auto` on this device. A CPU without bf16 products is slower in bf16 than in float32."""
    if config.mixed_precision != "auto":
        return config.mixed_precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("amx_bf16") or can.get("avx512_bf16") else "no"


def note_rounding(objective: Objective, config: TrainerConfig, accelerator: Accelerator) -> None:
    """If `auto` is bf16, print on stderr what that costs this objective, if anything."""
    chosen = config.mixed_precision == "auto" and accelerator.mixed_precision == "bf16"
    if chosen and (note := objective.rounding_note()):
        say(note, sys.stderr)
