"""`python -m e2ed2 data cache`: encode pictures and captions once, into shards that trainings map into memory."""

import io
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from e2ed2.data.captions import text_key
from e2ed2.data.config import CacheOptions
from e2ed2.data.pictures import decoded_row, fitted, rows_of, to_tensor
from e2ed2.data.rows import Row, Rows, chunks
from e2ed2.data.shard_writing import PATIENCE, Part, kept_texts, save_shard, write_shards
from e2ed2.device import take_device
from e2ed2.errors import UserError
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.opening import open_pipeline
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import model_folder
from e2ed2.models.weights import load_codec

QUALITY = 95  # JPEG quality of the stored pictures, without subsampling
WIDEST = 2.0  # largest ratio of a picture's longer side to its shorter one
Shape = tuple[int, int]  # width and height in pixels


def write_cache(options: CacheOptions) -> tuple[int, int]:
    """Write the missing shards, shared among processes. Returns how many samples were written and how many left out.

    Raises:
        UserError: the set or the model cannot be read, or the folder holds what was made with other options.
    """
    codec, encoder, multiple = parts_of(options, take_device(options.device, PATIENCE))
    settings = {
        "buckets": options.buckets,
        "pixels": options.pixels,
        "model": options.backbone or options.codec_from,
        "codec": codec.fingerprint,
        "text": text_key(encoder),
    }
    rows = rows_of(options.set)
    with ThreadPoolExecutor(options.data.workers) as pool:
        writer = Writer(options, codec, encoder, shapes_of(options, multiple), pool)
        return write_shards(options, settings, rows, writer.write, "encoding")


def parts_of(options: CacheOptions, device: Any) -> tuple[Any, Any, int]:
    """A model's codec and text encoder, and the number that its pictures' sides must be multiples of."""
    if options.codec_from:
        codec = load_codec(model_folder(options.codec_from)).to(device)
        return codec, MiniLM().to(device), codec.factor
    pipeline = open_pipeline(options.backbone)
    codec = PretrainedCodec(pipeline.vae).to(device).eval()
    return codec, PipelineText(pipeline, device), codec.factor * Backbone.of(pipeline).multiple


def shapes_of(options: CacheOptions, multiple: int) -> list[Shape]:
    """Widths and heights with about the same number of pixels; a single square without buckets.

    Raises:
        UserError: the resolution is no multiple of what the model needs.
    """
    side = options.data.resolution
    if side % multiple:
        raise UserError(
            f"This model's pictures have sides that are multiples of {multiple}: choose another resolution."
        )
    if not options.buckets:
        return [(side, side)]
    widths = range(multiple, 2 * side + 1, multiple)
    sizes = [(width, side * side // width // multiple * multiple) for width in widths]
    return [(width, height) for width, height in sizes if height and 1 / WIDEST <= width / height <= WIDEST]


def nearest(shapes: list[Shape], width: int, height: int) -> Shape:
    """The shape with the aspect ratio nearest to the picture's."""
    return min(shapes, key=lambda shape: abs(np.log(shape[0] * height / (shape[1] * width))))


class Writer:
    """Encodes rows a batch at a time; only one shard's latents and text states are held in memory."""

    def __init__(self, options: CacheOptions, codec: Any, encoder: Any, shapes: list[Shape], pool: ThreadPoolExecutor):
        self.options, self.codec, self.encoder, self.shapes, self.pool = options, codec, encoder, shapes, pool

    def write(self, rows: Rows, places: range, file: Path) -> Iterator[None]:
        """Write the shard of these rows, yielding after each batch."""
        parts: dict[str, Part] = defaultdict(Part)
        lines = []
        for chunk in chunks(places, self.options.batch_size):
            groups: dict[Shape, list[tuple[np.ndarray, list[str]]]] = defaultdict(list)
            for row, decoded in self.pool.map(lambda place: self.read(rows[place]), chunk):
                if isinstance(decoded, UserError):
                    lines.append({"name": row.name, "left_out": str(decoded)})
                    continue
                image, texts, shape = decoded
                lines.append({"name": row.name, "texts": texts, "pixels": shape})
                groups[shape].append((image, texts))
            for group in groups.values():
                self.encode(group, parts)
            yield
        save_shard(parts, lines, file)

    def read(self, row: Row) -> tuple[Row, Any]:
        """A row, and either its picture with captions and shape, or a message about what is wrong with it."""
        try:
            image, texts = decoded_row(row, self.options.set)
            shape = nearest(self.shapes, *image.size)
            return row, (fitted(image, *shape), texts, shape)
        except UserError as error:
            return row, error

    @torch.no_grad()
    def encode(self, group: list[tuple[np.ndarray, list[str]]], parts: dict[str, Part]) -> None:
        """Encode pictures of one shape, and add them to the part for their latents' shape."""
        images = to_tensor(np.stack([image for image, _ in group]), self.codec.device)
        latents = self.codec.encode(images).half().cpu()
        part = parts["x".join(map(str, latents.shape[-2:]))]
        part.latents += list(latents)
        part.texts += kept_texts(self.encoder([text for _, texts in group for text in texts]))
        part.captions += [len(texts) for _, texts in group]
        if self.options.pixels:
            part.jpegs += self.pool.map(jpeg_of, [image for image, _ in group])


def jpeg_of(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
