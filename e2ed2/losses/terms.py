"""The terms that `spec.TERMS` names: each maps samples and their targets to a scalar."""

import torch
from torch import Tensor

from e2ed2.losses import distribution, pixel
from e2ed2.losses.compared import Compared


def l1(of: Compared) -> Tensor:
    return pixel.l1(of.made, of.targets)


def l2(of: Compared) -> Tensor:
    return pixel.l2(of.made, of.targets)


def energy(of: Compared) -> Tensor:
    return distribution.energy_score(of.groups, of.targets[of.each], repulsion=of.repulsion)


def anchor(of: Compared) -> Tensor:
    """Squared error relative to what the initial model makes from the same noise."""
    assert of.held is not None
    return pixel.l2(of.made, of.held)


def mmd(of: Compared) -> Tensor:
    """MMD between samples and targets with their captions, in LPIPS's features."""
    embedded = of.in_parts(of.perceptual.embedding, of.made)
    with torch.no_grad():
        drawn = of.in_parts(of.perceptual.embedding, of.targets[of.each])
    return distribution.mmd(embedded.unflatten(0, (-1, of.samples)), drawn, of.pooled[of.each])


def lpips(of: Compared) -> Tensor:
    return of.distance.mean()


def energy_lpips(of: Compared) -> Tensor:
    """The energy score in LPIPS's feature space: LPIPS is a squared norm there, so its root is the distance."""
    left, right = distribution.pairs(of.samples)
    two = (of.groups[:, left].flatten(0, 1), of.groups[:, right].flatten(0, 1))
    between = of.in_parts(of.perceptual, *two)
    return distribution.energy((of.distance + 1e-6).sqrt(), (between + 1e-6).sqrt(), of.repulsion)
