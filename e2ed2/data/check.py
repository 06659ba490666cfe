"""What a training set holds, and what of its captions a model will never read."""

from collections import Counter

from e2ed2.data.pictures import Pictures
from e2ed2.models.base import TextEncoder


def check(pictures: Pictures, encoder: TextEncoder) -> list[str]:
    """Lines for a person; the set has been loaded, so every picture and caption can be used."""
    captions = [*pictures.captions, *(text for texts in pictures.others for text in texts)]
    lines = [f"{len(pictures)} pictures, {len(set(captions))} different captions"]
    if pictures.styles:
        styles = sorted(Counter(pictures.styles).items())
        lines.append(", ".join(f"{style or 'no style'} {count}" for style, count in styles))
    different = sorted(set(captions))
    cut = [(text, end) for text in different if (end := encoder.unread(text))]
    if cut:
        text, end = cut[0]
        lines.append(
            f"{len(cut)} captions are longer than the {encoder.max_tokens} tokens that are read; of “{text}”, "
            f"“{end}” is not."
        )
    unknown = [(text, words) for text in different if (words := encoder.unknown(text))]
    if unknown:
        text, words = unknown[0]
        lines.append(
            f"{len(unknown)} captions have words that the text encoder does not know; of “{text}”: {' '.join(words)}."
        )
    return lines
