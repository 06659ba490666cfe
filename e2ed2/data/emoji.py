"""The concepts that the pictures show, and which of them a prompt is near."""

import re
from dataclasses import dataclass
from functools import cache

import pyarrow.parquet as pq
import torch

from e2ed2.assets import EMOJI
from e2ed2.data.cache import cached
from e2ed2.data.styles import STYLE_NAMES
from e2ed2.models.base import TextEncoder

ANY = "|".join(STYLE_NAMES)
STYLED = re.compile(rf"(,| in| in the style of)?(?: in an?)? ({ANY})( style)?(?:,? please)?[.!]*$", re.IGNORECASE)
BEFORE = re.compile(rf"^(?:(?:an?|the) )?({ANY})( style)? (?=\S)", re.IGNORECASE)
ORDINARY = ("flat", "fluent")  # styles that are ordinary words: a prompt may end with one without meaning the style


@dataclass(frozen=True)
class Near:
    """A known concept, and the similarity of a prompt to it or to one of its keywords."""

    name: str
    similarity: float  # cosine of the embeddings, in [-1, 1]


class Concepts:
    """Names and keywords of known things, embedded once and kept on disk; the bundled ones come embedded."""

    def __init__(self, words: dict[str, str], encoder: TextEncoder):
        """`words`: maps each name or keyword to the name of its concept."""
        self.words, self.encoder = words, encoder
        key = [f"concepts {encoder.fingerprint}".encode(), *(f"\n{word}".encode() for word in words)]
        self.pooled = cached("concepts", key, self._embed, bundled=EMOJI.parent)["pooled"].float()

    def _embed(self) -> dict[str, torch.Tensor]:
        words = list(self.words)
        parts = [self.encoder(words[i : i + 256]).pooled for i in range(0, len(words), 256)]
        return {"pooled": torch.cat(parts).half() if parts else torch.empty(0, self.encoder.width)}

    def nearest(self, prompt: str, count: int = 3) -> list[Near]:
        """The `count` nearest concepts, nearest first; a drawing style at the prompt's end is ignored."""
        likeness = (self.pooled @ self.encoder([without_style(prompt)]).pooled[0]).tolist()
        best: dict[str, float] = {}
        for name, similarity in zip(self.words.values(), likeness, strict=True):
            best[name] = max(similarity, best.get(name, -1.0))
        return [Near(name, best[name]) for name in sorted(best, key=lambda name: -best[name])[:count]]


def split_style(prompt: str) -> tuple[str, str]:
    """`red apple, noto style` => `red apple` and `noto`; an empty style if the prompt names none.

    So is `a noto style apple`.
    """
    text = prompt.strip()
    match = STYLED.search(text)
    if match and match.start() and (match[2].lower() not in ORDINARY or match[1] or match[3]):
        return text[: match.start()], match[2].lower()
    match = BEFORE.match(text)
    if match and (match[1].lower() not in ORDINARY or match[2]):
        return text[match.end() :], match[1].lower()
    return text, ""


def in_style(text: str, style: str) -> str:
    """The text as a caption that names the style, or the text alone if the style is empty."""
    return f"{text}, {style} style" if style else text


def without_style(prompt: str) -> str:
    """`Red apple, noto style` => `red apple`."""
    return split_style(prompt.lower())[0]


@cache
def groups() -> dict[str, str]:
    """Unicode's group of each name, such as `people-body`."""
    table = pq.read_table(EMOJI, columns=["caption", "group"]).to_pydict()
    return dict(zip(table["caption"], table["group"], strict=True))


def bundled_words() -> dict[str, str]:
    """Names and keywords of what the bundled models were trained on; a name outranks another concept's keyword."""
    table = pq.read_table(EMOJI, columns=["caption", "keywords"], filters=[("split", "=", "train")]).to_pydict()
    names = dict(sorted(zip(table["caption"], table["keywords"], strict=True)))
    words = {keyword: name for name, keywords in reversed(names.items()) for keyword in keywords}
    return words | {name: name for name in names}
