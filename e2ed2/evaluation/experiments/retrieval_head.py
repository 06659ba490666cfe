"""Train the retrieval head that evaluation uses, on real drawings, and say how well real drawings do.

Each drawing is shown as it is, through the codec, and `copies` times shifted, scaled, turned in hue and blurred: soft
edges alone must not blind the head to a thing. It learns from all splits, since it is to know things that no model was
shown. What it makes of real drawings is measured as the models' pictures are: those resemble the drawings of `train`,
which the head has seen, so it judges these itself; no model has seen one of `combo` or `concept`, so real ones are
judged by heads that have not seen them either.

python -m e2ed2.evaluation.experiments.retrieval_head    # writes the bundled head; 20 to 75 minutes on one core
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.emoji import concept_names, drawings
from e2ed2.evaluation.experiments.ceiling import through
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.metrics.ceilings import Ceilings
from e2ed2.evaluation.metrics.retrieval import STYLES, RetrievalHead, align, fit_head, save_head
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import load_codec

TRAINED, KEPT = "train", ("combo", "concept")
SPLITS = (TRAINED, *KEPT)
REAL, DECODED = "real drawings", "through the codec"
UPDATES = 80  # passes over the drawings, each in one of its views
WHITE = 255
CHANGES = v2.Compose(
    [
        v2.RandomAffine((0.0, 0.0), translate=(0.08, 0.08), scale=(0.8, 1.15), fill=WHITE),
        v2.ColorJitter(hue=0.1),
        v2.RandomApply([v2.GaussianBlur(7, sigma=(0.4, 2.0))], p=0.7),
    ]
)


@dataclass(frozen=True)
class Drawn:
    """N drawings of all splits, and what they show."""

    images: np.ndarray  # uint8 [N, H, W, 3]
    splits: np.ndarray  # [N] names
    concepts: Tensor  # [N] rows of the names
    styles: Tensor  # [N] positions in STYLES

    @classmethod
    def load(cls, names: list[str]) -> Self:
        sets = {split: drawings(split) for split in SPLITS}
        every = list(sets.values())
        return cls(
            np.concatenate([one.images for one in every]),
            np.concatenate([[split] * len(one) for split, one in sets.items()]),
            torch.tensor([names.index(name) for one in every for name in one.captions]),
            torch.tensor([STYLES.index(style) for one in every for style in one.styles]),
        )


@exit_on_user_error()
def main(copies: int = 2, folds: int = 5, seed: int = 0) -> None:
    """Train on all drawings, and once without each of the `folds` for what real drawings reach."""
    names, encoder = concept_names(), HeldOutEncoder()
    drawn, vectors = Drawn.load(names), MiniLM()(names).pooled
    views = {REAL: drawn.images, DECODED: through(load_codec(CHECKPOINTS / "coarse"), drawn.images)}
    views |= {f"changed drawings {copy}": changed(drawn.images, seed + copy) for copy in range(copies)}
    features = {name: encoder.of(images, name) for name, images in views.items()}
    head = fitted(features, drawn, vectors, np.arange(len(drawn.images)), seed)
    ceilings = crossed(features, drawn, vectors, folds, seed)
    seen = np.flatnonzero(drawn.splits == TRAINED)
    for view in (REAL, DECODED):
        ceilings[view][TRAINED] = rates(head, features[view], drawn, vectors, seen)
    save_head(head, ceilings)
    print(json.dumps(ceilings, indent=2))


def changed(images: np.ndarray, seed: int) -> np.ndarray:
    """Each picture randomly shifted, scaled, turned in hue and perhaps blurred."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shown = torch.from_numpy(images).permute(0, 3, 1, 2)
        return torch.stack([CHANGES(image) for image in shown]).permute(0, 2, 3, 1).contiguous().numpy()


def fitted(features: dict[str, Tensor], drawn: Drawn, vectors: Tensor, rows: np.ndarray, seed: int) -> RetrievalHead:
    """A head fitted to all views of those drawings."""
    views = len(features)
    shown = torch.cat([of_view[rows] for of_view in features.values()])
    concepts, styles = (labels[rows].repeat(views) for labels in (drawn.concepts, drawn.styles))
    return fit_head(shown, concepts, styles, vectors, epochs=UPDATES // views, seed=seed)


def crossed(features: dict[str, Tensor], drawn: Drawn, vectors: Tensor, folds: int, seed: int) -> Ceilings:
    """The rates of real drawings, unchanged and through the codec, each judged by a head that has not seen it."""
    fold = np.random.default_rng(seed).permutation(len(drawn.images)) % folds
    shares: Ceilings = {view: {split: defaultdict(float) for split in KEPT} for view in (REAL, DECODED)}
    for left_out in range(folds):
        head = fitted(features, drawn, vectors, np.flatnonzero(fold != left_out), seed)
        for view, split in product((REAL, DECODED), KEPT):
            rows = np.flatnonzero((fold == left_out) & (drawn.splits == split))
            share = len(rows) / int((drawn.splits == split).sum())
            for name, rate in rates(head, features[view], drawn, vectors, rows).items():
                shares[view][split][name] += share * rate
    return shares


def rates(head: RetrievalHead, features: Tensor, drawn: Drawn, vectors: Tensor, rows: np.ndarray) -> dict[str, float]:
    right = F.one_hot(drawn.concepts[rows], len(vectors)).bool()
    figures = align(head, features[rows], right, drawn.styles[rows], vectors)
    return {name: figure.value for name, figure in figures.items()}


if __name__ == "__main__":
    tyro.cli(main)
