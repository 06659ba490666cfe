"""Example inputs for the text encoder before packing: captions of concepts that models know."""

import torch
from torch import Tensor

from e2ed2.data.emoji import bundled_words
from e2ed2.data.styles import STYLE_NAMES
from e2ed2.models.minilm import MiniLM

COUNT = 1200  # captions


def captions() -> list[str]:
    """Randomly drawn names and keywords, two thirds of them with a style."""
    words = list(bundled_words())
    order = torch.randperm(len(words), generator=torch.Generator().manual_seed(0))[:COUNT].tolist()
    styles = [*STYLE_NAMES, *[""] * (len(STYLE_NAMES) // 2)]
    return [
        f"{words[row]}, {style} style" if (style := styles[place % len(styles)]) else words[row]
        for place, row in enumerate(order)
    ]


def examples_of(encoder: MiniLM) -> list[tuple[Tensor, ...]]:
    """Inputs of `parts.Text`, token ids `[1, L]` each."""
    return [(torch.tensor([encoder.tokenizer.encode(text).ids[: encoder.max_tokens]]),) for text in captions()]
