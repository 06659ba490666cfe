"""Many captions for each picture, and their embeddings: computed once and kept on disk, or per batch.

A model that only ever reads icon names does not know "kitty". So each picture has a pool of captions:
names, keywords, several keywords together and descriptions, with its drawing style named and without.
"""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from e2ed2.data.cache import cached
from e2ed2.data.colours import in_colour
from e2ed2.data.pictures import Pictures
from e2ed2.models.base import TextEncoder
from e2ed2.progress import track
from e2ed2.types import TextEmbedding

PLAIN = ("{}", "a {}", "{} emoji", "a picture of a {}", "the {}", "a cute little {}")
STYLED = ("{}, {} style", "{} in {} style", "{} {}")
COMMON = 4  # a keyword shared by more concepts is too vague to stand alone
MIXES = 6  # draws of several keywords together


class Embeddings(Protocol):
    def __call__(self, rows: Tensor, with_words: bool = True) -> TextEmbedding:
        """Embeddings of those captions, padded to the longest; one token each without `with_words`."""
        ...


@dataclass(frozen=True)
class Precomputed:
    """Embeddings of every caption."""

    tokens: Tensor  # [sum of lengths, D] float16 token states, one caption after the other
    offsets: Tensor  # [captions + 1] where each one's tokens start
    pooled: Tensor  # [captions, D] float32, unit length

    def __call__(self, rows: Tensor, with_words: bool = True) -> TextEmbedding:
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        if not with_words:
            lengths = torch.ones_like(lengths)
        positions = torch.arange(int(lengths.max()))
        mask = positions < lengths[:, None]
        tokens = self.tokens[(starts[:, None] + positions).clamp(max=len(self.tokens) - 1)].float()
        return TextEmbedding(tokens=tokens * mask[..., None], mask=mask, pooled=self.pooled[rows])


class OnDemand:
    """Embeds captions when a batch needs them."""

    def __init__(self, captions: list[str], encoder: TextEncoder):
        self.captions, self.encoder = captions, encoder

    def __call__(self, rows: Tensor, with_words: bool = True) -> TextEmbedding:
        text = self.encoder([self.captions[row] for row in rows.tolist()])
        return text if with_words else text.first_words()


@dataclass(frozen=True)
class CaptionPool:
    """All captions, and which of them fit each picture."""

    captions: list[str]
    embedding: Embeddings
    plain: "Choices"  # for each picture: captions that name no style
    styled: "Choices"  # for each picture: captions that name its style; may be none

    def pick(self, pictures: Tensor, styled_share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One caption per picture, drawn with `generator`, and whether it names the style, as `styled_share` do."""
        draw, which = torch.rand(2, len(pictures), generator=generator)
        named = (draw < styled_share) & (self.styled.counts[pictures] > 0)
        return torch.where(named, self.styled.at(pictures, which), self.plain.at(pictures, which)), named


class Choices:
    """A list of captions for each picture, with vectorised lookup for many pictures."""

    def __init__(self, lists: list[list[int]]):
        self.flat = torch.tensor([row for rows in lists for row in rows] + [0])  # one more: a picture may have none
        self.counts = torch.tensor([len(rows) for rows in lists])
        self.starts = self.counts.cumsum(0) - self.counts

    def at(self, pictures: Tensor, which: Tensor) -> Tensor:
        """The caption at the share `which`, in [0, 1), of each picture's list."""
        return self.flat[self.starts[pictures] + (which * self.counts[pictures]).long()]


def caption_pool(pictures: Pictures, encoder: TextEncoder, precompute: bool = True) -> CaptionPool:
    """`precompute`: embed every caption now, and keep the embeddings on disk."""
    plain, styled = caption_texts(pictures)
    captions = sorted({caption for texts in plain + styled for caption in texts})
    index = {caption: i for i, caption in enumerate(captions)}
    return CaptionPool(
        captions=captions,
        embedding=precomputed(captions, encoder) if precompute else OnDemand(captions, encoder),
        plain=Choices([[index[text] for text in texts] for texts in plain]),
        styled=Choices([[index[text] for text in texts] for texts in styled]),
    )


def text_key(encoder: TextEncoder) -> str:
    """The key under which an encoder's embeddings are cached; it identifies everything the encoder does."""
    return f"{encoder.max_tokens} {encoder.fingerprint}"


def precomputed(captions: list[str], encoder: TextEncoder) -> Precomputed:
    key = [text_key(encoder).encode(), *(f"\n{caption}".encode() for caption in captions)]
    return Precomputed(**cached("captions", key, lambda: embed(captions, encoder)))


def caption_texts(pictures: Pictures) -> tuple[list[list[str]], list[list[str]]]:
    """For each picture its captions without and with the style's name. A person's own captions are used as they are."""
    if not pictures.named:
        return [[text, *more] for text, more in zip(pictures.captions, pictures.others, strict=True)], [
            [] for _ in pictures.captions
        ]
    concepts = dict(zip(pictures.captions, pictures.keywords, strict=True))
    shared = Counter(keyword for keywords in concepts.values() for keyword in keywords)
    things: dict[str, tuple[list[str], list[str]]] = {}
    plain, styled = [], []
    colours = pictures.colours or [""] * len(pictures)
    columns = (pictures.captions, pictures.keywords, pictures.descriptions, pictures.styles, colours)
    for i, (name, keywords, descriptions, style, colour) in enumerate(zip(*columns, strict=True)):
        if colour:
            name = in_colour(name, colour)
            plain.append([form.format(name) for form in PLAIN[:2]])
            styled.append([form.format(text, style) for text in plain[-1] for form in STYLED[:2]])
            continue
        if name not in things:
            telling = [word for word in keywords if shared[word] <= COMMON and word != name]
            things[name] = name_texts(name, telling), other_texts(name, keywords, descriptions)
        named, others = things[name]
        plain.append(named + others)
        if not style:
            styled.append([])
            continue
        forms = [template.format(name, style) for template in STYLED] + [STYLED[0].format(f"a {name}", style)]
        more = named[len(PLAIN) + 1 :] + others
        styled.append(forms + [STYLED[(i + j) % 2].format(text, style) for j, text in enumerate(more[i % 3 :: 3])])
    return plain, styled


def name_texts(name: str, keywords: list[str]) -> list[str]:
    """The name in every template, and each specific keyword in one."""
    words = [name, *keywords]
    return [PLAIN[j % len(PLAIN)].format(word) for j, word in enumerate([name] * len(PLAIN) + words)]


def other_texts(name: str, keywords: list[str], descriptions: list[str]) -> list[str]:
    """Combinations of keywords (always the same draws for the same concept), and its descriptions twice."""
    draw, texts = random.Random(name), []
    for _ in range(MIXES if keywords else 0):
        some = draw.sample(keywords, min(len(keywords), draw.choice((2, 3, 4))))
        texts += [" ".join(some), f"{name} {' '.join(some[:2])}", f"a {some[0]} {name}"]
    return sorted(set(texts)) + [form.format(text) for text in descriptions for form in ("{}", "a {}")]


def embed(captions: list[str], encoder: TextEncoder) -> dict[str, Tensor]:
    """Token states (float16), offsets and pooled embeddings of all captions."""
    order = sorted(range(len(captions)), key=lambda i: len(captions[i]))
    tokens: list[Tensor] = [torch.empty(0)] * len(captions)
    pooled = torch.empty(len(captions), encoder.width)
    for chunk in track([order[i : i + 256] for i in range(0, len(order), 256)], "embedding captions"):
        embedding = encoder([captions[i] for i in chunk]).to("cpu")
        pooled[chunk] = embedding.pooled
        for i, states, mask in zip(chunk, embedding.tokens, embedding.mask, strict=True):
            tokens[i] = states[mask].half()
    lengths = torch.tensor([0] + [len(states) for states in tokens])
    return {"tokens": torch.cat(tokens), "offsets": lengths.cumsum(0), "pooled": pooled}
