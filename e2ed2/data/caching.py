"""`python -m e2ed2 data cache`: encode pictures and captions once, into shards that trainings map into memory."""

import io
import json
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from e2ed2.data.captions import text_key
from e2ed2.data.config import SETTINGS, CacheOptions, is_bundled
from e2ed2.data.pictures import decoded_row, fitted, rows_of, to_tensor
from e2ed2.data.rows import Row, Rows, chunks
from e2ed2.data.shards import READ, SHARD, is_whole, lines_of, settings_of
from e2ed2.errors import UserError, raise_if_disk_full
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.codec import PretrainedCodec
from e2ed2.models.backbones.opening import open_pipeline
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import model_folder
from e2ed2.models.weights import load_codec
from e2ed2.progress import track
from e2ed2.tensors import save_tensors

QUALITY = 95  # JPEG quality of the stored pictures, without subsampling
WIDEST = 2.0  # largest ratio of a picture's longer side to its shorter one
Shape = tuple[int, int]  # width and height in pixels


def write_cache(options: CacheOptions) -> tuple[int, int]:
    """Write the missing shards, shared among processes. Returns how many samples were written and how many left out.

    Raises:
        UserError: the set or the model cannot be read, or the folder holds what was made with other options.
    """
    if is_bundled(options.set.path):
        raise UserError("The captions of the bundled drawings are made in the training: name a set of your own.")
    state = PartialState()
    codec, encoder, multiple = parts_of(options, state.device)
    rows = rows_of(options.set)
    count = -(-len(rows) // options.shard_size)
    if state.is_main_process:
        claim(options, codec, encoder, len(rows), count)
    state.wait_for_everyone()
    mine = range(state.process_index, count, state.num_processes)
    with ThreadPoolExecutor(options.data.workers) as pool, raise_if_disk_full(options.out, SafetensorError):
        writer = Writer(options, codec, encoder, shapes_of(options, multiple), pool)
        for number in track(mine, "encoding", disable=not state.is_main_process):
            file = options.out / SHARD.format(number)
            if not is_whole(file):
                first = number * options.shard_size
                writer.write(rows, range(first, min(first + options.shard_size, len(rows))), file)
    state.wait_for_everyone()
    shards = (options.out / SHARD.format(number) for number in range(count))
    found = Counter(key for shard in shards for line in lines_of(shard) for key in ("texts", "left_out") if key in line)
    return found["texts"], found["left_out"]


def parts_of(options: CacheOptions, device: Any) -> tuple[Any, Any, int]:
    """A model's codec and text encoder, and the number that its pictures' sides must be multiples of."""
    if options.codec_from:
        codec = load_codec(model_folder(options.codec_from)).to(device)
        return codec, MiniLM().to(device), codec.factor
    pipeline = open_pipeline(options.backbone)
    codec = PretrainedCodec(pipeline.vae).to(device).eval()
    return codec, PipelineText(pipeline, device), codec.factor * Backbone.of(pipeline).multiple


def claim(options: CacheOptions, codec: Any, encoder: Any, rows: int, shards: int) -> None:
    """Record the settings of the shards, or check that existing shards were made with the same ones."""
    settings = {
        "source": options.set.path,
        **{name: getattr(options.data, name) for name in READ},
        "held_out": options.data.held_out,
        "rows": rows,
        "shards": shards,
        "shard_size": options.shard_size,
        "resolution": options.data.resolution,
        "buckets": options.buckets,
        "pixels": options.pixels,
        "model": options.backbone or options.codec_from,
        "codec": codec.fingerprint,
        "text": text_key(encoder),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / SETTINGS
    if file.is_file():
        before = settings_of(options.out)  # an earlier release did not record the columns
        if differing := [name for name, value in settings.items() if before.get(name, value) != value]:
            raise UserError(
                f"{options.out} holds shards of another set or model (other {', '.join(differing)}): choose another "
                "--out, or delete it."
            )
    file.write_text(json.dumps(settings, indent=2) + "\n")


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
    found = [(width, side * side // width // multiple * multiple) for width in widths]
    return [(width, height) for width, height in found if height and 1 / WIDEST <= width / height <= WIDEST]


def nearest(shapes: list[Shape], width: int, height: int) -> Shape:
    """The shape with the aspect ratio nearest to the picture's."""
    return min(shapes, key=lambda shape: abs(np.log(shape[0] * height / (shape[1] * width))))


class Writer:
    """Encodes rows a batch at a time; only one shard's latents and text states are held in memory."""

    def __init__(self, options: CacheOptions, codec: Any, encoder: Any, shapes: list[Shape], pool: ThreadPoolExecutor):
        self.options, self.codec, self.encoder, self.shapes, self.pool = options, codec, encoder, shapes, pool

    def write(self, rows: Rows, places: range, file: Path) -> None:
        """Write the shard of these rows atomically; the file of lines beside it names the samples left out."""
        parts: dict[str, Part] = defaultdict(Part)
        lines = []
        for chunk in chunks(places, self.options.batch_size):
            groups: dict[Shape, list[tuple[np.ndarray, list[str]]]] = defaultdict(list)
            for row, found in self.pool.map(lambda place: self.read(rows[place]), chunk):
                if isinstance(found, UserError):
                    lines.append({"name": row.name, "left_out": str(found)})
                    continue
                image, texts, shape = found
                lines.append({"name": row.name, "texts": texts, "pixels": shape})
                groups[shape].append((image, texts))
            for group in groups.values():
                self.encode(group, parts)
        tensors = {f"{shape}.{name}": one for shape, part in parts.items() for name, one in part.tensors().items()}
        partial = file.with_suffix(".partial")
        save_tensors(tensors, partial)
        file.with_suffix(".jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        partial.rename(file)

    def read(self, row: Row) -> tuple[Row, Any]:
        """A row, and either its picture with captions and shape, or a message about what is wrong with it."""
        try:
            image, texts = decoded_row(row, self.options.set)
            shape = nearest(self.shapes, *image.size)
            return row, (fitted(image, *shape), texts, shape)
        except UserError as error:
            return row, error

    @torch.no_grad()
    def encode(self, group: list[tuple[np.ndarray, list[str]]], parts: "dict[str, Part]") -> None:
        """Encode pictures of one shape, and add them to the part for their latents' shape."""
        images = to_tensor(np.stack([image for image, _ in group]), self.codec.device)
        latents = self.codec.encode(images).half().cpu()
        part = parts["x".join(map(str, latents.shape[-2:]))]
        part.latents += list(latents)
        states = self.encoder([text for _, texts in group for text in texts]).to("cpu")
        columns = (states.tokens, states.mask, states.pooled)
        part.texts += [(words[mask].half(), one) for words, mask, one in zip(*columns, strict=True)]
        part.captions += [len(texts) for _, texts in group]
        if self.options.pixels:
            part.jpegs += self.pool.map(jpeg_of, [image for image, _ in group])


class Part:
    """The samples of a shard whose latents share one shape."""

    def __init__(self) -> None:
        self.latents: list[Tensor] = []
        self.texts: list[tuple[Tensor, Tensor]] = []
        self.captions: list[int] = []
        self.jpegs: list[bytes] = []

    def tensors(self) -> dict[str, Tensor]:
        found = {
            "latents": torch.stack(self.latents),
            "captions": starts_of(self.captions),
            "tokens": torch.cat([tokens for tokens, _ in self.texts]),
            "lengths": starts_of([len(tokens) for tokens, _ in self.texts]),
            "pooled": torch.stack([pooled.float() for _, pooled in self.texts]),
        }
        if self.jpegs:
            found["jpegs"] = torch.frombuffer(bytearray(b"".join(self.jpegs)), dtype=torch.uint8)
            found["jpeg_ends"] = starts_of([len(jpeg) for jpeg in self.jpegs])
        return found


def starts_of(lengths: list[int]) -> Tensor:
    """Lengths of N pieces => `[N + 1]`: where each begins, and where the last one ends."""
    return torch.tensor([0, *lengths]).cumsum(0)


def jpeg_of(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
