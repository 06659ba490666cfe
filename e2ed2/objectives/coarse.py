"""Train the coarse path alone: thousands of pictures a second, before the transformer joins."""

import torch
from torch import Tensor, nn

from e2ed2.losses.pixel import l2
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser
from e2ed2.models.codec import Codec
from e2ed2.objectives.chain import decode_preview, noise_like
from e2ed2.objectives.denoiser_config import CoarseConfig
from e2ed2.objectives.denoising import DenoiserObjective
from e2ed2.objectives.objective import Outcome
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch, TextEmbedding


class CoarseRegression(DenoiserObjective):
    """Squared error of the coarse picture against the latents, for the nearest of several global choices.

    With one choice a caption that names no style gets the mean of its drawings. With several, only the nearest
    learns (implicit maximum likelihood, Li and Malik 2018), so that choices come to mean artists. A caption that names
    its style takes its choice as it comes: every choice is to obey.
    """

    sees_images = False
    sees_words = False
    config: CoarseConfig

    def __init__(self, denoiser: CoarseToFineDenoiser, codec: Codec, config: CoarseConfig):
        super().__init__(denoiser, codec, config)
        denoiser.transformers.requires_grad_(False)

    def forward(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> Outcome:
        path, x0 = self.model.coarse, batch.latents
        generator = seeds.stream("style code")
        normal = torch.randn(len(x0) * self.config.samples, path.choices, generator=generator, device=x0.device)
        choices = path.choice_of(normal).unflatten(0, (len(x0), self.config.samples))
        plain = torch.rand(len(x0), generator=generator, device=x0.device) < self.config.plain_share
        choice, free = choices[:, 0].where(~plain[:, None], 0), ~batch.named & ~plain
        if self.config.samples > 1 and free.any():
            choice[free] = self.nearest(choices[free], batch.text[free], x0[free])
        return Outcome({"l2": l2(path(choice, batch.text), x0)}, {"l2": 1.0})

    def nearest(self, choices: Tensor, text: TextEmbedding, x0: Tensor) -> Tensor:
        """The one of each caption's choices, `[B, m, choices]`, whose picture is nearest to `x0`: `[B, choices]`."""
        best = self.model.coarse.nearest(choices, text, x0)
        return choices[torch.arange(len(x0), device=best.device), best]

    def blocks(self) -> list[nn.Module]:
        """None: the transformers' are not called."""
        return []

    @torch.no_grad()
    def preview(self, model: CoarseToFineDenoiser, batch: CaptionedBatch) -> Tensor:
        latents = model.condition(noise_like(batch.latents), batch.text).coarse
        return decode_preview(self.codec, batch, latents)
