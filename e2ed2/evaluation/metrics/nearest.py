"""Is the picture only a copy?"""

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from e2ed2.evaluation.features.held_out import HeldOutEncoder

CANDIDATES = 5  # of 5,548 drawings; the nearest of 8 is 2% nearer


def nearest_distance(
    encoder: HeldOutEncoder, pictures: np.ndarray, features: Tensor, training: np.ndarray, training_features: Tensor
) -> float:
    """Mean LPIPS from each picture to the nearest of a few training pictures that look alike; 0 = all copied.

    Args:
        features, training_features: `[N, D]` and `[M, D]`, the candidates are those of the smallest angle.
    """
    likeness = F.normalize(features, dim=1) @ F.normalize(training_features, dim=1).T
    candidates = likeness.topk(min(CANDIDATES, len(training))).indices
    pairs = [(picture, training[i]) for picture, rows in zip(pictures, candidates.tolist(), strict=True) for i in rows]
    distances = encoder.distances(pairs, "with the nearest drawings")
    return distances.reshape(candidates.shape).amin(dim=1).mean().item()
