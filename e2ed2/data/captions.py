"""Many captions for each picture, and their embeddings, made once and kept on disk.

A model that only ever reads icon names does not know "kitty". So each picture has a pool of captions:
names and keywords, in several templates, with its drawing style named and without.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from e2ed2.data.cache import cached
from e2ed2.data.pictures import Pictures
from e2ed2.text import MAX_TOKENS, SHA256, WIDTH, TextEncoder
from e2ed2.types import TextEmbedding

PLAIN = ("{}", "a {}", "{} emoji", "a picture of a {}", "the {}", "a cute little {}")
STYLED = ("{}, {} style", "{} in {} style", "{} {}")
COMMON = 4  # a keyword that more concepts share says too little to stand alone


@dataclass(frozen=True)
class CaptionPool:
    """Every caption, embedded, and which of them fit each picture."""

    captions: list[str]
    tokens: Tensor  # [sum of lengths, D] float16 token states, one caption after the other
    offsets: Tensor  # [captions + 1] where each one's tokens start
    pooled: Tensor  # [captions, D] float32, unit length
    plain: list[np.ndarray]  # for each picture: captions that name no style
    styled: list[np.ndarray]  # for each picture: captions that name its style; may be empty

    def embedding(self, rows: Tensor, with_words: bool = True) -> TextEmbedding:
        """Embeddings of those captions, padded to the longest; one word each where the words do not matter."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        if not with_words:
            lengths = torch.ones_like(lengths)
        positions = torch.arange(int(lengths.max()))
        mask = positions < lengths[:, None]
        tokens = self.tokens[(starts[:, None] + positions).clamp(max=len(self.tokens) - 1)].float()
        return TextEmbedding(tokens=tokens * mask[..., None], mask=mask, pooled=self.pooled[rows])

    def pick(self, pictures: Tensor, styled_share: float, generator: torch.Generator) -> Tensor:
        """One caption for each picture, drawn with `generator`; `styled_share` of them name the style."""
        named, which = torch.rand(2, len(pictures), generator=generator).tolist()
        pools = [
            self.styled[i] if u < styled_share and len(self.styled[i]) else self.plain[i]
            for i, u in zip(pictures.tolist(), named, strict=True)
        ]
        return torch.tensor([int(pool[int(u * len(pool))]) for pool, u in zip(pools, which, strict=True)])


def caption_pool(pictures: Pictures) -> CaptionPool:
    plain, styled = caption_texts(pictures)
    captions = sorted({caption for texts in plain + styled for caption in texts})
    index = {caption: i for i, caption in enumerate(captions)}
    key = [f"{MAX_TOKENS} {SHA256}".encode(), *(f"\n{caption}".encode() for caption in captions)]
    tensors = cached("captions", key, lambda: embed(captions))
    return CaptionPool(
        captions=captions,
        tokens=tensors["tokens"],
        offsets=tensors["offsets"],
        pooled=tensors["pooled"],
        plain=[np.array([index[text] for text in texts]) for texts in plain],
        styled=[np.array([index[text] for text in texts], dtype=int) for texts in styled],
    )


def caption_texts(pictures: Pictures) -> tuple[list[list[str]], list[list[str]]]:
    """For each picture its captions without and with the style's name."""
    concepts = dict(zip(pictures.captions, pictures.keywords, strict=True))
    shared = Counter(keyword for keywords in concepts.values() for keyword in keywords)
    plain, styled = [], []
    for i, (name, keywords, style) in enumerate(
        zip(pictures.captions, pictures.keywords, pictures.styles, strict=True)
    ):
        words = [word for word in keywords if shared[word] <= COMMON and word != name]
        names = [name, *words]
        if name.lower() != name or len(name) > 40:  # somebody's own sentence: leave it as it is
            names = [name]
        plain.append([PLAIN[j % len(PLAIN)].format(word) for j, word in enumerate([name] * len(PLAIN) + names)])
        if not style:
            styled.append([])
            continue
        forms = [template.format(name, style) for template in STYLED]
        forms += [STYLED[(i + j) % len(STYLED)].format(word, style) for j, word in enumerate(words[:4])]
        forms += [STYLED[0].format(f"a {name}", style)]
        styled.append(forms)
    return plain, styled


def embed(captions: list[str]) -> dict[str, Tensor]:
    """Token states (float16), offsets and pooled embeddings of all captions."""
    encoder = TextEncoder()
    order = sorted(range(len(captions)), key=lambda i: len(captions[i]))
    tokens: list[Tensor] = [torch.empty(0)] * len(captions)
    pooled = torch.empty(len(captions), WIDTH)
    for chunk in track([order[i : i + 256] for i in range(0, len(order), 256)], "embedding captions"):
        embedding = encoder([captions[i] for i in chunk])
        pooled[chunk] = embedding.pooled
        for i, states, mask in zip(chunk, embedding.tokens, embedding.mask, strict=True):
            tokens[i] = states[mask].half()
    lengths = torch.tensor([0] + [len(states) for states in tokens])
    return {"tokens": torch.cat(tokens), "offsets": lengths.cumsum(0), "pooled": pooled}
