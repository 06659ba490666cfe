"""Train the codec: a picture through the latents and back."""

import torch
from torch import Tensor

from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.models.codec import Codec
from e2ed2.objectives.objective import Objective
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import PictureBatch

LPIPS_WEIGHT = 0.5


class Reconstruction(Objective):
    """L1 + LPIPS between pictures and their reconstruction.

    Noise on the latents, of a strength drawn for each picture from 0 to `latent_noise` times each channel's
    standard deviation, makes the decoder forgive a denoiser's errors and the encoder leave out what noise
    would drown (noise-augmented decoding, Zheng et al. 2025).
    """

    def __init__(self, codec: Codec, lpips_weight: float = LPIPS_WEIGHT, latent_noise: float = 0.4):
        super().__init__()
        self.model = codec
        self.perceptual = PerceptualLoss()
        self.lpips_weight = lpips_weight
        self.latent_noise = latent_noise

    def forward(self, batch: PictureBatch, seeds: UpdateSeeds) -> dict[str, Tensor]:
        latents = self.model.encode_raw(batch.images)
        spread = latents.detach().float().std(dim=(0, 2, 3), keepdim=True)
        generator = seeds.stream("latent noise")
        strength = torch.rand(len(latents), 1, 1, 1, generator=generator, device=latents.device)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        images = self.model.decode_raw(latents + self.latent_noise * strength * spread * noise).float()
        return {
            "l1": (images - batch.images).abs().mean(),
            "lpips": self.lpips_weight * self.perceptual(images, batch.images).mean(),
        }

    @torch.no_grad()
    def preview(self, model: Codec, batch: PictureBatch) -> Tensor:
        """Pictures above their reconstructions, `[2 * B, 3, H, W]`."""
        return torch.cat([batch.images, model.decode_raw(model.encode_raw(batch.images))])
