"""Train the retrieval head that evaluation uses, on real drawings only, and say how well real drawings do.

python -m e2ed2.evaluation.experiments.retrieval_head    # writes the bundled head, and assets/results/real.json
"""

import json

import torch

from e2ed2.assets import RESULTS, RETRIEVAL_HEAD
from e2ed2.evaluation.emoji import concept_names, drawings
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.metrics.retrieval import STYLES, align, fit_head, save_head
from e2ed2.models.minilm import TextEncoder

REAL = RESULTS / "real.json"


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
    found = {
        split: {name: rate.value for name, rate in align(head, *load(split), vectors).items()}
        for split in ("train", "combo", "concept")
    }
    REAL.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2), RETRIEVAL_HEAD, REAL, sep="\n")


if __name__ == "__main__":
    main()
