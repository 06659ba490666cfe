"""`python -m e2ed2 data pairs`: noise, and what a teacher makes of it in many steps, once for all trainings.

A deterministic chain makes one picture of a noise and a caption, so that a model of few steps has something definite to
learn, where many pictures fit a caption (Luhman and Luhman 2021; Kang et al. 2024, Diffusion2GAN).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from e2ed2.data.captions import text_key
from e2ed2.data.config import DataConfig, PairOptions
from e2ed2.data.pictures import divided, rows_of, texts_of
from e2ed2.data.rows import Listed, Row, Rows, chunks
from e2ed2.data.shard_writing import PATIENCE, Part, kept_texts, save_shard, write_shards
from e2ed2.data.shards import READ, padded, paired_noise
from e2ed2.data.sources import text_of
from e2ed2.device import take_device
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.models.backbones.backbone import Backbone, check_pure_noise
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.guided import Guided
from e2ed2.models.backbones.opening import check_resolution, check_shared, open_pipeline
from e2ed2.models.backbones.text import PipelineText


class Asked(NamedTuple):
    """One caption to make a picture for."""

    name: str
    text: str
    drawn: tuple[int, int]  # its row, and its number there


def write_pairs(options: PairOptions) -> tuple[int, int]:
    """Write the missing shards, shared among processes. Returns how many samples were written and how many left out.

    Raises:
        UserError: the set or the teacher cannot be read, or the folder holds what was made with other options.
    """
    device: Any = take_device(options.device, PATIENCE)
    pipeline = open_pipeline(options.backbone)
    check_shared(pipeline, options.backbone)
    codec, encoder = PretrainedCodec(pipeline.vae), PipelineText(pipeline, device)
    backbone = Backbone.of(pipeline, options.data.resolution // codec.factor).to(device).eval()
    check_resolution(options.backbone, options.data.resolution, codec.factor * backbone.multiple)
    check_pure_noise(backbone)
    settings = {
        "pixels": False,
        "model": options.backbone,
        "codec": codec.fingerprint,
        "text": text_key(encoder),
        "network": backbone.fingerprint,
        **{name: getattr(options, name) for name in ("guidance", "steps", "seed", "bf16")},
    }
    writer = Writer(options, backbone, encoder)
    return write_shards(options, settings, captioned_rows(options.set), writer.write, "sampling")


def captioned_rows(config: DataConfig) -> Rows:
    """Rows of which only the captions are read: of any set, or the lines of a text file."""
    file = Path(config.path)
    if file.suffix != ".txt" or not file.is_file():
        return rows_of(config)
    if idle := [name for name in READ if getattr(config, name) != getattr(DataConfig, name)]:
        raise UserError(f"{file} is read line by line: leave --{idle[0].replace('_', '-')} out.")
    try:
        lines = text_of(file).splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}).") from error
    if not lines:
        raise UserError(f"{file} is empty: write one caption a line.")
    rows = Listed([Row(f"line {n}", b"", {config.caption_column: line}) for n, line in enumerate(lines, 1)])
    return divided(rows, np.arange(len(rows)), config.held_out)[0]


class Writer:
    """Samples the captions of rows a batch at a time."""

    def __init__(self, options: PairOptions, backbone: Backbone, encoder: PipelineText):
        self.options, self.encoder, self.shape = options, encoder, backbone.latent_shape
        guided = options.guidance > 1
        self.device, self.levels = backbone.device, uniform_levels(options.steps)
        backbone.path.jumps(self.levels)  # refuses more steps than there are, before the folder is claimed
        self.teacher: Any = Guided(backbone, encoder.empty(), options.guidance) if guided else backbone

    def write(self, rows: Rows, places: range, file: Path) -> Iterator[None]:
        """Write the shard of these rows, yielding after each batch of them."""
        part, lines, size = Part(), list[dict[str, Any]](), self.options.batch_size
        for chunk in chunks(places, size):
            captions = list[Asked]()
            for place in chunk:
                row = rows[place]
                try:
                    texts = texts_of(row.fields.get(self.options.data.caption_column), row.name)
                except UserError as error:
                    lines.append({"name": row.name, "left_out": str(error)})
                    continue
                captions += [Asked(row.name, text, (place, number)) for number, text in enumerate(texts)]
            for few in chunks(range(len(captions)), size):
                self.add([captions[number] for number in few], part, lines)
            yield
        height, width = self.shape[1:]
        save_shard({f"{height}x{width}": part} if part.latents else {}, lines, file)

    def add(self, asked: list[Asked], part: Part, lines: list[dict[str, Any]]) -> None:
        """To the part, and the lines about its samples, those that are finite."""
        texts = kept_texts(self.encoder([one.text for one in asked]))
        outputs = self.latents(asked, texts)
        for one, latents, text in zip(asked, outputs, texts, strict=True):
            if not torch.isfinite(latents).all():
                lines.append({"name": one.name, "left_out": f"What was made for “{one.text}” is not finite."})
                continue
            lines.append({"name": one.name, "texts": [one.text]})
            part.latents.append(latents)
            part.texts.append(text)
            part.captions.append(1)
            part.drawn.append(one.drawn)

    @torch.no_grad()
    def latents(self, asked: list[Asked], texts: list[tuple[Tensor, Tensor]]) -> Tensor:
        """What the teacher makes of the captions as a training will read them, `[B, C, h, w]` in float32."""
        noise = torch.stack([paired_noise(self.options.seed, *one.drawn, shape=self.shape) for one in asked])
        text = padded(texts, with_words=True).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            latents = sample(self.teacher, noise.to(self.device), text, self.levels)
        return latents.float().cpu()
