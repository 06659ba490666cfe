"""Train the coarse path alone: thousands of pictures a second, before the transformer joins."""

import torch
from torch import Tensor, nn

from e2ed2.codec import Codec
from e2ed2.denoiser import CoarseToFineDenoiser
from e2ed2.losses.distribution import energy_score
from e2ed2.objectives.chain import decode_preview, noise_like
from e2ed2.types import Batch


class CoarseRegression(nn.Module):
    """Energy score of `samples` coarse pictures for each caption.

    The energy score and not the squared error: where the caption leaves the artist open, the choice
    read off the noise must decide it, and a mean would not.
    """

    def __init__(self, denoiser: CoarseToFineDenoiser, codec: Codec, samples: int = 2):
        super().__init__()
        denoiser.transformers.requires_grad_(False)
        self.model, self.samples = denoiser, samples
        self.codec = codec.requires_grad_(False)

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        count = len(batch.latents)
        choices = self.model.config.choices
        choice = torch.randn(count * self.samples, choices, generator=generator, device=batch.latents.device)
        coarse = self.model.coarse(choice, batch.text.repeat(self.samples))
        return {"energy": energy_score(coarse.unflatten(0, (count, self.samples)), batch.latents)}

    @torch.no_grad()
    def preview(self, model: CoarseToFineDenoiser, batch: Batch) -> Tensor:
        latents = model.start(noise_like(batch.latents), batch.text).coarse
        return decode_preview(self.codec, batch, latents)
