"""The stages of sampling as ONNX graphs, each with a batch of one picture.

The chain itself, `e2ed2.diffusion.sampler.sample`, is written again in `page/painter.js`.
"""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor, nn

from e2ed2.data.emoji import Concepts
from e2ed2.inference.model import Model
from e2ed2.models.coarse_to_fine import CoarsePath, Conditioning, Transformer
from e2ed2.models.codec import Codec
from e2ed2.models.minilm import MiniLM, pool
from e2ed2.reading.reader import ReaderHead
from e2ed2.types import TextEmbedding

SAMPLE = "red apple, flat style"  # any caption will do: only the shapes are used


class Text(nn.Module):
    """Token numbers `[1, L]` => token states `[1, L, D]` and pooled `[1, D]`."""

    def __init__(self, encoder: MiniLM):
        super().__init__()
        self.model = encoder.model

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        mask = torch.ones_like(ids, dtype=torch.bool)
        states = self.model(ids, mask)
        return states, pool(states, mask)


class Coarse(nn.Module):
    """Noise `[1, C, h, w]` and pooled `[1, D]` => coarse picture `[1, C, h, w]` and choice `[1, choices]`."""

    def __init__(self, coarse: CoarsePath):
        super().__init__()
        self.coarse = coarse

    def forward(self, z: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        choice = self.coarse.choose(z)
        return self.coarse(choice, _text(pooled[:, None], pooled)), choice


class Step(nn.Module):
    """One step's clean estimate `[1, C, h, w]`."""

    def __init__(self, transformer: Transformer):
        super().__init__()
        self.transformer = transformer

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, pooled: Tensor, coarse: Tensor, choice: Tensor) -> Tensor:
        return coarse + self.transformer(x, t, _text(tokens, pooled), Conditioning(coarse, choice))


class Decoder(nn.Module):
    """Latents `[1, C, h, w]` => image `[1, 3, H, W]`, about [-1, 1], not clipped."""

    def __init__(self, codec: Codec):
        super().__init__()
        self.codec = codec

    def forward(self, latents: Tensor) -> Tensor:
        return self.codec.decode(latents)


class Judge(nn.Module):
    """Pooled `[1, D]` => the reader's logits `[1, names]`, and the cosine to each known word `[1, words]`."""

    known: Tensor

    def __init__(self, head: ReaderHead, concepts: Concepts):
        super().__init__()
        self.head = head
        self.register_buffer("known", concepts.pooled.T.contiguous())

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(pooled), pooled @ self.known


@dataclass(frozen=True)
class Part:
    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


def parts_of(pipeline: Model, judge: Judge | None) -> list[Part]:
    """The parts that the page runs, in order; `step-0`, `step-1`, ... if steps are independent."""
    encoder, denoiser = pipeline.text_encoder, pipeline.denoiser
    assert isinstance(encoder, MiniLM)  # true of all models of this project
    shorten(encoder)
    text = encoder([SAMPLE])
    z = torch.zeros(1, *denoiser.latent_shape)
    conditioning = denoiser.condition(z, text)
    ids = torch.tensor([encoder.tokenizer.encode(SAMPLE).ids])
    state = {"x": z, "t": torch.ones(1), "tokens": text.tokens, "pooled": text.pooled}
    state |= {"coarse": conditioning.coarse, "choice": conditioning.choice}
    parts = [
        Part("text", Text(encoder), {"ids": ids}, ("tokens", "pooled")),
        Part("coarse", Coarse(denoiser.coarse), {"z": z, "pooled": text.pooled}, ("coarse", "choice")),
        *(Part(f"step-{i}", Step(one), state, ("clean",)) for i, one in enumerate(denoiser.transformers)),
        Part("decoder", Decoder(pipeline.codec), {"latents": z}, ("image",)),
    ]
    return parts + ([Part("reader", judge, {"pooled": text.pooled}, ("logits", "likeness"))] if judge else [])


def shorten(encoder: MiniLM) -> None:
    """Remove the embeddings of positions that are never read."""
    places: Any = encoder.model.embeddings["position_embeddings"]
    places.weight = nn.Parameter(places.weight[: encoder.max_tokens].clone(), requires_grad=False)


def graph_of(part: Part, most_tokens: int) -> ModelProto:
    """The part as a graph whose text may have 2 to `most_tokens` tokens."""
    length = torch.export.Dim("length", min=2, max=most_tokens)
    shapes = {name: {1: length} if name in ("ids", "tokens") else None for name in part.inputs}
    log = logging.getLogger("torch.onnx")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        program = torch.onnx.export(
            part.module.eval(),
            tuple(part.inputs.values()),
            dynamo=True,
            dynamic_shapes=tuple(shapes.values()),
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _text(tokens: Tensor, pooled: Tensor) -> TextEmbedding:
    """The embedding of a single caption, which has no padding."""
    return TextEmbedding(tokens, torch.ones_like(tokens[..., 0], dtype=torch.bool), pooled)
