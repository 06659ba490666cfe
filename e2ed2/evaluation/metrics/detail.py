"""How much fine detail pictures have, relative to real ones of the same prompts."""

import numpy as np


def detail_ratio(ours: np.ndarray, real: np.ndarray) -> float:
    """The ratio of the mean absolute Laplacians of the grey values: 1 is as much as real pictures have, less is softer.

    Args:
        ours, real: uint8 `[N, H, W, 3]`.
    """
    return _detail(ours) / _detail(real)


def _detail(images: np.ndarray) -> float:
    grey = images.mean(axis=3)
    inner = 4 * grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return float(np.abs(inner - around).mean())
