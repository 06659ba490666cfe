"""Single-step training (Fig. 1a): one denoising step from real data at a random noise level."""

import torch
from torch import Tensor

from e2ed2.diffusion.levels import add_noise, uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.losses.pixel import l2
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser
from e2ed2.objectives.chain import decode_preview, noise_like
from e2ed2.objectives.config import PREVIEW_STEPS
from e2ed2.objectives.denoiser_config import SingleStepConfig
from e2ed2.objectives.denoising import DenoiserObjective
from e2ed2.objectives.objective import Outcome
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch


class SingleStep(DenoiserObjective):
    """Mean squared error of the clean estimate at a random `t`. The baseline, and the warm start.

    `time_shift` s moves uniform levels towards noise, `s t / (1 + (s - 1) t)` (Esser et al. 2024, eq. 23): a chain
    of few steps never visits the levels near the data.
    """

    sees_images = False
    sees_words = True
    config: SingleStepConfig

    def forward(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> Outcome:
        x0 = batch.latents
        z = noise_like(x0, seeds.stream("image noise"))
        # t in (0, 1]: at t = 0 there is nothing left to predict.
        t = 1 - torch.rand(len(x0), generator=seeds.stream("time"), device=x0.device)
        shift = self.config.time_shift
        t = shift * t / (1 + (shift - 1) * t)
        conditioning = self.model.condition(z, batch.text)
        clean = self.model(add_noise(x0, z, t), t, batch.text, conditioning)
        return Outcome({"l2": l2(clean, x0)}, {"l2": 1.0})

    @torch.no_grad()
    def preview(self, model: CoarseToFineDenoiser, batch: CaptionedBatch) -> Tensor:
        latents = sample(model, noise_like(batch.latents), batch.text, uniform_levels(PREVIEW_STEPS))
        return decode_preview(self.codec, batch, latents)
