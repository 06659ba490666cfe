"""Gaussian paths from samples to noise, `x_t = alpha_t x_0 + sigma_t z`, and one step of a chain along them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.errors import UserError

Jump = tuple[float, float]  # the level that a step reads, and the level that it writes


class Path(Protocol):
    """`alpha` falls from 1 to about 0 and `sigma` rises from 0 to 1 while the level t rises from 0 to 1."""

    def alpha(self, t: float) -> float: ...

    def sigma(self, t: float) -> float: ...

    def carried(self, t: float) -> float:
        """`d x_0 / d x_t` at a constant velocity: what an estimate moves by with `x_t`, apart from the network."""
        ...

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma of levels `[B]`, each `[B]` in float32."""
        ...

    def timesteps(self, t: Tensor) -> Tensor:
        """The network's time input for levels `[B]`, `[B]`."""
        ...

    def jumps(self, levels: Sequence[float]) -> list[Jump]:
        """The steps of a chain along these levels."""
        ...


@dataclass(frozen=True)
class Flow:
    """The straight line `x_t = (1 - t) x_0 + t z` (Lipman et al. 2023; Liu et al. 2023)."""

    def alpha(self, t: float) -> float:
        return 1 - t

    def sigma(self, t: float) -> float:
        return t

    def carried(self, t: float) -> float:
        return 1.0  # x_0 = x_t - t v

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - t.float(), t.float()

    def timesteps(self, t: Tensor) -> Tensor:
        return 1000 * t  # the convention of diffusers' flow models

    def jumps(self, levels: Sequence[float]) -> list[Jump]:
        return list(pairwise(levels))


@dataclass(frozen=True)
class VariancePreserving:
    """`alpha^2 + sigma^2 = 1` (Ho et al. 2020), from a scheduler's cumulative products, the least noisy first.

    Level t in (0, 1] is the training timestep `t N - 1`, the nearest whole one; level 0 is the sample itself.
    """

    alphas_cumprod: Sequence[float] = field(repr=False)  # [N] in (0, 1), falling

    def alpha(self, t: float) -> float:
        return self._cumprod(t) ** 0.5

    def sigma(self, t: float) -> float:
        return (1 - self._cumprod(t)) ** 0.5

    def carried(self, t: float) -> float:
        return self.alpha(t)  # x_0 = alpha x_t - sigma v

    def timestep(self, t: float) -> int:
        """The timestep that a network trained on N of them gets for level t. Raises ValueError: t is outside (0, 1]."""
        step = round(t * len(self.alphas_cumprod)) - 1
        if not 0 <= step < len(self.alphas_cumprod):
            raise ValueError(f"level {t} is not one of {len(self.alphas_cumprod)} timesteps")
        return step

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        cumprod = self._table.to(t.device)[self.timesteps(t) + 1]
        return cumprod.sqrt(), (1 - cumprod).sqrt()

    def timesteps(self, t: Tensor) -> Tensor:
        return (t * len(self.alphas_cumprod)).round().long() - 1

    def jumps(self, levels: Sequence[float]) -> list[Jump]:
        """The steps of a chain; between uniform levels, those of diffusers' `DDIMScheduler` with trailing timesteps.

        It counts down by N // T. Where T does not divide N, a step writes a timestep or so above the one that the next
        reads; a model sampled by the stock scheduler meets exactly what it was trained on.

        Raises:
            UserError: there are more steps than timesteps.
        """
        if tuple(levels) != uniform_levels(len(levels) - 1):
            return list(pairwise(levels))
        count, steps = len(self.alphas_cumprod), len(levels) - 1
        if steps > count:
            raise UserError(f"This network knows {count} noise levels: choose at most {count} steps, not {steps}.")
        down = count // steps
        return [(t, max(0, self.timestep(t) - down + 1) / count) for t in levels[:-1]]

    @cached_property
    def _table(self) -> Tensor:
        """The sample's 1, then the cumulative products."""
        return torch.tensor([1.0, *map(float, self.alphas_cumprod)])

    def _cumprod(self, t: float) -> float:
        return 1.0 if t == 0 else float(self.alphas_cumprod[self.timestep(t)])


def step(path: Path, x: Tensor, x0: Tensor, t: float, s: float) -> Tensor:
    """A step from level t to the lower level s: `alpha_s x0 + sigma_s (x - alpha_t x0) / sigma_t`.

    The noise in `x` is kept and its sample replaced by the estimate `x0`: deterministic DDIM (Song et al. 2021,
    eq. 12 with sigma = 0), and on the flow path an Euler step. At s = 0 it returns the estimate.
    """
    ratio = path.sigma(s) / path.sigma(t)
    return ratio * x + (path.alpha(s) - path.alpha(t) * ratio) * x0
