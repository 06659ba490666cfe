"""diffusers' autoencoders as codecs: AutoencoderKL, AutoencoderDC, AutoencoderTiny, with their scale and shift."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from e2ed2.models.saved import Placed


class PretrainedCodec(Placed):
    """Latents as the network was trained on: `(raw - shift) * scale`."""

    def __init__(self, autoencoder: Any):
        super().__init__()
        self.autoencoder = autoencoder
        self.scale = float(autoencoder.config.scaling_factor)
        self.shift = float(autoencoder.config.get("shift_factor") or 0.0)

    def encode(self, images: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1] => latents `[B, C, h, w]`; the mode, if the encoder gives a distribution."""
        encoded = self.autoencoder.encode(images)
        if hasattr(encoded, "latent_dist"):
            raw = encoded.latent_dist.mode()
        else:
            raw = encoded.latents if hasattr(encoded, "latents") else encoded.latent
        return (raw - self.shift) * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, C, h, w]` => images `[B, 3, H, W]`, about [-1, 1], not clipped."""
        return self.autoencoder.decode((latents / self.scale + self.shift).to(self.dtype)).sample

    @cached_property
    @torch.no_grad()
    def factor(self) -> int:
        """Pixels per latent along each side."""
        weights = next(self.autoencoder.parameters())
        channels = self.autoencoder.config.latent_channels
        return self.autoencoder.decode(weights.new_zeros(1, channels, 4, 4)).sample.shape[-1] // 4

    @property
    def fingerprint(self) -> str:
        return digest_of({"": self.autoencoder})


def digest_of(modules: dict[str, nn.Module]) -> str:
    """The SHA-256 of all weights."""
    named = sorted(modules.items())
    return digest((f"{name}.{key}", value) for name, module in named for key, value in module.state_dict().items())


def digest(weights: Iterable[tuple[str, Tensor]]) -> str:
    """The SHA-256 of weights and their names."""
    sha = hashlib.sha256()
    for name, value in weights:
        sha.update(name.encode())
        sha.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
