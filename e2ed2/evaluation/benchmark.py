"""A benchmark for models: prompts, real pictures to compare with, and metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from e2ed2.evaluation.metrics.figure import Figures


@dataclass(frozen=True)
class Prompt:
    text: str
    concept: str = ""  # what the picture should show; "" if any picture will do
    style: str = ""  # "" if the text names none
    others: tuple[str, ...] = ()  # further concepts that are equally right
    colour: str = ""  # the colour the concept should have, as captions call it; "" if any will do


@dataclass(frozen=True)
class Sampled:
    """A generator's pictures for the prompts, one each."""

    prompts: list[Prompt]
    images: np.ndarray  # uint8 [N, H, W, 3]
    features: Tensor  # [N, 5120] of the held-out encoder
    more: Callable[[Sequence[str], int], np.ndarray] | None = None  # samples so many pictures of each of other prompts


Metric = Callable[[Sampled], Figures]


@dataclass(frozen=True)
class Benchmark:
    name: str
    prompts: list[Prompt]
    references: np.ndarray  # uint8 [M, H, W, 3], the real pictures that the distance compares with
    metrics: tuple[Metric, ...]
    any_prompt: bool = False  # whether a picture of another prompt can be judged too
    # Of the alignment, what pictures reach that are as right as can be: kind of picture => name of the rate => value.
    ceilings: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: str = ""  # a sentence about figures that are not available here

    @property
    def side(self) -> int:
        """Height and width of the compared pictures, in pixels."""
        return self.references.shape[1]
