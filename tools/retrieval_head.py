"""Train the retrieval head that evaluation uses, on real drawings only, and say how well real drawings do.

python -m tools.retrieval_head
"""

import torch

from e2ed2.evaluation.alignment import HEAD, STYLES, align, fit_head, save_head
from e2ed2.evaluation.evaluate import concept_names
from e2ed2.evaluation.held_out import HeldOutEncoder
from e2ed2.evaluation.prompts import drawings
from e2ed2.text import TextEncoder


def main() -> None:
    names, encoder = concept_names(), HeldOutEncoder()
    vectors = TextEncoder()(names).pooled

    def load(split: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pictures = drawings(split)
        concepts = torch.tensor([names.index(name) for name in pictures.captions])
        styles = torch.tensor([STYLES.index(style) for style in pictures.styles])
        return encoder.of(pictures.images, f"drawings of split {split}"), concepts, styles

    head = fit_head(*load("train"), vectors)
    save_head(head)
    for split in ("train", "combo", "concept"):
        print(f"real drawings, {split}: {align(head, *load(split), vectors)}")
    print(HEAD)


if __name__ == "__main__":
    main()
