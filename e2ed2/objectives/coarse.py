"""Train the coarse path alone: thousands of pictures a second, before the transformer joins."""

import torch
from torch import Tensor

from e2ed2.codec import Codec
from e2ed2.denoiser import CoarseToFineDenoiser
from e2ed2.losses.pixel import l2
from e2ed2.objectives.chain import decode_preview, noise_like
from e2ed2.objectives.objective import DenoiserObjective
from e2ed2.types import CaptionedBatch

OBEYING = 4


class CoarseRegression(DenoiserObjective):
    """Squared error of the coarse picture against the latents, for the nearest of several global choices.

    With one choice a caption that names no style paints the mean of its drawings. With several, only the nearest
    learns (implicit maximum likelihood, Li and Malik 2018), so that choices come to mean artists. One caption in
    `OBEYING` takes its choice as it comes: else a choice that seldom wins would not learn to obey a named style.
    """

    sees_images = False
    sees_words = False

    def __init__(self, denoiser: CoarseToFineDenoiser, codec: Codec, samples: int = 1):
        super().__init__()
        denoiser.transformers.requires_grad_(False)
        self.model, self.samples = denoiser, samples
        self.codec = codec.requires_grad_(False)

    def forward(self, batch: CaptionedBatch, generator: torch.Generator) -> dict[str, Tensor]:
        path, count = self.model.coarse, len(batch.latents)
        normal = torch.randn(count * self.samples, path.choices, generator=generator, device=batch.latents.device)
        choices = path.choice_of(normal)
        if self.samples > 1:
            choices = self.nearest(choices, batch)
        return {"l2": l2(path(choices, batch.text), batch.latents)}

    @torch.no_grad()
    def nearest(self, choices: Tensor, batch: CaptionedBatch) -> Tensor:
        """Of each caption's `samples` choices, `[B * samples, choices]`, the one that learns."""
        painted = self.model.coarse(choices, batch.text.repeat(self.samples)).unflatten(0, (-1, self.samples))
        distance = (painted - batch.latents[:, None]).square().flatten(2).mean(dim=2)
        winner = distance.argmin(dim=1)
        winner[::OBEYING] = 0
        return choices.unflatten(0, (-1, self.samples))[torch.arange(len(winner)), winner]

    @torch.no_grad()
    def preview(self, model: CoarseToFineDenoiser, batch: CaptionedBatch) -> Tensor:
        latents = model.start(noise_like(batch.latents), batch.text).coarse
        return decode_preview(self.codec, batch, latents)
