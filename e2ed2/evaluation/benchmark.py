"""What models are judged by: prompts, real pictures to compare with, and metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from e2ed2.evaluation.metrics.figure import Figures


@dataclass(frozen=True)
class Prompt:
    text: str
    concept: str = ""  # what is to be found in the picture; "" where any picture will do
    style: str = ""  # "" where the text names none
    others: tuple[str, ...] = ()  # further concepts that are as right
    colour: str = ""  # in which the concept is to be, as captions call it; "" where any will do


@dataclass(frozen=True)
class Sampled:
    """What a generator made of the prompts, one picture each."""

    prompts: list[Prompt]
    images: np.ndarray  # uint8 [N, H, W, 3]
    features: Tensor  # [N, 5120] of the held-out encoder
    more: Callable[[Sequence[str]], np.ndarray] | None = None  # pictures of other prompts, where there can be any


Metric = Callable[[Sampled], Figures]


@dataclass(frozen=True)
class Benchmark:
    name: str
    prompts: list[Prompt]
    references: np.ndarray  # uint8 [M, H, W, 3], the real pictures that the distance compares with
    metrics: tuple[Metric, ...]
    any_prompt: bool = False  # a picture of another prompt can be judged too
    # Of the alignment, what pictures reach that are as right as can be: kind of picture => name of the rate => value.
    ceilings: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: str = ""  # a sentence about figures that cannot be had here

    @property
    def side(self) -> int:
        """Height and width of what is compared, in pixels."""
        return self.references.shape[1]
