"""End-to-end training (Fig. 1b): the loss sees the final sample, and its gradient passes every step."""

import copy
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import Gradient, sample
from e2ed2.losses.adversarial import Judged
from e2ed2.losses.compared import Compared
from e2ed2.losses.discriminators import Discriminator, FeatureDiscriminator
from e2ed2.losses.feature_network import feature_network
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.spec import START_CRITIC
from e2ed2.models.base import Denoiser
from e2ed2.objectives.chain import decode_crop, decode_preview, in_parts, noise_like, same_crop
from e2ed2.objectives.denoising import DenoiserObjective
from e2ed2.objectives.liking import Liking
from e2ed2.objectives.objective import Outcome
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch, TextEmbedding

Pair = tuple[Tensor, Tensor]  # of samples and of their targets, [B * samples, C, h, w] each
AT_ONCE = 32  # pictures decoded at a time, if hundreds are judged together


def discriminator(critic: str, text_width: int) -> Discriminator | FeatureDiscriminator:
    """The discriminator on that feature network. Raises UserError: no network has that name."""
    return FeatureDiscriminator(feature_network(critic), text_width) if critic else Discriminator(text_width)


class Made(NamedTuple):
    x0: Tensor  # [B * samples, C, h, w]
    held: Tensor | None  # the initial model's samples from the same noise, if the loss has `anchor`


class EndToEnd(DenoiserObjective):
    """Pure noise through T steps to a sample, T drawn from the config's `sampling_steps` at each update.

    The terms of the loss compare latents or decoded pictures, as listed in `e2ed2.losses.spec.TERMS`.
    """

    sees_words = True
    config: Any  # a ChainConfig

    def __init__(self, denoiser: Any, codec: Any, config: Any):
        super().__init__(denoiser, codec, config)
        self.weights = config.loss.weights
        self.kinds = config.loss.kinds
        self.perceptual = PerceptualLoss() if any(kind.perceptual for kind in self.kinds.values()) else None
        self.caches_gradient = config.gradient_cache
        self.rows = AT_ONCE if config.gradient_cache else None  # pictures that are decoded and judged at a time
        if "gan" in self.weights and config.critic != START_CRITIC:
            self.adversary = discriminator(config.critic, denoiser.text_width).requires_grad_(False)
        self.start = copy.deepcopy(denoiser).requires_grad_(False).eval() if "anchor" in self.weights else None
        self.liking = Liking.of(config, denoiser.text_width)
        self.needs_held_out = self.liking is not None
        self.sees_images = bool(config.on_pictures())

    def forward(self, batch: CaptionedBatch, seeds: UpdateSeeds, pull: Tensor | None = None) -> Outcome:
        """`pull`: the gradient of the loss with respect to these samples, if it is already known."""
        text = batch.text.repeat(self.config.samples)
        x0 = self.roll_out(self.model, batch, text, seeds)
        if pull is not None:
            return Outcome({"pull": (x0.float() * pull).sum()}, {"pull": 1.0})
        return self.judgement(Made(x0, self.held(batch, text, seeds)), self.targets(batch, seeds), seeds)

    def targets(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> CaptionedBatch:
        """The batch with the targets that samples are compared with: the data's own pictures."""
        return batch

    @torch.no_grad()
    def samples(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> "Made":
        """The same samples as `forward` judges."""
        text = batch.text.repeat(self.config.samples)
        return Made(self.roll_out(self.model, batch, text, seeds), self.held(batch, text, seeds))

    def judgement(self, made: "Made", batch: CaptionedBatch, seeds: UpdateSeeds) -> Outcome:
        """The loss on samples of the batch; a critic on latents alone reads more of captions than is pooled."""
        text = batch.text.repeat(self.config.samples)
        target = batch.latents.repeat_interleave(self.config.samples, dim=0)
        terms, pictures, judged = self.compare("latents", made.x0, target, text.pooled, made.held), None, None
        if self.sees_images:
            pictures = fake, real = self.decode(made.x0, batch, seeds)
            terms |= self.compare("pictures", fake, real, text.pooled)
            if self.liking is not None and made.held is not None:
                read = self.liking.read(batch).repeat_interleave(self.config.samples, dim=0)
                terms |= self.liking.terms(fake, self.decoded(made.held), read)
        if self.adversary is not None:
            judged = self.judged((made.x0, target), pictures, text, seeds)
            terms["gan"] = self.adversary.losses.generator(self.adversary, *judged)
        return Outcome(terms, self.weights, None if judged is None else judged.detached())

    def judged(self, latents: Pair, pictures: Pair | None, text: TextEmbedding, seeds: UpdateSeeds) -> Judged:
        """What the adversary sees of samples and targets."""
        assert pictures is not None
        return Judged(*same_crop(*pictures, seeds.on_cpu("judged square")), text.pooled)

    @torch.no_grad()
    def held(self, batch: CaptionedBatch, text: TextEmbedding, seeds: UpdateSeeds) -> Tensor | None:
        """The initial model's samples from the same noise, for `anchor`."""
        return None if self.start is None else self.roll_out(self.start, batch, text, seeds)

    @torch.no_grad()
    def decoded(self, latents: Tensor) -> Tensor:
        return self.codec.decode(latents).float()

    def roll_out(self, model: Denoiser, batch: CaptionedBatch, text: TextEmbedding, seeds: UpdateSeeds) -> Tensor:
        """The model's samples `[B * samples, C, h, w]` for the captions, from pure noise."""
        # The same on all processes: otherwise they would wait for each other, and a sharded model would hang.
        drawn = torch.randint(len(self.config.sampling_steps), (), generator=seeds.shared("step count"))
        steps = self.config.sampling_steps[int(drawn)]
        how = Gradient(self.backprop_steps(steps, seeds), self.config.detach_inputs, self.config.checkpointed)
        gradient = how if torch.is_grad_enabled() else None
        return sample(model, self.noise(batch, seeds), text, uniform_levels(steps), gradient=gradient)

    def noise(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> Tensor:
        """The initial noise of the chains, `[B * samples, C, h, w]`."""
        if batch.noise is not None:
            return batch.noise
        count, generator = self.config.noises_each(), seeds.stream("image noise")
        noise = noise_like(batch.latents.repeat_interleave(self.config.samples * count, dim=0), generator)
        if count == 1:
            return noise
        path, candidates = self.model.coarse, noise.unflatten(0, (-1, count))
        choices = path.choose(noise).unflatten(0, (-1, count))
        best = path.nearest(choices, batch.text, batch.latents).where(~batch.named, 0)
        return candidates[torch.arange(len(best), device=best.device), best]

    def backprop_steps(self, steps: int, seeds: UpdateSeeds) -> int | None:
        """How many of the last steps have a gradient at this update; None if all have."""
        if not self.config.random_backprop:
            return self.config.backprop_steps
        most = min(steps, self.config.backprop_steps or steps)
        return int(torch.randint(1, most + 1, (), generator=seeds.shared("backprop steps")))

    def decode(self, x0: Tensor, batch: CaptionedBatch, seeds: UpdateSeeds) -> tuple[Tensor, Tensor]:
        """The parts of samples and targets that are judged as pictures, each `[B * samples, 3, H, W]`."""
        images = batch.images.repeat_interleave(self.config.samples, dim=0)
        if self.liking is not None:  # people judged whole pictures
            return in_parts(self.codec.decode, x0, rows=self.rows).float(), images
        return decode_crop(self.codec, x0, images, seeds.on_cpu("decoded window"), rows=self.rows)

    def compare(
        self, space: str, made: Tensor, targets: Tensor, pooled: Tensor, held: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The terms on latents, or those on pictures, except those computed by the objective's own networks."""
        config, parts = self.config, partial(in_parts, rows=self.rows)
        compared = Compared(made, targets, pooled, config.samples, config.repulsion, parts, held, self.perceptual)
        return {name: kind(compared) for name, kind in self.kinds.items() if kind.space == space and not kind.own}

    @torch.no_grad()
    def watched(self, batch: CaptionedBatch) -> dict[str, Tensor]:
        if self.liking is None or self.start is None:
            return {}
        most, noise = uniform_levels(max(self.config.sampling_steps)), noise_like(batch.latents)
        after, before = (self.decoded(sample(model, noise, batch.text, most)) for model in (self.model, self.start))
        return self.liking.watched(after, before, self.liking.read(batch))

    def exhausted(self, watched: list[dict[str, float]]) -> bool:
        return self.liking is not None and self.liking.exhausted(watched)

    def best(self, watched: list[dict[str, float]]) -> int | None:
        return None if self.liking is None else self.liking.best(watched)

    @torch.no_grad()
    def preview(self, model: Denoiser, batch: CaptionedBatch) -> Tensor:
        noise = noise_like(batch.latents) if batch.noise is None else batch.noise
        latents = sample(model, noise, batch.text, uniform_levels(max(self.config.sampling_steps)))
        return decode_preview(self.codec, batch, latents)
