"""Images to compact latents and back."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from e2ed2.errors import UserError
from e2ed2.models.autoencoder import PixelShuffleAutoencoder
from e2ed2.models.components import shared
from e2ed2.models.config import CodecConfig
from e2ed2.models.saved import CONFIG, ModelMixin, register_to_config

OWN = "PixelShuffleAutoencoder"
TAIL = 3  # layers of our own decoder after the blocks at half resolution
AUTOENCODERS = (OWN, "AutoencoderDC", "AutoencoderTiny", "AutoencoderKL")


class Codec(ModelMixin):
    """Our own autoencoder, or one of diffusers, between latents of zero mean and unit variance per channel."""

    mean: Tensor
    std: Tensor

    @register_to_config
    def __init__(self, kind: str, options: dict[str, Any], latent_channels: int):
        super().__init__()
        if kind not in AUTOENCODERS:
            raise UserError(f"Unknown autoencoder {kind!r}: choose one of {', '.join(AUTOENCODERS)}.")
        self.autoencoder: Any = PixelShuffleAutoencoder(**options) if kind == OWN else _theirs(kind)(**options)
        self.register_buffer("mean", torch.zeros(latent_channels))
        self.register_buffer("std", torch.ones(latent_channels))
        self.to(memory_format=torch.channels_last)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **options: Any) -> Self:
        """A codec from its folder, or from that of a model that shares its codec; in full precision by default."""
        place = Path(pretrained_model_name_or_path)
        if place.is_dir() and not (place / CONFIG).is_file():
            place = shared(place, "codec")
        return super().from_pretrained(place, **options)

    def encode(self, images: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1] => normalised latents `[B, C, h, w]`."""
        return (self.encode_raw(images) - self.mean[:, None, None]) / self.std[:, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents `[B, C, h, w]` => images `[B, 3, H, W]`, about [-1, 1], not clipped."""
        return self.decode_raw(latents * self.std[:, None, None] + self.mean[:, None, None])

    def encode_raw(self, images: Tensor) -> Tensor:
        encoded: Any = self.autoencoder.encode(images.contiguous(memory_format=torch.channels_last))
        if hasattr(encoded, "latent_dist"):
            return encoded.latent_dist.mode()
        return encoded.latents if hasattr(encoded, "latents") else encoded.latent

    def decode_raw(self, latents: Tensor) -> Tensor:
        return self.autoencoder.decode(latents.contiguous(memory_format=torch.channels_last)).sample

    @property
    def factor(self) -> int:
        """Pixels per latent along each side."""
        return self.decode_raw(self.mean[None, :, None, None]).shape[-1]

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for value in self.state_dict().values():
            digest.update(value.detach().float().cpu().numpy().tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def measure(self, batches: list[Tensor]) -> None:
        """Set mean and std per channel to those of the batches' latents."""
        latents = torch.cat([self.encode_raw(images) for images in batches])
        self.mean.copy_(latents.mean(dim=(0, 2, 3)))
        self.std.copy_(latents.std(dim=(0, 2, 3)))


def _theirs(kind: str) -> Any:
    import diffusers  # takes seconds; our own codec does not need it

    return getattr(diffusers, kind)


def build_codec(config: CodecConfig) -> Codec:
    return Codec(OWN, asdict(config), config.latent_channels)


def grown(codec: Codec, finest_layers: int) -> Codec:
    """The same codec with `finest_layers` residual blocks at half resolution; new ones start as the identity.

    Raises:
        UserError: it already has more, or is of another kind.
    """
    config = codec.config
    had = config.options.get("finest_layers", 0)
    if config.kind != OWN or finest_layers < had:
        raise UserError(f"This codec cannot have {finest_layers} finest-layers: it has {had}, or is of another kind.")
    new = Codec(OWN, config.options | {"finest_layers": finest_layers}, config.latent_channels)
    new.load_state_dict({name: value for name, value in codec.state_dict().items() if ".decoder." not in name}, False)
    old, layers = codec.autoencoder.decoder, new.autoencoder.decoder
    first = len(old) - TAIL
    for place, layer in enumerate(old):
        layers[place if place < first else place - len(old)].load_state_dict(layer.state_dict())
    return new.eval()
