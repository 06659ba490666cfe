"""Train the codec: a picture through the latents and back."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from e2ed2.data.batches import CropBatches
from e2ed2.data.pictures import PictureSet
from e2ed2.data.shards import CachedPictures
from e2ed2.errors import UserError
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.pixel import edges, l1
from e2ed2.models.codec import Codec, build_codec, grown
from e2ed2.models.references import model_folder
from e2ed2.models.weights import load_codec, save_model
from e2ed2.objectives.chain import same_crop
from e2ed2.objectives.config import ReconstructionConfig
from e2ed2.objectives.objective import Objective, Outcome
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import PictureBatch


def start(config: ReconstructionConfig) -> Codec:
    codec = load_codec(model_folder(config.init))
    return grown(codec, config.codec.finest_layers) if config.codec.finest_layers else codec


class Reconstruction(Objective):
    """L1 + LPIPS between pictures and their reconstruction, and L1 between their edges.

    Noise on the latents, of a strength drawn for each picture from 0 to `latent_noise` times each channel's
    standard deviation, makes the decoder forgive a denoiser's errors and the encoder leave out what noise
    would drown (noise-augmented decoding, Zheng et al. 2025).
    """

    def __init__(self, codec: Codec, config: ReconstructionConfig):
        super().__init__()
        self.model, self.config = codec, config
        self.perceptual = PerceptualLoss()

    @classmethod
    def of(cls, config: ReconstructionConfig, resolution: int) -> Self:
        codec = start(config) if config.init else build_codec(config.codec)
        if config.decoder_only:
            codec.requires_grad_(False)
            codec.autoencoder.decoder.requires_grad_(True)
        factor = codec.factor
        if resolution % factor or min(config.crop, resolution) % factor:
            raise UserError(
                f"The codec makes one latent of {factor} by {factor} pixels: choose multiples of {factor} for "
                "--data.resolution and --crop."
            )
        return cls(codec, config)

    def batches(
        self, pictures: PictureSet, size: int, seed: int, device: torch.device, once: bool = False
    ) -> CropBatches:
        if isinstance(pictures, CachedPictures):
            raise UserError(
                "A codec learns from pictures, not from latents: give it the set itself, with --data.stream."
            )
        return CropBatches(pictures, size, seed, self.config.crop, device)

    def forward(self, batch: PictureBatch, seeds: UpdateSeeds) -> Outcome:
        latents = self.model.encode_raw(batch.images)
        spread = latents.detach().float().std(dim=(0, 2, 3), keepdim=True)
        generator = seeds.stream("latent noise")
        strength = torch.rand(len(latents), 1, 1, 1, generator=generator, device=latents.device)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        images = self.model.decode_raw(latents + self.config.latent_noise * strength * spread * noise).float()
        terms = {"l1": l1(images, batch.images)}
        if self.config.lpips:
            terms["lpips"] = self.perceptual(*self.zoomed(images, batch.images, seeds)).mean()
        if self.config.edges:
            terms["edges"] = edges(images, batch.images)
        return Outcome(terms, {"l1": 1.0, "lpips": self.config.lpips, "edges": self.config.edges})

    def zoomed(self, images: Tensor, targets: Tensor, seeds: UpdateSeeds) -> tuple[Tensor, Tensor]:
        """The same random square of both, enlarged to full size; in some updates both unchanged."""
        if self.config.zoom == 1:
            return images, targets
        side, generator = images.shape[-1], seeds.on_cpu("zoomed square")
        squares = same_crop(images, targets, generator, round(side / self.config.zoom))
        if torch.rand(1, generator=generator).item() >= self.config.zoom_share:
            return images, targets
        fake, real = (F.interpolate(square, size=(side, side), mode="bilinear") for square in squares)
        return fake, real

    @torch.no_grad()
    def preview(self, model: Codec, batch: PictureBatch) -> Tensor:
        """Pictures above their reconstructions, `[2 * B, 3, H, W]`."""
        return torch.cat([batch.images, model.decode_raw(model.encode_raw(batch.images))])

    def write(self, folder: Path, pictures: PictureSet) -> None:
        """Write the codec, after measuring the statistics of its latents if they may have changed."""
        if self.config.decoder_only:
            save_model(self.model, folder / "codec")
            return
        chunks = torch.arange(0, len(pictures), max(1, len(pictures) // 512)).split(64)
        self.model.measure([pictures.tensor(chunk, self.model.device) for chunk in chunks])
        save_model(self.model, folder / "codec")
