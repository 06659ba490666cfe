"""Metrics of a benchmark: each holds its reference data, judges the sampled pictures, and returns figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from e2ed2.data.turning import main_colour, name_of, to_oklab
from e2ed2.evaluation.benchmark import Sampled
from e2ed2.evaluation.features.held_out import HeldOutEncoder, deepest
from e2ed2.evaluation.metrics.diversity import diversity_ratio
from e2ed2.evaluation.metrics.figure import Figure, Figures, rate
from e2ed2.evaluation.metrics.frechet import frechet
from e2ed2.evaluation.metrics.kernel import kernel_distance
from e2ed2.evaluation.metrics.nearest import nearest_distance
from e2ed2.evaluation.metrics.precision_recall import precision_recall
from e2ed2.evaluation.metrics.retrieval import STYLES, align, load_head
from e2ed2.models.minilm import MiniLM

SAMPLES = 4  # samples per caption, for the diversity ratio


@dataclass(frozen=True)
class Distance:
    """The distance of the pictures from real ones, in the deepest layer of the held-out encoder."""

    real: Tensor  # [M, 512]

    def __call__(self, sampled: Sampled) -> Figures:
        return distances(deepest(sampled.features), self.real)


def distances(features: Tensor, real: Tensor) -> Figures:
    """In units of the real features' root mean square: KID's polynomial kernel expects numbers about 1."""
    scale = real.square().mean().sqrt()
    ours, theirs = features / scale, real / scale
    precision, recall = precision_recall(ours, theirs)
    figures = {"kid": kernel_distance(ours, theirs), **frechet(ours, theirs), "precision": precision, "recall": recall}
    return {f"distance.{name}": figure for name, figure in figures.items()}


@dataclass(frozen=True)
class Alignment:
    """Does the retrieval head find the concept, among all names, and the style?"""

    names: Sequence[str]

    def __call__(self, sampled: Sampled) -> Figures:
        right = torch.zeros(len(sampled.prompts), len(self.names), dtype=torch.bool)
        for row, prompt in zip(right, sampled.prompts, strict=True):
            row[[self.names.index(name) for name in (prompt.concept, *prompt.others)]] = True
        styled = all(prompt.style for prompt in sampled.prompts)
        styles = torch.tensor([STYLES.index(prompt.style) for prompt in sampled.prompts]) if styled else None
        found = align(load_head(), sampled.features, right, styles, MiniLM()(self.names).pooled)
        return {f"alignment.{name}": rate for name, rate in found.items()}


class Colour:
    """Is the main colour of a picture nearest to the one that its prompt asks for?"""

    def __call__(self, sampled: Sampled) -> Figures:
        found = [main_colour(to_oklab(image)) for image in sampled.images]
        pairs = zip(found, sampled.prompts, strict=True)
        return {"alignment.colour": rate(torch.tensor([bool(one) and name_of(one) == p.colour for one, p in pairs]))}


@dataclass(frozen=True)
class Diversity:
    """The variety among samples of one caption without a style, relative to that of its real drawings."""

    encoder: HeldOutEncoder
    names: list[str]
    drawings: list[np.ndarray]  # for each name, its drawings

    def __call__(self, sampled: Sampled) -> Figures:
        if sampled.more is None:
            return {}
        images = sampled.more(self.names, SAMPLES)
        ratio = diversity_ratio(self.encoder, np.split(images, len(self.names)), self.drawings)
        return {"diversity_ratio": Figure(ratio)}


@dataclass(frozen=True)
class Nearest:
    """The distance from each of the first pictures to the training picture most like it."""

    encoder: HeldOutEncoder
    count: int
    training: np.ndarray
    features: Tensor  # [M, 512] of the training pictures

    def __call__(self, sampled: Sampled) -> Figures:
        images, features = sampled.images[: self.count], deepest(sampled.features[: self.count])
        found = nearest_distance(self.encoder, images, features, self.training, self.features)
        return {"nearest_training_lpips": Figure(found)}
