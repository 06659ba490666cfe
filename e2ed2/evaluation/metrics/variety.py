"""Does the noise change the picture? And is the picture only a copy?"""

from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from e2ed2.evaluation.features.held_out import HeldOutEncoder


def diversity_ratio(encoder: HeldOutEncoder, samples: list[np.ndarray], real: list[np.ndarray]) -> float:
    """Mean LPIPS between samples of one caption over that between its real drawings; 0 = collapsed, 1 = ideal.

    Args:
        samples: for each caption its samples, uint8 `[m, H, W, 3]`, m >= 2.
        real: for each caption its drawings, uint8 `[k, H, W, 3]`, k >= 2.
    """
    return _spread(encoder, samples, "samples of one caption") / _spread(encoder, real, "drawings of one thing")


def _spread(encoder: HeldOutEncoder, groups: list[np.ndarray], what: str) -> float:
    """LPIPS between the pictures of a group, its mean over pairs, then over groups."""
    pairs = [list(combinations(group, 2)) for group in groups]
    distances = encoder.distances([pair for group in pairs for pair in group], what)
    return torch.stack([part.mean() for part in distances.split([len(group) for group in pairs])]).mean().item()


def nearest_distance(
    encoder: HeldOutEncoder, pictures: np.ndarray, features: Tensor, training: np.ndarray, training_features: Tensor
) -> float:
    """Mean LPIPS from each picture to the training drawing nearest to it in the encoder's features; 0 = all copied."""
    nearest = (F.normalize(features, dim=1) @ F.normalize(training_features, dim=1).T).argmax(dim=1).tolist()
    pairs = [(picture, training[i]) for picture, i in zip(pictures, nearest, strict=True)]
    return encoder.distances(pairs, "with the nearest drawings").mean().item()
