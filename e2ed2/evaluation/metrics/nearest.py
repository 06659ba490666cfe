"""Is the picture only a copy?"""

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from e2ed2.evaluation.features.held_out import HeldOutEncoder


def nearest_distance(
    encoder: HeldOutEncoder, pictures: np.ndarray, features: Tensor, training: np.ndarray, training_features: Tensor
) -> float:
    """Mean LPIPS from each picture to the training drawing nearest to it in the encoder's features; 0 = all copied."""
    nearest = (F.normalize(features, dim=1) @ F.normalize(training_features, dim=1).T).argmax(dim=1).tolist()
    pairs = [(picture, training[i]) for picture, i in zip(pictures, nearest, strict=True)]
    return encoder.distances(pairs, "with the nearest drawings").mean().item()
