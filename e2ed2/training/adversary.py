"""The discriminator's side of a training: an optimizer of its own, and an update after each of the model's."""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from e2ed2.errors import UserError
from e2ed2.losses.adversarial import Judged, discriminator_loss
from e2ed2.seeds import UpdateSeeds


class Adversary:
    """Learns from what the objective hands on as `judged`; for the objective itself it is a constant."""

    def __init__(self, discriminator: nn.Module, lr: float, clip: float, accelerator: Accelerator):
        self.discriminator, self.clip, self.accelerator = discriminator, clip, accelerator
        optimizer = torch.optim.AdamW(discriminator.parameters(), lr=lr, betas=(0.0, 0.99), weight_decay=0.0)
        self.optimizer = accelerator.prepare(optimizer)

    def update(self, judged: Judged, seeds: UpdateSeeds) -> Tensor:
        """One update; returns its loss.

        Raises:
            UserError: the gradient is not finite, before the weights have moved.
        """
        with learning(self.discriminator):
            loss = judge(self.discriminator, judged, seeds)
            self.optimizer.zero_grad()
            self.accelerator.backward(loss)
            parameters = list(self.discriminator.parameters())
            for parameter in parameters:  # outside the wrapped objective, so averaged over processes here
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
            norm = nn.utils.clip_grad_norm_(parameters, self.clip)
            if not torch.isfinite(norm):
                raise UserError(
                    f"The discriminator's gradient is not finite at update {seeds.update}: lower adversary-lr."
                )
            self.optimizer.step()
        return loss.detach()


def judge(discriminator: nn.Module, judged: Judged, seeds: UpdateSeeds) -> Tensor:
    """The discriminator's loss on what an update made, a scalar."""
    return discriminator_loss(discriminator, *judged, seeds.stream("discriminator noise"))


@contextmanager
def learning(discriminator: nn.Module) -> Generator[None]:
    """Its weights take gradients meanwhile, and then no more."""
    discriminator.requires_grad_(True)
    try:
        yield
    finally:
        discriminator.requires_grad_(False)
