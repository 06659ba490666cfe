"""What networks predict, as an estimate of the clean sample."""

from typing import Literal

from torch import Tensor

Prediction = Literal["sample", "epsilon", "v", "velocity"]


def clean_of(kind: Prediction, prediction: Tensor, x: Tensor, alpha: float | Tensor, sigma: float | Tensor) -> Tensor:
    """`x_0` from a network's output at `x = alpha x_0 + sigma z`.

    sample: x_0 itself. epsilon: z (Ho et al. 2020); it divides by alpha, which is nearly 0 at pure noise. v:
    `alpha z - sigma x_0` (Salimans and Ho 2022), on a variance-preserving path. velocity: `z - x_0`, on the flow path.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "sample":
        return prediction
    if kind == "epsilon":
        return (x - sigma * prediction) / alpha
    if kind == "v":
        return alpha * x - sigma * prediction
    if kind == "velocity":
        return x - sigma * prediction
    raise ValueError(f"{kind!r} is none of sample, epsilon, v, velocity")
