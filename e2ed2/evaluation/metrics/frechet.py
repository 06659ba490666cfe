"""Frechet distance between the Gaussians of two sets of features (Heusel et al. 2017), with what N pictures do to it.

Fewer pictures give a larger distance, so figures of unequal N are not compared. `fd_infinite` is free of that (Chong
and Forsyth 2020): the distance is nearly linear in 1/N, and the line's value at 0 is that of endless pictures. Theirs
goes through subsets drawn randomly; ours through the means over halves, thirds and so on, which use all pictures alike.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg import eigh, eigvalsh
from scipy.stats import bootstrap, linregress
from torch import Tensor

from e2ed2.evaluation.metrics.figure import SURE, Figure

RESAMPLES = 100
PER_DIMENSION = 1.5  # pictures for each dimension in the smallest part; with fewer, distances are not linear in 1/N
MOST_PARTS = 5


@dataclass(frozen=True)
class Gaussian:
    """The Gaussian of real features: the part that is the same for every set of ours."""

    mean: np.ndarray  # [D]
    root: np.ndarray  # [D, D], square root of the covariance
    variance: float  # the covariance's trace

    @classmethod
    def of(cls, features: np.ndarray) -> Self:
        covariance = np.cov(features, rowvar=False)
        values, vectors = eigh(covariance)
        return cls(features.mean(axis=0), (vectors * np.sqrt(values.clip(0))) @ vectors.T, float(np.trace(covariance)))

    def distance(self, features: np.ndarray) -> float:
        """The trace of the root of both covariances' product is the sum of the singular values of `seen`."""
        mean = features.mean(axis=0)
        centred = (features - mean) / (len(features) - 1) ** 0.5
        seen = centred @ self.root
        gram = seen @ seen.T if len(seen) < seen.shape[1] else seen.T @ seen
        common = np.sqrt(eigvalsh(gram).clip(0)).sum()
        return float(np.square(mean - self.mean).sum() + np.square(centred).sum() + self.variance - 2 * common)


def frechet(ours: Tensor, real: Tensor, seed: int = 0) -> dict[str, Figure]:
    """`fd` with an interval over captions, and where N allows `fd_infinite`; features `[N, D]` and `[M, D]`.

    Pictures drawn twice are fewer pictures, and so further away: the bootstrap gives the width of the interval alone.
    The seed has no purpose beside it: the stored intervals were drawn so.
    """
    features, gaussian = ours.double().numpy(), Gaussian.of(real.double().numpy())
    value, generator = gaussian.distance(features), np.random.default_rng(seed)
    spread = bootstrap(
        (np.arange(len(features)),),
        lambda rows: gaussian.distance(features[rows]),
        n_resamples=RESAMPLES,
        vectorized=False,
        method="basic",
        rng=generator,
    ).standard_error
    figures = {"fd": Figure(value, value - SURE * spread, value + SURE * spread)}
    parts = min(MOST_PARTS, int(len(features) / (PER_DIMENSION * features.shape[1])))
    return figures | ({"fd_infinite": _infinite(gaussian, generator.permutation(features), parts)} if parts > 1 else {})


def _infinite(gaussian: Gaussian, features: np.ndarray, most: int) -> Figure:
    """The extrapolated distance, from the randomly ordered pictures as a whole and in up to `most` parts."""
    counts = range(1, most + 1)
    distances = [np.mean([gaussian.distance(part) for part in np.array_split(features, count)]) for count in counts]
    return Figure(float(linregress([count / len(features) for count in counts], distances).intercept))
