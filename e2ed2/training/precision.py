"""The precision to train in on this machine."""

import sys

import torch
from accelerate import Accelerator

from e2ed2.objectives.objective import Objective
from e2ed2.progress import say
from e2ed2.training.config import TrainerConfig


def precision(config: TrainerConfig) -> str:
    """The meaning of `auto` on this machine. A CPU without bf16 products is slower in bf16 than in float32."""
    if config.mixed_precision != "auto":
        return config.mixed_precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("amx_bf16") or can.get("avx512_bf16") else "no"


def note_rounding(objective: Objective, config: TrainerConfig, accelerator: Accelerator) -> None:
    """If `auto` is bf16, print on stderr what that costs this objective, if anything."""
    chosen = config.mixed_precision == "auto" and accelerator.mixed_precision == "bf16"
    if chosen and (note := objective.rounding_note()):
        say(note, sys.stderr)
