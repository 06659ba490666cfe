"""Validation of a pipeline's arguments; each error is one sentence."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from e2ed2.errors import UserError

OutputType = Literal["pil", "np", "pt", "latent"]
Generators = torch.Generator | Sequence[torch.Generator] | None
TENSORS = ("latents", "clean")  # what a callback can ask for: x_s after the step, and the step's estimate of x_0


# Arguments of other diffusers pipelines that this one does not support: the values, besides None, that make no
# difference, and what to do instead.
UNUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "negative_prompt": (("",), "there is no guidance here that could lead away from it: leave it out"),
    "guidance_scale": ((0, 1), "these models are sampled without guidance: give 1, or leave it out"),
    "guidance_rescale": ((0,), "these models are sampled without guidance: leave it out"),
    "eta": ((0,), "the chain adds no noise on its way: give 0, or leave it out"),
    "timesteps": ((), "the steps are those of the training: give num_inference_steps instead"),
    "sigmas": ((), "the steps are those of the training: give num_inference_steps instead"),
    "prompt_embeds": ((), "the model reads its captions itself: give a prompt instead"),
    "negative_prompt_embeds": ((), "there is no guidance here that could lead away from it: leave it out"),
    "cross_attention_kwargs": ((), "its layers take none: leave it out"),
    "clip_skip": ((), "its text encoder is not CLIP: leave it out"),
}
SIDES = ("height", "width")


def unused(given: dict[str, Any], side: int, taken: Sequence[str]) -> None:
    """Reject options that a call does not support, unless their value changes nothing.

    Args:
        side: height and width of the model's pictures, in pixels.
        taken: what the call does take.

    Raises:
        UserError: one would have no effect, or is not known at all.
    """
    if unknown := [name for name in given if name not in (*UNUSED, *SIDES)]:
        raise UserError(f"The pipeline takes no {unknown[0]}: it takes {', '.join(taken)}.")
    for name, value in given.items():
        own, advice = UNUSED.get(name, ((side,), f"this model's pictures are {side} by {side} pixels: leave it out"))
        if value is not None and not (isinstance(value, str | int | float) and value in own):
            raise UserError(f"{name} would have no effect, {advice}.")


# Options of diffusers' `save_pretrained`: the one value of each that asks for what is done anyway, and why no other.
SAVING: dict[str, tuple[Any, str]] = {
    "safe_serialization": (True, "weights are written as safetensors alone"),
    "variant": (None, "a folder has its weights once"),
    "max_shard_size": (None, "each part is one file"),
    "use_flashpack": (False, "weights are written as safetensors alone"),
    "push_to_hub": (False, "what is saved can be uploaded with `hf upload OWNER/NAME FOLDER`"),
}


def saving(asked: dict[str, Any]) -> None:
    """Raises UserError: an option of `save_pretrained` is unknown, or asks for something that is not supported."""
    if unknown := [name for name in asked if name not in SAVING]:
        raise UserError(f"save_pretrained takes no {unknown[0]}: leave it out.")
    for name, value in asked.items():
        usual, reason = SAVING[name]
        if value != usual:
            raise UserError(f"save_pretrained cannot do {name}={value!r}, for {reason}: leave {name} out.")


def precision(dtype: torch.dtype | None, torch_dtype: torch.dtype | None) -> torch.dtype:
    if dtype is not None and torch_dtype is not None:
        raise UserError("dtype and torch_dtype are one option: give dtype alone.")
    given = torch_dtype if dtype is None else dtype
    if given is not None and not (isinstance(given, torch.dtype) and given.is_floating_point):
        raise UserError(f"dtype is {given!r}: choose torch.float32, torch.bfloat16 or torch.float16.")
    return given or torch.float32


def whole_number(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name} is {value!r}: choose a whole number of at least 1.")
    return int(value)


def output_type(value: Any) -> OutputType:
    if value not in get_args(OutputType):
        raise UserError(f"There is no output_type {value!r}: choose one of {', '.join(get_args(OutputType))}.")
    return value


def prompts(prompt: str | Sequence[str] | None) -> list[str]:
    texts = [prompt] if isinstance(prompt, str) else list(prompt) if isinstance(prompt, Sequence) else []
    if not texts or not all(isinstance(one, str) for one in texts):
        raise UserError("The prompt must be a text, or a list of texts.")
    return texts


def generators(given: Generators, count: int) -> list[torch.Generator | None]:
    """One generator for each image."""
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
        what = list(given.shape) if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise UserError(f"The latents are {what}: they must be a tensor {list(shape)}.")
    return given


def callback(name: str, given: Any) -> None:
    if given is not None and not callable(given):
        raise UserError(f"{name} is {given!r}: give a function, or leave it out.")


def tensor_names(names: Any) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Sequence) or any(name not in TENSORS for name in names):
        raise UserError(f"callback_on_step_end_tensor_inputs is {names!r}: list {', '.join(TENSORS)} or both.")
    return list(names)


def returned(given: Any, tensors: dict[str, Tensor]) -> Tensor:
    """The latents to continue with after a step, from what its callback returned."""
    if given is None:
        return tensors["latents"]
    if not isinstance(given, dict):
        raise UserError(f"callback_on_step_end returned a {type(given).__name__}: return a dictionary, or nothing.")
    if others := [name for name in given if name != "latents" and given[name] is not tensors.get(name)]:
        raise UserError(f"callback_on_step_end returned {others[0]!r}: only latents can be replaced.")
    before = tensors["latents"]
    return latents(given.get("latents", before), tuple(before.shape)).to(before)
