"""The pictures of update k as a pure function of (seed, k), so that resuming needs no saved order.

Processes share each update's pictures: place p of n takes the p-th part. So a training resumes with the same pictures
on another number of processes, and in the middle of an epoch, wherever the pictures are kept.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from e2ed2.data.cache import cached
from e2ed2.data.captions import CaptionPool
from e2ed2.data.pictures import Pictures, PictureSet
from e2ed2.models.base import Codec
from e2ed2.progress import track
from e2ed2.seeds import UpdateSeeds, stream
from e2ed2.types import CaptionedBatch, PictureBatch, TextEmbedding


def rows(update: int, batch_size: int, count: int, seed: int) -> Tensor:
    """Indices of the update's pictures, `[batch_size]`: a new permutation of `count` pictures each epoch."""
    first = update * batch_size
    positions = torch.arange(first, first + batch_size)
    picked = torch.empty(batch_size, dtype=torch.long)
    for epoch in (positions // count).unique().tolist():
        here = positions // count == epoch
        picked[here] = order(count, seed, epoch)[positions[here] % count]
    return picked


@lru_cache(maxsize=8)  # enough for several picture shapes, or two epochs
def order(count: int, seed: int, *indices: int) -> Tensor:
    """A permutation of `count` pictures for these indices: the epoch, and whatever else distinguishes it."""
    return torch.randperm(count, generator=stream(seed, "order", *indices))


def part_of(picked: Tensor, process: int, processes: int) -> Tensor:
    """One process's part of an update."""
    size = len(picked) // processes
    return picked[process * size : (process + 1) * size]


def spread(count: int, wanted: int) -> Tensor:
    """At most `wanted` different indices below `count`, evenly spaced."""
    wanted = min(wanted, count)
    return torch.arange(wanted) * count // wanted


class CropBatches:
    """Random square crops with random mirroring, for the codec."""

    def __init__(self, pictures: PictureSet, batch_size: int, seed: int, crop: int, device: torch.device | str = "cpu"):
        self.pictures, self.batch_size, self.seed, self.device = pictures, batch_size, seed, device
        self.crop = min(crop, pictures.side)

    def __call__(self, update: int, process: int = 0, processes: int = 1) -> PictureBatch:
        whole = rows(update, self.batch_size * processes, len(self.pictures), self.seed)
        picked = part_of(whole, process, processes)
        images = self.pictures.tensor(picked, self.device)
        generator = stream(self.seed, "crop", update, process)
        space = images.shape[-1] - self.crop
        lefts, tops = torch.randint(0, space + 1, (2, len(images)), generator=generator).tolist()
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        crops = [
            image[:, y : y + self.crop, x : x + self.crop] for image, x, y in zip(images, lefts, tops, strict=True)
        ]
        crops = torch.stack([crop.flip(-1) if flip else crop for crop, flip in zip(crops, mirrored, strict=True)])
        return PictureBatch(images=crops)

    def preview(self, count: int = 12) -> PictureBatch:
        return PictureBatch(images=self.pictures.tensor(spread(len(self.pictures), count), self.device))


@dataclass(frozen=True)
class BatchOptions:
    """What a batch of captioned pictures has, and how much of it chance decides."""

    size: int  # pictures of an update, on each process
    seed: int
    styled_share: float  # of the captions, that name a style; of sets in memory
    text_noise: float  # at most, as a share of the embeddings' root mean square
    with_images: bool  # or latents alone
    with_words: bool  # the captions' token states, or the pooled embeddings alone
    device: torch.device | str


class CaptionedBatches:
    """Pictures, their latents and one of their captions each, for the denoiser."""

    def __init__(self, pictures: Pictures, pool: CaptionPool, codec: Codec, options: BatchOptions, precompute: bool):
        """`codec` is on the device. `precompute`: encode every picture now, and keep the latents on disk."""
        self.pictures, self.pool, self.codec, self.options = pictures, pool, codec, options
        self.latents = encode_all(codec, pictures, options.device) if precompute else None

    def __call__(self, update: int, process: int = 0, processes: int = 1) -> CaptionedBatch:
        options = self.options
        whole = rows(update, options.size * processes, len(self.pictures), options.seed)
        picked = part_of(whole, process, processes)
        seeds = UpdateSeeds(options.seed, update, process, options.device)
        return self.batch(picked, options.styled_share, options.text_noise, seeds, options.with_images)

    def preview(self, count: int = 12) -> CaptionedBatch:
        picked = spread(len(self.pictures), count)
        return self.batch(picked, 1.0, 0.0, UpdateSeeds(0, 0, device=self.options.device))

    def batch(
        self,
        picked: Tensor,
        styled_share: float,
        text_noise: float,
        seeds: UpdateSeeds,
        with_images: bool = True,
    ) -> CaptionedBatch:
        device = self.options.device
        captions, named = self.pool.pick(picked, styled_share, seeds.on_cpu("caption"))
        text = self.pool.embedding(captions, self.options.with_words).to(device)
        return CaptionedBatch(
            images=self.pictures.tensor(picked if with_images else picked[:0], device),
            text=blur(text, text_noise, seeds.stream("caption noise")),
            latents=self.encode(picked) if self.latents is None else self.latents[picked].to(device),
            named=named.to(device),
            captions=tuple(self.pool.captions[row] for row in captions.tolist()),
        )

    @torch.no_grad()
    def encode(self, picked: Tensor) -> Tensor:
        return self.codec.encode(self.pictures.tensor(picked, self.options.device))


def blur(text: TextEmbedding, amount: float, generator: torch.Generator) -> TextEmbedding:
    """Noise of 0 to `amount` times each embedding's root mean square, so that near captions make near pictures.

    Each caption gets its own strength: those with little noise keep fine details, such as the style. The generator is
    on the text's device.
    """
    if not amount:
        return text
    strength = amount * torch.rand(len(text), generator=generator, device=text.pooled.device)

    def noisy(values: Tensor) -> Tensor:
        scale = values.square().mean(dim=-1, keepdim=True).sqrt() * strength.view(-1, *[1] * (values.dim() - 1))
        return values + scale * torch.randn(values.shape, generator=generator, device=text.pooled.device)

    return TextEmbedding(tokens=noisy(text.tokens), mask=text.mask, pooled=noisy(text.pooled))


def encode_all(codec: Codec, pictures: Pictures, device: torch.device | str, chunk: int = 64) -> Tensor:
    """Latents of every picture, `[N, C, h, w]`, on the CPU; computed once for each codec and set."""

    @torch.no_grad()
    def encode() -> dict[str, Tensor]:
        parts = torch.arange(len(pictures)).split(chunk)
        latents = [codec.encode(pictures.tensor(part, device)).cpu() for part in track(parts, "encoding pictures")]
        return {"latents": torch.cat(latents).contiguous()}

    return cached("latents", [codec.fingerprint.encode(), pictures.images.tobytes()], encode)["latents"]
