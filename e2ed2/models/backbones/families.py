"""The families of diffusers' networks that can be trained here. To add one: how its network is called, and its text.

Each is known by its network's class. A network is called with the noisy latents, the timesteps and the text, and what
it predicts comes back as it is; `backbone.py` makes an estimate of the sample of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from e2ed2.errors import UserError
from e2ed2.types import TextEmbedding

Predict = Callable[[Any, Tensor, Tensor, TextEmbedding], Tensor]


@dataclass(frozen=True)
class Family:
    part: str  # the name of the network among the pipeline's components
    predict: Predict  # (network, x [B, C, h, w], timesteps [B], text) => the prediction, shaped as x
    embed: Callable[[Any], TextEmbedding]  # what the pipeline's encode_prompt gives => the text
    hidden: Callable[[Any], Tensor]  # what a block gives => the latents' part: a map, or tokens [B, N, D] row by row


def family_of(pipeline: Any) -> Family:
    """The family of a pipeline. Raises UserError: the family is not supported."""
    for part in ("unet", "transformer"):
        network: Any = getattr(pipeline, part, None)
        if (family := FAMILIES.get(type(network).__name__)) and family.part == part:
            break
    else:
        names = ", ".join(FAMILIES)
        raise UserError(f"A {type(pipeline).__name__} cannot be trained here: choose a pipeline of {names}.")
    if getattr(network.config, "addition_embed_type", None):
        raise UserError("Stable Diffusion XL cannot be trained here yet: choose SD 1.5, PixArt, SANA or SD 3.")
    return family


def unmasked(encoded: Any) -> TextEmbedding:
    """The text from `(tokens, ...)`: every token is read, including padding."""
    tokens = encoded[0]
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return TextEmbedding(tokens, mask, mean_of(tokens, mask))


def masked(encoded: Any) -> TextEmbedding:
    """The text from `(tokens, mask, ...)`."""
    tokens, mask = encoded[0], encoded[1].bool()
    return TextEmbedding(tokens, mask, mean_of(tokens, mask))


def with_pooled(encoded: Any) -> TextEmbedding:
    """The text from `(tokens, negative tokens, pooled, ...)`: the pooled embedding the network was trained with."""
    return TextEmbedding(encoded[0], unmasked(encoded).mask, encoded[2])


def mean_of(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean of the real tokens `[B, D]`, scaled to unit length, for a discriminator."""
    weights = mask[..., None].to(tokens.dtype)
    return F.normalize((tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1), dim=-1)


def _unet(network: Any, x: Tensor, timesteps: Tensor, text: TextEmbedding) -> Tensor:
    return network(x, timesteps, encoder_hidden_states=text.tokens).sample


def _pixart(network: Any, x: Tensor, timesteps: Tensor, text: TextEmbedding) -> Tensor:
    size: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
    if network.config.sample_size == 128:  # the 1,024-pixel models are conditioned on the size
        height, width = (8 * side for side in x.shape[-2:])
        size["resolution"] = x.new_tensor([[height, width]]).expand(len(x), 2)
        size["aspect_ratio"] = x.new_tensor([[height / width]]).expand(len(x), 1)
    text_of: Any = {"encoder_hidden_states": text.tokens, "encoder_attention_mask": text.mask.to(x.dtype)}
    return network(x, timestep=timesteps, added_cond_kwargs=size, **text_of).sample


def _sana(network: Any, x: Tensor, timesteps: Tensor, text: TextEmbedding) -> Tensor:
    text_of: Any = {"encoder_hidden_states": text.tokens, "encoder_attention_mask": text.mask.to(x.dtype)}
    return network(x, timestep=timesteps * network.config.timestep_scale, **text_of).sample


def _sd3(network: Any, x: Tensor, timesteps: Tensor, text: TextEmbedding) -> Tensor:
    text_of: Any = {"encoder_hidden_states": text.tokens, "pooled_projections": text.pooled}
    return network(x, timestep=timesteps, **text_of).sample


def _first(output: Any) -> Tensor:
    """A stage of a UNet on the way down returns what it passes on, and what it passes across."""
    return output if isinstance(output, Tensor) else output[0]


def _second(output: Any) -> Tensor:
    """The text's tokens come first."""
    return output[1]


FAMILIES = {
    "UNet2DConditionModel": Family("unet", _unet, unmasked, _first),
    "PixArtTransformer2DModel": Family("transformer", _pixart, masked, _first),
    "SanaTransformer2DModel": Family("transformer", _sana, masked, _first),
    "SD3Transformer2DModel": Family("transformer", _sd3, with_pooled, _second),
}
