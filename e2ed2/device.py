"""Where models run: one rule for all commands and the pages.

torch and accelerate are imported where they are needed: command lines are read without them.
"""

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from e2ed2.errors import UserError

if TYPE_CHECKING:
    import torch

# The type of a command's option; its value is for `pick_device` or `take_device`.
Device = Annotated[str, tyro.conf.arg(help="cpu, cuda, cuda:1 or mps; by default $E2ED2_DEVICE, or the best there is.")]


def pick_device(name: str = "") -> "torch.device":
    """`name`, or $E2ED2_DEVICE, or the best there is: CUDA, Apple's MPS, the CPU.

    Raises:
        UserError: this machine, or this PyTorch, has no such device.
    """
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    wanted = name or os.environ.get("E2ED2_DEVICE", "")
    if not wanted:
        return torch.device("cuda" if has_cuda else "mps" if has_mps else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UserError(f"There is no device {wanted!r}: choose cpu, cuda, cuda:1 or mps.") from None
    there = {"cpu": 1, "cuda": torch.cuda.device_count() if has_cuda else 0, "mps": int(has_mps)}
    if (device.index or 0) >= there.get(device.type, 0):
        raise UserError(f"This machine has no device {wanted!r} that PyTorch can use: choose another, such as cpu.")
    return device


def take_device(name: str = "", patience: timedelta | None = None) -> "torch.device":
    """The device by the same rule, for accelerate to use in this process.

    Of several processes that were launched together, each gets a GPU of its own, or all get the CPU.

    Args:
        patience: how long one of them waits for the others; by default as long as torch has it, some minutes.

    Raises:
        UserError: there is no such device, or it is not for this launch.
    """
    import torch
    from accelerate import PartialState

    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")  # `accelerate launch --cpu`
    device = pick_device(name or ("cpu" if on_cpu else ""))
    if on_cpu and device.type != "cpu":
        raise UserError(f"The launcher puts the training on the CPU: launch without --cpu, or leave {device} out.")
    timeout: Any = {"timeout": patience} if patience else {}
    state = PartialState(cpu=device.type == "cpu", **timeout)
    if state.num_processes == 1:
        state.device = device
        if device.index is not None and device.type == "cuda":
            torch.cuda.set_device(device)
    elif device.index is not None and device.type == "cuda":
        raise UserError(f"{state.num_processes} processes cannot share {device}: name cuda, and each takes its own.")
    assert state.device is not None
    return state.device
