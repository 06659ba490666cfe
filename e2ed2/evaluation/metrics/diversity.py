"""Does the noise change the picture?"""

from itertools import combinations

import numpy as np
import torch

from e2ed2.evaluation.features.held_out import HeldOutEncoder


def diversity_ratio(encoder: HeldOutEncoder, samples: list[np.ndarray], real: list[np.ndarray]) -> float:
    """Mean LPIPS between samples of one caption over that between its real drawings; 0 = collapsed, 1 = ideal.

    Args:
        samples: for each caption its samples, uint8 `[m, H, W, 3]`, m >= 2.
        real: for each caption its drawings, uint8 `[k, H, W, 3]`, k >= 2.
    """
    return _spread(encoder, samples, "samples of one caption") / _spread(encoder, real, "drawings of one thing")


def _spread(encoder: HeldOutEncoder, groups: list[np.ndarray], what: str) -> float:
    """LPIPS between the pictures of a group, averaged over pairs, then over groups."""
    pairs = [list(combinations(group, 2)) for group in groups]
    distances = encoder.distances([pair for group in pairs for pair in group], what)
    return torch.stack([part.mean() for part in distances.split([len(group) for group in pairs])]).mean().item()
