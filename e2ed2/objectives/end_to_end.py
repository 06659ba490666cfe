"""End-to-end training (Fig. 1b): the loss sees the final sample, and its gradient passes every step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.losses.adversarial import Discriminator, discriminator_loss, generator_loss
from e2ed2.losses.distribution import energy, energy_score, pairs
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.pixel import l1, l2
from e2ed2.losses.spec import parse_loss
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser
from e2ed2.models.codec import Codec
from e2ed2.objectives.chain import decode_crop, decode_preview, noise_like, same_crop
from e2ed2.objectives.objective import DenoiserObjective
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch


class EndToEnd(DenoiserObjective):
    """Pure noise through T steps to a sample, T drawn from `steps` at each update.

    `l1`, `l2` and `energy` compare latents; `lpips`, `gan` and `energy-lpips` compare decoded pictures.
    """

    sees_words = True

    def __init__(
        self,
        denoiser: CoarseToFineDenoiser,
        codec: Codec,
        loss: str,
        steps: Sequence[int] = (1, 2, 3, 4),
        backprop_steps: int | None = None,
        checkpointed: bool = False,
        samples: int = 1,
        repulsion: float = 1.0,
    ):
        super().__init__()
        self.model = denoiser
        self.codec = codec.requires_grad_(False)
        self.weights = parse_loss(loss)
        self.steps, self.backprop_steps, self.checkpointed = steps, backprop_steps, checkpointed
        self.samples, self.repulsion = samples, repulsion
        perceptual = "lpips" in self.weights or "energy-lpips" in self.weights
        self.perceptual = PerceptualLoss() if perceptual else None
        if "gan" in self.weights:
            self.adversary = Discriminator()
        self.sees_images = self.perceptual is not None or self.adversary is not None
        self.judged: tuple[Tensor, Tensor, Tensor] | None = None  # fake, real, pooled of the last update

    def forward(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> dict[str, Tensor]:
        text = batch.text.repeat(self.samples)
        target = batch.latents.repeat_interleave(self.samples, dim=0)
        # Alike on all processes: they would wait for each other, and a sharded model would never meet.
        drawn = torch.randint(len(self.steps), (), generator=seeds.shared("step count"))
        x0 = sample(
            self.model,
            noise_like(target, seeds.stream("image noise")),
            text,
            uniform_levels(self.steps[int(drawn)]),
            grad=True,
            backprop_steps=self.backprop_steps,
            checkpointed=self.checkpointed,
        )
        weights, terms = self.weights, {}
        if "l1" in weights:
            terms["l1"] = weights["l1"] * l1(x0, target)
        if "l2" in weights:
            terms["l2"] = weights["l2"] * l2(x0, target)
        if "energy" in weights:
            groups = x0.unflatten(0, (-1, self.samples))
            terms["energy"] = weights["energy"] * energy_score(groups, batch.latents, repulsion=self.repulsion)
        if not self.sees_images:
            return terms
        images = batch.images.repeat_interleave(self.samples, dim=0)
        fake, real = decode_crop(self.codec, x0, images, seeds.on_cpu("decoded window"))
        if self.perceptual is not None:
            distance = self.perceptual(fake, real)
            if "lpips" in weights:
                terms["lpips"] = weights["lpips"] * distance.mean()
            if "energy-lpips" in weights:
                terms["energy-lpips"] = weights["energy-lpips"] * self.perceptual_energy(distance, fake)
        if self.adversary is not None:
            self.adversary.requires_grad_(False)
            fake, real = same_crop(fake, real, seeds.on_cpu("judged square"))
            terms["gan"] = weights["gan"] * generator_loss(self.adversary, fake, real, text.pooled)
            self.judged = (fake.detach(), real, text.pooled)
        return terms

    def perceptual_energy(self, distance: Tensor, fake: Tensor) -> Tensor:
        """The energy score in LPIPS's feature space: LPIPS is a squared norm there, so its root is the distance."""
        assert self.perceptual is not None
        groups = fake.unflatten(0, (-1, self.samples))
        left, right = pairs(self.samples)
        between = self.perceptual(groups[:, left].flatten(0, 1), groups[:, right].flatten(0, 1))
        return energy((distance + 1e-6).sqrt(), (between + 1e-6).sqrt(), self.repulsion)

    def adversary_terms(self, seeds: UpdateSeeds) -> dict[str, Tensor]:
        """The discriminator's loss on what the last update painted."""
        if self.adversary is None or self.judged is None:
            raise RuntimeError("no adversary, or no update yet")
        self.adversary.requires_grad_(True)
        fake, real, pooled = self.judged
        noise = seeds.stream("discriminator noise")
        return {"discriminator": discriminator_loss(self.adversary, fake, real, pooled, noise)}

    @torch.no_grad()
    def preview(self, model: CoarseToFineDenoiser, batch: CaptionedBatch) -> Tensor:
        latents = sample(model, noise_like(batch.latents), batch.text, uniform_levels(max(self.steps)))
        return decode_preview(self.codec, batch, latents)
