"""The denoiser `f(x_t, t, c) = g(c, w) + transformer(x_t, t, c, g)`, which predicts the clean latents.

`g` draws the coarse picture from the caption and from `w`, a few numbers read off the initial noise; it is
computed once and carried along the chain. Per-sample layers are nearly free next to per-token layers, so
`g` is wide and the transformer, which adds what is local, is small.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.diffusion.path import Flow
from e2ed2.errors import UserError
from e2ed2.models.components import WEIGHTS, shared
from e2ed2.models.config import Choice, DenoiserConfig, Sharing, check_kept
from e2ed2.models.saved import ModelMixin, register_to_config
from e2ed2.types import TextEmbedding

TEXT_WIDTH = 384  # for models whose config does not state it


@dataclass(frozen=True)
class Conditioning:
    """What the caption and the initial noise determine."""

    coarse: Tensor  # [B, C, h, w] the coarse picture
    choice: Tensor  # [B, choices] of unit variance


class CoarseToFineDenoiser(ModelMixin):
    path = Flow()

    @register_to_config
    def __init__(
        self,
        channels: int,
        grid: int,
        width: int,
        depth: int,
        heads: int,
        coarse_width: int,
        choices: int,
        sharing: Sharing,
        steps: int,
        choice: Choice = "normal",
        text_width: int = TEXT_WIDTH,
        kept: Sequence[int] = (),
    ):
        super().__init__()
        self.register_to_config(kept=list(kept))  # as stored in a file
        self.coarse = CoarsePath(channels, grid, coarse_width, choices, choice, text_width)
        self.coarse.keep(kept)
        count = steps if sharing == "independent" else 1
        self.transformers = nn.ModuleList(
            Transformer(channels, grid, width, depth, heads, choices, text_width) for _ in range(count)
        )

    @property
    def text_width(self) -> int:
        """Width of the text encoder's embeddings."""
        return self.config["text_width"]

    @classmethod
    def load_weights(cls, folder: Path) -> dict[str, Tensor]:
        """A `denoiser` folder's weights, with the coarse path from the same file or the one that the model shares."""
        weights = super().load_weights(folder)
        return weights if coarse_of(weights) else weights | coarse_weights(folder.parent)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return self.coarse.shape

    @property
    def only_steps(self) -> int | None:
        return self.config.steps if self.config.sharing == "independent" else None

    def choose(self, choice: Choice, kept: Sequence[int] = ()) -> None:
        """Set how the global choice is derived from the noise from now on: `DenoiserConfig.choice` and `kept`."""
        self.coarse.choice = choice
        self.coarse.keep(kept)
        self.register_to_config(choice=choice, kept=list(kept))

    def condition(self, z: Tensor, text: TextEmbedding) -> Conditioning:
        choice = self.coarse.choose(z)
        return Conditioning(coarse=self.coarse(choice, text), choice=choice)

    def forward(self, x: Tensor, t: Tensor, text: TextEmbedding, conditioning: Conditioning, step: int = 0) -> Tensor:
        """Clean estimate `[B, C, h, w]` of `x` at noise levels `t` `[B]`.

        `step` counts from pure noise; it picks the transformer where they are independent.
        """
        if len(self.transformers) > 1 and step >= len(self.transformers):
            raise UserError(f"This model has {len(self.transformers)} independent steps: it cannot take more.")
        transformer = self.transformers[step if len(self.transformers) > 1 else 0]
        return conditioning.coarse + transformer(x, t, text, conditioning)


def build_denoiser(config: DenoiserConfig, text_width: int = TEXT_WIDTH) -> CoarseToFineDenoiser:
    """`text_width`: the width of the text encoder's embeddings."""
    return CoarseToFineDenoiser(**asdict(config), text_width=text_width)


def coarse_of(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in weights.items() if name.startswith("coarse.")}


def coarse_weights(folder: Path) -> dict[str, Tensor]:
    """The coarse path's weights for a model's folder: from its denoiser's file, its own, or what the model shares."""
    for file in (folder / "denoiser" / WEIGHTS, folder / WEIGHTS):
        if file.is_file() and (own := coarse_of(load_file(file))):
            return own
    return coarse_of(load_file(shared(folder, "coarse") / WEIGHTS))


def independent_copies(denoiser: CoarseToFineDenoiser, steps: int) -> CoarseToFineDenoiser:
    """A denoiser with a transformer per step, each initialised from the one that `denoiser` shares between steps."""
    config = denoiser.config
    if config.sharing != "shared":
        raise UserError("The model to start from has independent steps already: start from one that shares them.")
    copies = CoarseToFineDenoiser.from_config(config | {"sharing": "independent", "steps": steps})
    copies.coarse.load_state_dict(denoiser.coarse.state_dict())
    for transformer in copies.transformers:
        transformer.load_state_dict(denoiser.transformers[0].state_dict())
    return copies


class CoarsePath(nn.Module):
    """`g(c, w)`: an MLP from the caption and the noise's global choice to the latent grid."""

    directions: Tensor

    def __init__(self, channels: int, grid: int, width: int, choices: int, choice: Choice, text_width: int):
        super().__init__()
        size = channels * grid * grid
        # An orthonormal projection of white noise is white noise: w ~ N(0, I).
        # The noise of a picture with seed 0 begins with the same numbers; its w is not unusual for that. They stay:
        # every bundled model has learned with them.
        directions = torch.randn(size, choices, generator=torch.Generator().manual_seed(0))
        self.register_buffer("directions", torch.linalg.qr(directions).Q.contiguous())
        self.choices, self.choice, self.shape = choices, choice, (channels, grid, grid)
        self.layers = nn.Sequential(
            nn.Linear(text_width + choices, width),
            nn.GELU(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.LayerNorm(width),
            nn.Linear(width, size),
        )

    def keep(self, kept: Sequence[int]) -> None:
        """Restrict the noise to these one-hot choices; if none is named, all are possible."""
        check_kept(kept, self.choice, self.choices)
        self.kept = list(kept or range(self.choices))

    def choose(self, z: Tensor) -> Tensor:
        """The choice `w` for initial noise `[B, C, h, w]`."""
        return self.choice_of(z.flatten(1) @ self.directions)

    def choice_of(self, normal: Tensor) -> Tensor:
        """The choice given by standard normal numbers `[B, choices]`."""
        if self.choice == "normal":
            return normal
        if self.choice == "none":
            return torch.zeros_like(normal)
        choices = torch.tensor(self.kept, device=normal.device)
        largest = choices[normal[..., choices].argmax(dim=-1)]
        return F.one_hot(largest, self.choices).to(normal.dtype) * math.sqrt(self.choices)

    @torch.no_grad()
    def nearest(self, choices: Tensor, text: TextEmbedding, x0: Tensor) -> Tensor:
        """Indices `[B]` of the choices, among `[B, m, choices]`, whose pictures are nearest to `x0` `[B, C, h, w]`."""
        drawn = self(choices.flatten(0, 1), text.repeat(choices.shape[1])).unflatten(0, (len(x0), -1))
        return (drawn - x0[:, None]).square().flatten(2).mean(dim=2).argmin(dim=1)

    def forward(self, choice: Tensor, text: TextEmbedding) -> Tensor:
        pooled = unit_variance(text.pooled)
        return self.layers(torch.cat([pooled, choice], dim=-1)).unflatten(1, self.shape)


class Transformer(nn.Module):
    """A DiT (Peebles and Xie 2023) with adaLN-zero, whose tokens attend to each other and to the caption's.

    The output layer starts at zero: an untrained denoiser is its coarse path.
    """

    def __init__(self, channels: int, grid: int, width: int, depth: int, heads: int, choices: int, text_width: int):
        super().__init__()
        self.embed = nn.Linear(2 * channels, width)
        self.position = nn.Parameter(0.02 * torch.randn(grid * grid, width))
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.caption = nn.Linear(text_width + choices, width)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.words = nn.Linear(text_width, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = _zero(nn.Linear(width, 2 * width))
        self.out = _zero(nn.Linear(width, channels))

    def forward(self, x: Tensor, t: Tensor, text: TextEmbedding, conditioning: Conditioning) -> Tensor:
        tokens = torch.cat([x, conditioning.coarse], dim=1).flatten(2).transpose(1, 2)  # [B, h * w, 2C]
        tokens = self.embed(tokens) + self.position
        caption = torch.cat([unit_variance(text.pooled), conditioning.choice], dim=-1)
        condition = self.condition(self.time(time_features(t)) + self.caption(caption))
        words = self.words(text.tokens)
        seen = F.pad(text.mask, (tokens.shape[1], 0), value=True)[:, None, None, :]  # picture tokens, real words
        visible = torch.zeros_like(seen, dtype=words.dtype).masked_fill(~seen, -torch.inf)
        for block in self.blocks:
            tokens = block(tokens, words, visible, condition)
        shift, scale = self.modulation(condition)[:, None].chunk(2, dim=-1)
        out = self.out(self.norm(tokens) * (1 + scale) + shift)
        return out.transpose(1, 2).unflatten(2, x.shape[2:])


class Block(nn.Module):
    """Attention over picture and caption tokens, then a feed-forward layer, on the picture tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = _zero(nn.Linear(width, 6 * width))
        self.qkv = nn.Linear(width, 3 * width)
        self.word_kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, words: Tensor, visible: Tensor, condition: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, dim=-1)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1, words, visible)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)

    def attend(self, x: Tensor, words: Tensor, visible: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        word_k, word_v = self.word_kv(words).chunk(2, dim=-1)
        k, v = torch.cat([k, word_k], dim=1), torch.cat([v, word_v], dim=1)
        q, k, v = (value.unflatten(-1, (self.heads, -1)).transpose(1, 2) for value in (q, k, v))
        # Written out: torch's fused attention takes four times as long on a CPU in bf16, backward included.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + visible
        return self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))


def unit_variance(pooled: Tensor) -> Tensor:
    """`[B, D]` of unit length, whose numbers are small, => of unit variance."""
    return pooled * math.sqrt(pooled.shape[-1])


TIME_FEATURES = 64


def time_features(t: Tensor) -> Tensor:
    """Sinusoids of t in [0, 1], `[B, 64]`, from half a period to 500 over the interval."""
    frequencies = math.pi * torch.logspace(0, 3, TIME_FEATURES // 2, device=t.device, dtype=t.dtype)
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
