"""Frechet distance between the Gaussians of two sets of features (Heusel et al. 2017)."""

from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from e2ed2.evaluation.metrics.figure import Figure


def frechet(ours: Tensor, real: Tensor) -> Figure:
    """Features `[N, D]` and `[M, D]`."""
    found = fid_statistics_to_metric(*(fid_features_to_statistics(x.double()) for x in (ours, real)), verbose=False)
    return Figure(float(next(iter(found.values()))))
