"""Training a backbone of diffusers: the objectives are those of our own denoiser; its parts and its folder differ."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderTiny
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from e2ed2.data.batches import BatchOptions
from e2ed2.data.from_disk import ShardBatches, captioned_batches
from e2ed2.data.pictures import PictureSet
from e2ed2.data.shards import CachedPictures, pairs_of
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.losses.adversarial import Judged
from e2ed2.losses.discriminators import LatentDiscriminator
from e2ed2.losses.pixel import l2
from e2ed2.losses.spec import START_CRITIC
from e2ed2.models.backbones.backbone import Backbone, check_pure_noise
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.export import save_pipeline
from e2ed2.models.backbones.features import BlockFeatures
from e2ed2.models.backbones.guided import Guided
from e2ed2.models.backbones.lora import ADAPTER, add_lora
from e2ed2.models.backbones.opening import BROKEN, check_resolution, check_shared, open_pipeline
from e2ed2.models.backbones.step_adapters import recompute, step_adapters
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.hub import network_place
from e2ed2.objectives.backbone_config import BackboneConfig, BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.chain import decode_preview, noise_like, random_window
from e2ed2.objectives.config import PREVIEW_STEPS
from e2ed2.objectives.denoising import DenoiserObjective
from e2ed2.objectives.end_to_end import EndToEnd, Pair
from e2ed2.objectives.objective import Outcome, trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch, TextEmbedding

STYLED_SHARE = 0.5  # of captions that name a drawing style, where the data has styles


class BackboneObjective(DenoiserObjective):
    """What the objectives of backbones share."""

    pipeline: Any  # whose network is trained; its text encoders and its scheduler stay as they are
    model: Backbone
    config: Any

    @classmethod
    def of(cls, config: Any, resolution: int) -> Self:
        pipeline = open_pipeline(config.backbone)
        check_adapters(pipeline, config)
        codec = PretrainedCodec(pipeline.vae)
        backbone = cls.reading(Backbone.of(pipeline, resolution // codec.factor), config)
        check_resolution(config.backbone, resolution, codec.factor * backbone.multiple)
        start = copy.deepcopy(backbone) if config.keeps_start() else None
        choose_trained(backbone.network, config)
        objective = cls(backbone.train(), codec, config)
        objective.pipeline = pipeline
        if start is not None:
            objective.keep(start)
        return objective

    def keep(self, start: Backbone) -> None:
        """Take the network as it was at the start, for those that `config.keeps_start` names."""

    @classmethod
    def reading(cls, backbone: Backbone, config: Any) -> Backbone:
        """The backbone, or the same one read in another way."""
        return backbone

    def encoder(self, device: torch.device | str) -> PipelineText:
        return PipelineText(self.pipeline, device)

    def batches(self, pictures: PictureSet, size: int, seed: int, device: torch.device, once: bool = False) -> Any:
        encoder = self.encoder(device)
        precompute = self.config.precompute and not once
        options = BatchOptions(
            size,
            seed,
            STYLED_SHARE,
            text_noise=0.0,
            with_images=self.sees_images and pairs_of(pictures) is None,
            with_words=True,
            device=device,
        )
        batches = captioned_batches(pictures, encoder, self.codec.to(device), options, precompute)
        if precompute or isinstance(batches, ShardBatches):
            encoder.to("cpu")  # it has said all that it will be asked
        return batches

    def beside(self) -> list[nn.Module]:
        return [part for part in self.pipeline.components.values() if isinstance(part, nn.Module)]

    def compiled_parts(self) -> list[nn.Module]:
        return [self.model.network]

    def blocks(self) -> list[nn.Module]:
        return self.model.blocks

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": trained(self.model), "lr": lr}]

    def write(self, folder: Path, pictures: PictureSet) -> None:
        save_pipeline(self.pipeline, self.model, folder, self.config.only_steps())

    def rounding_note(self) -> str:
        return self.model.rounding_note()


class BackboneSingleStep(BackboneObjective):
    """Mean squared error of the clean estimate at one level for each picture, pure noise among them."""

    sees_images = False
    config: BackboneSingleStepConfig

    @classmethod
    def reading(cls, backbone: Backbone, config: BackboneSingleStepConfig) -> Backbone:
        return backbone if config.prediction == "keep" else backbone.converted(config.prediction)

    def forward(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> Outcome:
        x0 = batch.latents
        z = noise_like(x0, seeds.stream("image noise"))
        t = self.levels(len(x0), seeds).to(x0.device)
        alpha, sigma = (value.view(-1, 1, 1, 1) for value in self.model.path.coefficients(t))
        return Outcome({"l2": l2(self.model(alpha * x0 + sigma * z, t, batch.text), x0)}, {"l2": 1.0})

    def levels(self, count: int, seeds: UpdateSeeds) -> Tensor:
        """`[count]` in (0, 1]: of a chain of 1 to 4 steps, or any."""
        visited = torch.tensor([t for steps in range(1, PREVIEW_STEPS + 1) for t in uniform_levels(steps)[:-1]])
        generator = seeds.on_cpu("time")
        few, which, anywhere = torch.rand(3, count, generator=generator)
        chosen = visited[(which * len(visited)).long()]
        return torch.where(few < self.config.few_steps_share, chosen, (1 - anywhere).clamp(min=1e-3))

    @torch.no_grad()
    def preview(self, model: Any, batch: CaptionedBatch) -> Tensor:
        latents = sample(model, noise_like(batch.latents), batch.text, uniform_levels(PREVIEW_STEPS))
        return decode_preview(self.codec, batch, latents)


class BackboneEndToEnd(BackboneObjective, EndToEnd):
    """Pure noise through T steps of the backbone to a sample, and the loss on that."""

    config: BackboneEndToEndConfig

    def __init__(self, denoiser: Any, codec: Any, config: Any):
        super().__init__(denoiser, codec, config)
        self.tiny = open_tiny(config.tiny_codec) if config.decode == "tiny" else None
        self.teacher: Guided | None = None  # the start with guidance, where that is folded in

    def keep(self, start: Backbone) -> None:
        if self.config.guidance:
            self.teacher = Guided(start, self.encoder("cpu").empty(), self.config.guidance)
        if self.config.critic == START_CRITIC:
            if self.config.block_checkpointing:
                start.network.enable_gradient_checkpointing()
            critic = LatentDiscriminator(BlockFeatures(start), start.text_width)
            self.adversary = critic.requires_grad_(False)

    def judged(self, latents: Pair, pictures: Pair | None, text: TextEmbedding, seeds: UpdateSeeds) -> Judged:
        if isinstance(self.adversary, LatentDiscriminator):
            return self.adversary.shown(*latents, text, seeds.stream("judged noise"))
        return super().judged(latents, pictures, text, seeds)

    @classmethod
    def reading(cls, backbone: Backbone, config: BackboneEndToEndConfig) -> Backbone:
        check_pure_noise(backbone)
        return backbone

    def batches(self, pictures: PictureSet, size: int, seed: int, device: torch.device, once: bool = False) -> Any:
        if (pairs := pairs_of(pictures)) is not None:
            self.check_pairs(pairs)
        return super().batches(pictures, size, seed, device, once)

    def check_pairs(self, pairs: CachedPictures) -> None:
        """Raises UserError: this training has other targets, or the pairs are of another start."""
        if self.teacher is not None or self.config.samples > 1:
            raise UserError(f"In {pairs.folder} each noise has its one target: leave --guidance and --samples out.")
        if pairs.settings["network"] != self.model.fingerprint:
            raise UserError(
                f"The pictures in {pairs.folder} were made by another network than {self.config.backbone}: run "
                "`data pairs` for this one into another folder."
            )

    def card(self, pictures: PictureSet) -> str:
        if (pairs := pairs_of(pictures)) is None:
            return ""
        settings = pairs.settings
        guidance = (
            f" with a guidance of {settings['guidance']:g}, which is so folded in" if settings["guidance"] > 1 else ""
        )
        return f"The targets are what its start makes of the same noise in {settings['steps']} steps{guidance}.\n\n"

    @torch.no_grad()
    def targets(self, batch: CaptionedBatch, seeds: UpdateSeeds) -> CaptionedBatch:
        """What a teacher makes, or has made, of the very noise that the samples are made of; else the data's own."""
        if self.teacher is not None:
            levels = uniform_levels(self.config.teacher_steps)
            latents = sample(self.teacher, self.noise(batch, seeds), batch.text, levels)
        elif batch.noise is not None:
            latents = batch.latents
        else:
            return batch
        decoded = self.sees_images and self.config.decode in ("full", "tiny")
        images = self.in_parts(self.codec, latents) if decoded else batch.images
        return replace(batch, latents=latents, images=images)

    def decode(self, x0: Tensor, batch: CaptionedBatch, seeds: UpdateSeeds) -> tuple[Tensor, Tensor]:
        if self.config.decode != "crop":
            codec = self.tiny or self.codec
            return self.in_parts(codec, x0), batch.images.repeat_interleave(self.config.samples, dim=0)
        window = (..., *random_window(x0.shape[-2:], self.config.decode_crop, seeds.on_cpu("decoded window")))
        with torch.no_grad():  # a decoder looks around: only what is decoded alike can be compared
            real = self.in_parts(self.codec, batch.latents[window])
        return self.in_parts(self.codec, x0[window]), real.repeat_interleave(self.config.samples, dim=0)

    @torch.no_grad()
    def decoded(self, latents: Tensor) -> Tensor:
        return self.in_parts(self.tiny or self.codec, latents)

    def in_parts(self, codec: Any, latents: Tensor) -> Tensor:
        """Pictures; each part of the batch is decoded again in the backward pass instead of being stored."""
        parts = latents.split(self.config.decode_batch)
        return torch.cat([checkpoint(codec.decode, part, use_reentrant=False).float() for part in parts])


def check_adapters(pipeline: Any, config: BackboneConfig) -> None:
    """Raises UserError: the pipeline has adapters for its steps, or cannot have such as are asked for."""
    check_shared(pipeline, config.backbone)
    if config.independent_steps() and not hasattr(pipeline, "load_lora_weights"):
        raise UserError(
            f"A {type(pipeline).__name__} reads no adapters, and so none for each step: leave --sharing out, or choose "
            "SD 1.5, SANA or SD 3."
        )


def choose_trained(network: Any, config: BackboneConfig) -> None:
    """What of the network takes gradients. Raises UserError: nothing is called so, or it cannot be recomputed."""
    if config.tune == "lora":
        own = config.independent_steps()
        add_lora(network, config.lora_rank, config.lora_targets, step_adapters(own) if own else (ADAPTER,))
    else:
        for name, weights in network.named_parameters():
            weights.requires_grad_(not config.parts or any(part in name for part in config.parts))
    if not trained(network):
        raise UserError(f"No weights are called {' or '.join(config.parts)}: `inspect` lists a network's parts.")
    if config.block_checkpointing:
        if not network._supports_gradient_checkpointing:
            raise UserError("This network cannot recompute its blocks: leave --block-checkpointing out.")
        network.enable_gradient_checkpointing(recompute if config.independent_steps() else None)


def open_tiny(name: str) -> PretrainedCodec:
    """Raises UserError: there is no AutoencoderTiny of that name."""
    place = network_place(name, "AutoencoderTiny")
    try:
        tiny: Any = AutoencoderTiny.from_pretrained(place)
    except BROKEN as error:
        raise UserError(f"There is no AutoencoderTiny {name!r}: give its folder, or its id on a hub.") from error
    return PretrainedCodec(tiny.eval()).requires_grad_(False)
