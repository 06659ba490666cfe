"""Kernel distance between two sets of features (Binkowski et al. 2018)."""

from torch import Tensor
from torch_fidelity.metric_kid import kid_features_to_metric

from e2ed2.evaluation.metrics.figure import Figure

KID = {
    "kid_subsets": 50,
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_gamma": None,
    "kid_kernel_poly_coef0": 1,
    "rng_seed": 2020,
    "verbose": False,
}


def kernel_distance(ours: Tensor, real: Tensor) -> Figure:
    """Features `[N, D]` and `[M, D]`, of numbers about 1."""
    size = min(len(ours), len(real), 1000)
    return Figure(kid_features_to_metric(ours, real, kid_subset_size=size, **KID)["kernel_inception_distance_mean"])
