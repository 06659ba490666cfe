"""Where models run: one rule for commands and pages."""

import os

import torch

from e2ed2.errors import UserError


def pick_device(name: str = "") -> torch.device:
    """`name`, or $E2ED2_DEVICE, or the best there is: CUDA, Apple's MPS, the CPU.

    Raises:
        UserError: this machine, or this PyTorch, has no such device.
    """
    wanted = name or os.environ.get("E2ED2_DEVICE", "")
    if not wanted:
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UserError(f"There is no device {wanted!r}: choose cpu, cuda, cuda:1 or mps.") from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}.get(device.type, False)
    if not there or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"This machine has no device {wanted!r} that PyTorch can use: choose another, such as cpu.")
    return device


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
