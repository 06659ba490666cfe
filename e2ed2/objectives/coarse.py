"""Train the coarse path alone: thousands of pictures a second, before the transformer joins."""

import torch
from torch import Tensor

from e2ed2.codec import Codec
from e2ed2.denoiser import CoarseToFineDenoiser
from e2ed2.losses.distribution import energy_score
from e2ed2.losses.pixel import l2
from e2ed2.losses.terms import parse_loss
from e2ed2.objectives.chain import decode_preview, noise_like
from e2ed2.objectives.objective import DenoiserObjective
from e2ed2.types import CaptionedBatch


class CoarseRegression(DenoiserObjective):
    """The coarse picture against the latents: `l2`, or `energy` over several samples for each caption.

    With `l2` a caption that names no style paints the mean of its drawings; with `energy` the choice
    read off the noise decides between them, at a multiple of the cost.
    """

    sees_images = False
    sees_words = False

    def __init__(self, denoiser: CoarseToFineDenoiser, codec: Codec, loss: str = "l2", samples: int = 1):
        super().__init__()
        denoiser.transformers.requires_grad_(False)
        self.model, self.samples = denoiser, samples
        self.codec = codec.requires_grad_(False)
        self.weights = parse_loss(loss)

    def forward(self, batch: CaptionedBatch, generator: torch.Generator) -> dict[str, Tensor]:
        count = len(batch.latents)
        path = self.model.coarse
        normal = torch.randn(count * self.samples, path.choices, generator=generator, device=batch.latents.device)
        coarse = path(path.choice_of(normal), batch.text.repeat(self.samples)).unflatten(0, (count, self.samples))
        if "energy" in self.weights:
            return {"energy": self.weights["energy"] * energy_score(coarse, batch.latents)}
        return {"l2": self.weights["l2"] * l2(coarse, batch.latents[:, None])}

    @torch.no_grad()
    def preview(self, model: CoarseToFineDenoiser, batch: CaptionedBatch) -> Tensor:
        latents = model.start(noise_like(batch.latents), batch.text).coarse
        return decode_preview(self.codec, batch, latents)
