"""Batches from sets on disk: pictures read when needed, and shards written by `data cache` or `data pairs`."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from e2ed2.data.batches import BatchOptions, CaptionedBatches, blur, order, part_of, rows, spread
from e2ed2.data.captions import caption_pool, text_key
from e2ed2.data.config import DataConfig, is_bundled, is_cached
from e2ed2.data.pictures import PictureSet, load_held_out, load_pictures, to_tensor
from e2ed2.data.shards import Cached, CachedPictures, Group, padded
from e2ed2.data.streamed import Ahead, Sample, StreamedPictures
from e2ed2.errors import UserError
from e2ed2.models.base import Codec, TextEncoder
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch


def open_pictures(config: DataConfig) -> PictureSet:
    """Raises UserError: the set cannot be read."""
    if config.stream and is_bundled(config.path):
        raise UserError("The bundled drawings are few, and are held in memory: leave --data.stream out.")
    if is_cached(config.path):
        return CachedPictures(config)
    return StreamedPictures(config) if config.stream else load_pictures(config)


def open_held_out(config: DataConfig, count: int) -> PictureSet | None:
    """At most `count` of the held-out pictures; None if there are none."""
    if not is_cached(config.path):
        return load_held_out(config, count)
    held = CachedPictures(config, held=True)
    if not held.groups:
        return None
    held.groups = [held.largest]  # a batch has one shape
    held.largest.places = held.largest.places[spread(len(held.largest), count).numpy()]
    return held


def captioned_batches(
    pictures: Any, encoder: TextEncoder, codec: Codec, options: BatchOptions, precompute: bool
) -> "CaptionedBatches | StreamedBatches | ShardBatches":
    """Batches of pictures, latents and captions, whichever kind of set it is.

    Raises:
        UserError: what is on disk was made with another encoder or codec, or lacks the pictures.
    """
    if isinstance(pictures, CachedPictures):
        return ShardBatches(pictures, encoder, codec, options)
    if isinstance(pictures, StreamedPictures):
        return StreamedBatches(pictures, encoder, codec, options)
    return CaptionedBatches(pictures, caption_pool(pictures, encoder, precompute), codec, options, precompute)


class DiskBatches:
    """The base of both kinds: prefetches an update's samples, and draws one caption for each."""

    def __init__(self, pictures: Any, encoder: TextEncoder, codec: Codec, options: BatchOptions):
        self.pictures, self.encoder, self.codec, self.options = pictures, encoder, codec, options
        self.ahead = Ahead(self.fetch)

    def __call__(self, update: int, process: int = 0, processes: int = 1) -> CaptionedBatch:
        samples = self.ahead(update, process, processes)
        seeds = UpdateSeeds(self.options.seed, update, process)
        return self.batch(samples, self.options.text_noise, seeds, self.options.with_images)

    def fetch(self, update: int, process: int, processes: int) -> Any:
        """One process's share of an update, on the CPU; called in a thread."""
        raise NotImplementedError

    def batch(self, samples: Any, text_noise: float, seeds: UpdateSeeds, with_images: bool = True) -> CaptionedBatch:
        raise NotImplementedError

    def assemble(self, images: Tensor, latents: Tensor, text: Any, noise: float, seeds: UpdateSeeds) -> CaptionedBatch:
        text = blur(text.to("cpu"), noise, seeds.stream("caption noise"))  # the same noise on every device
        device = self.options.device
        named = torch.zeros(len(latents), dtype=torch.bool, device=device)
        return CaptionedBatch(images.to(device), latents.to(device), text.to(device), named)


class StreamedBatches(DiskBatches):
    """Reads and decodes pictures in threads; embeds captions and encodes pictures when they are needed."""

    def fetch(self, update: int, process: int, processes: int) -> list[Sample]:
        whole = rows(update, self.options.size * processes, len(self.pictures), self.options.seed)
        return self.pictures.samples(part_of(whole, process, processes))

    def preview(self, count: int = 12) -> CaptionedBatch:
        return self.batch(self.pictures.samples(spread(len(self.pictures), count)), 0.0, UpdateSeeds(0, 0))

    def batch(
        self, samples: list[Sample], text_noise: float, seeds: UpdateSeeds, with_images: bool = True
    ) -> CaptionedBatch:
        images = to_tensor(np.stack([sample.image for sample in samples]), self.options.device)
        which = draw_captions([len(sample.texts) for sample in samples], seeds)
        captions = tuple(sample.texts[i] for sample, i in zip(samples, which, strict=True))
        text = self.encoder(captions)
        if not self.options.with_words:
            text = text.first_words()
        with torch.no_grad():
            latents = self.codec.encode(images)
        batch = self.assemble(images if with_images else images[:0], latents, text, text_noise, seeds)
        return replace(batch, captions=captions)


def remedy(pictures: CachedPictures) -> str:
    """What to do with a model whose networks did not make these shards."""
    if pictures.paired:
        return f"train {pictures.settings['model']} on it, or run `data pairs` with another --backbone"
    return "run `data cache` for this model"


class ShardBatches(DiskBatches):
    """Latents and text states as written by `data cache` or `data pairs`; all pictures of a batch have one shape."""

    def __init__(self, pictures: CachedPictures, encoder: TextEncoder, codec: Codec, options: BatchOptions):
        super().__init__(pictures, encoder, codec, options)
        made_with = {"codec": codec.fingerprint, "text": text_key(encoder)}
        for part, key in made_with.items():
            if pictures.settings[part] != key:
                other = f"{pictures.folder} was made with another {'codec' if part == 'codec' else 'text encoder'}"
                raise UserError(f"{other}: {remedy(pictures)} into another folder.")
        if self.options.with_images and not pictures.with_pixels:
            raise UserError(
                f"This training looks at pictures, and {pictures.folder} has only their latents: run `data cache` "
                "without --no-pixels, or train with a loss on latents."
            )

    def fetch(self, update: int, process: int, processes: int) -> tuple[list[Cached], Tensor]:
        group, whole = self.due(update, self.options.size * processes)
        return self.read(group, part_of(whole, process, processes), self.options.with_images)

    def read(self, group: Group, picked: Tensor, with_images: bool) -> tuple[list[Cached], Tensor]:
        samples = [group.at(place) for place in picked.tolist()]
        side = self.pictures.side
        return samples, self.pictures.pixels(samples) if with_images else torch.empty(0, 3, side, side)

    def due(self, update: int, size: int) -> tuple[Group, Tensor]:
        """The shape of an update's pictures, the same on all processes, and the indices of `size` of them.

        In an epoch each shape has as many updates as it takes to show all its pictures, the last filled up from its
        first; the order of the updates is drawn.
        """
        groups = self.pictures.groups
        if len(groups) == 1:
            return groups[0], rows(update, size, len(groups[0]), self.options.seed)
        turns = [which for which, group in enumerate(groups) for _ in range(-(-len(group) // size))]
        epoch, place = divmod(update, len(turns))
        turn = int(order(len(turns), self.options.seed, epoch)[place])
        which = turns[turn]
        first = (turn - turns.index(which)) * size
        places = torch.arange(first, first + size) % len(groups[which])
        return groups[which], order(len(groups[which]), self.options.seed, epoch, which + 1)[places]

    def preview(self, count: int = 12) -> CaptionedBatch:
        group, with_images = self.pictures.largest, self.pictures.with_pixels
        samples = self.read(group, spread(len(group), count), with_images)
        batch = self.batch(samples, 0.0, UpdateSeeds(0, 0), with_images)
        if with_images:
            return batch
        with torch.no_grad():  # what the latents are of
            return replace(batch, images=self.codec.decode(batch.latents))

    def batch(
        self, samples: tuple[list[Cached], Tensor], text_noise: float, seeds: UpdateSeeds, with_images: bool = True
    ) -> CaptionedBatch:
        found, images = samples
        which = draw_captions([len(one.texts) for one in found], seeds)
        text = padded([one.texts[i] for one, i in zip(found, which, strict=True)], self.options.with_words)
        latents = torch.stack([one.latents for one in found]).float()
        batch, noise = self.assemble(images, latents, text, text_noise, seeds), self.pictures.noise(found)
        return batch if noise is None else replace(batch, noise=noise.to(self.options.device))


def draw_captions(counts: list[int], seeds: UpdateSeeds) -> list[int]:
    """The index of the caption drawn for each picture, drawn as for a set in memory."""
    _, which = torch.rand(2, len(counts), generator=seeds.stream("caption"))
    return (which * torch.tensor(counts)).long().tolist()
