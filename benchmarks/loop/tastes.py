"""Simulated raters whose taste is known: a worth of an image, and crowds of people who go by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from e2ed2.evaluation.emoji import concept_names
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.metrics.retrieval import TEMPERATURE, load_head, spread
from e2ed2.models.minilm import MiniLM

LARGE = 0.15  # of the range from black to white
TASTES = ("warm colours", "crisp edges", "the right thing")


@dataclass(frozen=True)
class Crowd:
    """Each rater has one of the tastes, in turn; without tastes, they answer at random."""

    name: str
    tastes: tuple[str, ...]
    lapses: float = 0.0  # share of answers by lot
    asked: bool = True
    """If not, a model is fine-tuned without votes, to see what more training alone changes."""

    @property
    def judges(self) -> "tuple[Crowd, ...]":
        """The crowds whose fresh raters judge the change: itself or, if it has no taste, one of each taste."""
        own = (self,) if self.asked else ()
        return own if self.tastes else (*own, *LOVERS)


LOVERS = tuple(Crowd(taste, (taste,)) for taste in TASTES)
CROWDS = (
    *LOVERS,
    Crowd("mixed, 20% lapses", TASTES, lapses=0.2),
    Crowd("by lot", ()),
    Crowd("no votes", (), asked=False),
)


def worths(images: np.ndarray, concepts: Sequence[str]) -> Mapping[str, np.ndarray]:
    """The worth of images by each taste, `[N]`, in the taste's unit.

    Images are uint8 `[N, H, W, 3]`; `concepts` are the things that they should show.
    """
    pixels = images.astype(np.float32) / 255
    values = (warmth(pixels), crispness(pixels), rightness(images, concepts))
    return dict(zip(TASTES, values, strict=True))


def warmth(pixels: np.ndarray) -> np.ndarray:
    """How much more red than blue there is on the whole; `pixels` `[N, H, W, 3]` in [0, 1]."""
    return pixels[..., 0].mean(axis=(1, 2)) - pixels[..., 2].mean(axis=(1, 2))


def crispness(pixels: np.ndarray) -> np.ndarray:
    """The share of all change between neighbours that is in large steps: a blurred edge has many small ones."""
    grey = pixels.mean(axis=-1)
    steps = [np.abs(np.diff(grey, axis=axis)).reshape(len(grey), -1) for axis in (1, 2)]
    change = np.concatenate(steps, axis=1)
    return np.where(change > LARGE, change, 0).sum(axis=1) / (change.sum(axis=1) + 1e-6)


@torch.no_grad()
def rightness(images: np.ndarray, concepts: Sequence[str]) -> np.ndarray:
    """Log-probability of the right thing among all, by the head that evaluation uses and no training sees."""
    names = concept_names()
    found, _ = load_head()(HeldOutEncoder().of(images))
    chances = (TEMPERATURE * found @ spread(MiniLM()(names).pooled).T).log_softmax(dim=-1)
    return chances[torch.arange(len(concepts)), [names.index(concept) for concept in concepts]].numpy()
