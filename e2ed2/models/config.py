"""Sizes of newly built models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from e2ed2.errors import UserError

Sharing = Literal["shared", "independent"]
Choice = Literal["normal", "one-hot", "none"]


@dataclass(frozen=True)
class DenoiserConfig:
    """Size of the denoiser."""

    channels: int = 32
    """Channels of the latents."""
    grid: int = 8
    """Height and width of the latents."""
    width: int = 192
    """Channels of a token in the transformer, a multiple of `heads`."""
    depth: int = 4
    """Blocks of the transformer."""
    heads: int = 3
    """Attention heads of each block."""
    coarse_width: int = 2048
    """Channels of the coarse path's hidden layers."""
    choices: int = 16
    """Numbers that the coarse path derives from the initial noise: the global choice, such as which artist draws."""
    choice: Choice = "normal"
    """The numbers as they are, standard normal; `one-hot`, the largest alone: artists do not blend; `none`, zeros.
    Beside `init`, `normal` leaves that model's choice as it is."""
    kept: tuple[int, ...] = ()
    """With one-hot choices, those that the noise selects from: 0 is the first, and none named means all. Some of those
    that a coarse path learns stay a blend: `python -m e2ed2.evaluation.experiments.choices MODEL` shows each."""
    sharing: Sharing = "shared"
    """One transformer for every step, or one for each (Fig. 4)."""
    steps: int = 1
    """Number of transformers, if they are independent."""

    def __post_init__(self) -> None:
        counts = ("channels", "grid", "width", "depth", "heads", "coarse_width", "choices", "steps")
        if low := [name for name in counts if getattr(self, name) < 1]:
            raise UserError(f"denoiser.{low[0].replace('_', '-')} must be at least 1.")
        if self.width % self.heads:
            raise UserError(f"width {self.width} is not a multiple of heads {self.heads}.")
        if self.sharing == "shared" and self.steps != 1:
            raise UserError("denoiser.steps counts independent transformers: leave it at 1 where they are shared.")
        check_kept(self.kept, self.choice, self.choices)


def check_kept(kept: Sequence[int], choice: Choice, choices: int) -> None:
    """Raises UserError: there are no such choices, or choices are not one-hot, so that none can be selected."""
    if kept and choice != "one-hot":
        raise UserError(f"denoiser.kept is of one-hot choices: leave it out with choice {choice}.")
    if strange := [one for one in kept if not 0 <= one < choices]:
        raise UserError(f"denoiser.kept names {strange[0]}, but the choices are 0 to {choices - 1}.")


@dataclass(frozen=True)
class CodecConfig:
    """The project's own autoencoder; fully convolutional, so that it trains on crops of any size."""

    latent_channels: int = 32
    widths: tuple[int, ...] = (96, 192, 256)
    """Channels at 1/4, 1/8, 1/16, ... of the resolution."""
    encoder_layers: tuple[int, ...] = (1, 2, 2)
    decoder_layers: tuple[int, ...] = (2, 3, 3)
    finest: int = 32
    """Channels at 1/2 of the resolution, in the decoder."""
    finest_layers: int = 0
    """Residual blocks there, where each costs most."""

    def __post_init__(self) -> None:
        if not len(self.widths) == len(self.encoder_layers) == len(self.decoder_layers) > 0:
            raise UserError("The codec's widths, encoder-layers and decoder-layers need as many numbers each.")
        if min(self.latent_channels, *self.widths, self.finest) < 1:
            raise UserError("The codec's latent-channels, widths and finest must be at least 1.")
        if min(*self.encoder_layers, *self.decoder_layers, self.finest_layers) < 0:
            raise UserError("The codec's encoder-layers, decoder-layers and finest-layers must be at least 0.")
