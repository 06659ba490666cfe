"""An autoencoder of residual convolutions and pixel shuffles, small enough to learn on two cores."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from e2ed2.models.saved import ModelMixin, register_to_config


@dataclass(frozen=True)
class Encoded:
    latents: Tensor


@dataclass(frozen=True)
class Decoded:
    sample: Tensor


class PixelShuffleAutoencoder(ModelMixin):
    """Layers at 1/4, 1/8, 1/16, ... of the resolution, one width each: finer layers would cost most and add least.

    No normalisation: the residual blocks start as the identity, and channels-last convolutions stay unbroken.
    The interface is that of diffusers' autoencoders.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int,
        widths: tuple[int, ...],
        encoder_layers: tuple[int, ...],
        decoder_layers: tuple[int, ...],
        finest: int = 32,
        finest_layers: int = 0,
    ):
        """`finest` and `finest_layers`: the decoder's, at half of the resolution; older codecs have the defaults."""
        super().__init__()
        levels = range(len(widths))
        down: list[nn.Module] = [nn.PixelUnshuffle(4), nn.Conv2d(3 * 16, widths[0], 3, padding=1)]
        for level in levels:
            if level:
                down += [nn.PixelUnshuffle(2), nn.Conv2d(4 * widths[level - 1], widths[level], 1)]
            down += _blocks(widths[level], encoder_layers[level])
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], latent_channels, 1))

        up: list[nn.Module] = [nn.Conv2d(latent_channels, widths[-1], 1)]
        for level in reversed(levels):
            up += _blocks(widths[level], decoder_layers[level])
            if level:
                up += [nn.Conv2d(widths[level], 4 * widths[level - 1], 1), nn.PixelShuffle(2)]
        # A convolution between the last two shuffles: from one shuffle by 4, flat areas show a grid.
        up += [nn.Conv2d(widths[0], 4 * finest, 1), nn.PixelShuffle(2), *_blocks(finest, finest_layers), nn.SiLU()]
        self.decoder = nn.Sequential(*up, nn.Conv2d(finest, 3 * 4, 3, padding=1), nn.PixelShuffle(2))

    def encode(self, images: Tensor) -> Encoded:
        """`[B, 3, H, W]` => latents `[B, C, H / s, W / s]`, s = 4, 8, 16, ... for 1, 2, 3, ... widths."""
        return Encoded(latents=self.encoder(images))

    def decode(self, latents: Tensor) -> Decoded:
        """Latents `[B, C, h, w]` => images `[B, 3, s h, s w]`."""
        return Decoded(sample=self.decoder(latents))


class Block(nn.Module):
    """Two convolutions on a residual; the identity at first."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def _blocks(channels: int, count: int) -> list[Block]:
    return [Block(channels) for _ in range(count)]
