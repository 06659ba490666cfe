"""What a pipeline refuses, each in one sentence."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from e2ed2.errors import UserError

OutputType = Literal["pil", "np", "pt", "latent"]
Generators = torch.Generator | Sequence[torch.Generator] | None
TENSORS = ("latents", "clean")  # what a callback can ask for: x_s after the step, and the step's estimate of x_0


def precision(dtype: torch.dtype | None, torch_dtype: torch.dtype | None) -> torch.dtype:
    if dtype is not None and torch_dtype is not None:
        raise UserError("dtype and torch_dtype are one option: give dtype alone.")
    given = torch_dtype if dtype is None else dtype
    if given is not None and not (isinstance(given, torch.dtype) and given.is_floating_point):
        raise UserError(f"dtype is {given!r}: choose torch.float32, torch.bfloat16 or torch.float16.")
    return given or torch.float32


def whole(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name} is {value!r}: choose a whole number of at least 1.")
    return int(value)


def output_type(value: Any) -> OutputType:
    if value not in get_args(OutputType):
        raise UserError(f"There is no output_type {value!r}: choose one of {', '.join(get_args(OutputType))}.")
    return value


def prompts(prompt: str | Sequence[str]) -> list[str]:
    texts = [prompt] if isinstance(prompt, str) else list(prompt) if isinstance(prompt, Sequence) else []
    if not texts or not all(isinstance(one, str) for one in texts):
        raise UserError("The prompt must be a text, or a list of texts.")
    return texts


def generators(given: Generators, count: int) -> list[torch.Generator | None]:
    """One for each image."""
    if given is None:
        return [None] * count
    each = list(given) if isinstance(given, Sequence) else [given] * count
    if not all(isinstance(one, torch.Generator) for one in each):
        raise UserError("The generator must be a torch.Generator, or a list of them: torch.Generator().manual_seed(7).")
    if len(each) != count:
        raise UserError(f"{len(each)} generators do not fit {count} images: give one for each, or one.")
    return list(each)


def latents(given: Any, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(given, Tensor) or tuple(given.shape) != shape:
        found = list(given.shape) if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise UserError(f"The latents are {found}: they must be a tensor {list(shape)}.")
    return given


def callback(name: str, given: Any) -> None:
    if given is not None and not callable(given):
        raise UserError(f"{name} is {given!r}: give a function, or leave it out.")


def tensor_names(names: Any) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Sequence) or any(name not in TENSORS for name in names):
        raise UserError(f"callback_on_step_end_tensor_inputs is {names!r}: list {', '.join(TENSORS)} or both.")
    return list(names)


def returned(given: Any, tensors: dict[str, Tensor]) -> Tensor:
    """The latents that go on after a step, from what its callback returned."""
    if given is None:
        return tensors["latents"]
    if not isinstance(given, dict):
        raise UserError(f"callback_on_step_end returned a {type(given).__name__}: return a dictionary, or nothing.")
    if others := [name for name in given if name != "latents" and given[name] is not tensors.get(name)]:
        raise UserError(f"callback_on_step_end returned {others[0]!r}: only latents can be replaced.")
    kept = tensors["latents"]
    return latents(given.get("latents", kept), tuple(kept.shape)).to(kept)
