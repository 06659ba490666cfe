"""The discriminator's side of a training: its own optimizer, with an update after each of the model's."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from e2ed2.errors import UserError
from e2ed2.losses.adversarial import Judged
from e2ed2.seeds import UpdateSeeds


class Adversary:
    """Learns from the objective's `judged` outputs; for the objective itself it is a constant."""

    def __init__(self, discriminator: Any, lr: float, clip: float, accelerator: Accelerator):
        self.discriminator, self.clip, self.accelerator = discriminator, clip, accelerator
        optimizer = torch.optim.AdamW(discriminator.learned, lr=lr, betas=(0.0, 0.99), weight_decay=0.0)
        self.optimizer = accelerator.prepare(optimizer)

    def update(self, parts: Sequence[tuple[Judged, UpdateSeeds]]) -> Tensor:
        """One update on the samples of each batch, with that batch's seeds; returns the mean loss.

        Raises:
            UserError: the gradient is not finite; the weights have not changed.
        """
        with learning(self.discriminator):
            self.optimizer.zero_grad()
            losses = []
            for judged, seeds in parts:
                losses.append(judge(self.discriminator, judged, seeds))
                self.accelerator.backward(losses[-1] / len(parts))
            parameters = self.discriminator.learned
            for parameter in parameters:  # outside the wrapped objective, so averaged over processes here
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
            norm = nn.utils.clip_grad_norm_(parameters, self.clip)
            if not torch.isfinite(norm):
                raise UserError(
                    f"The discriminator's gradient is not finite at update {parts[0][1].update}: lower adversary-lr."
                )
            self.optimizer.step()
        return torch.stack([loss.detach() for loss in losses]).mean()


def judge(discriminator: Any, judged: Judged, seeds: UpdateSeeds) -> Tensor:
    """The discriminator's loss on the samples of an update, a scalar."""
    return discriminator.losses.discriminator(discriminator, *judged, seeds.stream("discriminator noise"))


@contextmanager
def learning(discriminator: nn.Module) -> Generator[None]:
    """Enable gradients of the discriminator's weights for the duration."""
    discriminator.requires_grad_(True)
    try:
        yield
    finally:
        discriminator.requires_grad_(False)
