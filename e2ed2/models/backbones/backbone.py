"""A network of diffusers as a denoiser: one adapter for every family, path and kind of prediction."""

from typing import Any, Self

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from e2ed2.diffusion.path import Flow, Path, VariancePreserving
from e2ed2.diffusion.prediction import Prediction, clean_of
from e2ed2.errors import UserError
from e2ed2.models.backbones.families import Family, family_of
from e2ed2.types import TextEmbedding

KINDS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}  # as schedulers say it
FLOW = ("flow_prediction", "FlowMatch")
LEAST_ALPHA = 0.05  # of the sample at pure noise, for a network that predicts noise


class Backbone(nn.Module):
    """Predicts x_0 with `network`, whatever it predicts itself. The chain is in float32, the network in its own."""

    only_steps = None
    dtype = torch.float32  # of noise and samples: levels and divisions by a small alpha need it

    def __init__(
        self, network: nn.Module, family: Family, path: Path, prediction: Prediction, shape: tuple[int, int, int]
    ):
        super().__init__()
        self.network, self.family = network, family
        self.path, self.prediction, self.latent_shape = path, prediction, shape

    @classmethod
    def of(cls, pipeline: Any, side: int = 0) -> Self:
        """The network of a pipeline, on the path of its scheduler; `side` of the latents, else the pipeline's own.

        Raises:
            UserError: a family, or a scheduler, that is not known here.
        """
        family = family_of(pipeline)
        network = getattr(pipeline, family.part)
        side = side or network.config.sample_size
        path, prediction = reading_of(pipeline.scheduler)
        return cls(network, family, path, prediction, (network.config.in_channels, side, side))

    def condition(self, z: Tensor, text: TextEmbedding) -> None:
        """Nothing: the network reads the caption in every step."""

    def forward(self, x: Tensor, t: Tensor, text: TextEmbedding, conditioning: None = None, step: int = 0) -> Tensor:
        """The estimate of x_0 `[B, C, h, w]` in float32 from `x` at levels `t` `[B]`."""
        kind: torch.dtype = next(self.network.parameters()).dtype
        told = self.path.timesteps(t)
        predicted = self.family.predict(self.network, x.to(kind), told, text.to(x.device, kind))
        alpha, sigma = (value.view(-1, 1, 1, 1) for value in self.path.coefficients(t))
        # A variance that is predicted beside the mean is in the second half of the channels.
        return clean_of(self.prediction, predicted[:, : x.shape[1]].float(), x.float(), alpha, sigma)


def reading_of(scheduler: Any) -> tuple[Path, Prediction]:
    """The path that a pipeline's network was trained on, and what it predicts. Raises UserError: it is none of ours."""
    config, name = scheduler.config, type(scheduler).__name__
    if name.startswith(FLOW) or config.get("prediction_type") in FLOW:
        return Flow(), "velocity"
    kind = KINDS.get(config.get("prediction_type", "epsilon"))
    if kind is None or "beta_schedule" not in config:
        raise UserError(f"The path of a {name} is not known here: choose a pipeline with DDIM or FlowMatchEuler.")
    ddim: Any = DDIMScheduler.from_config(config)
    return VariancePreserving(ddim.alphas_cumprod.tolist()), kind


def check_pure_noise(backbone: Backbone) -> None:
    """Raises UserError: it predicts noise, and x_0 would be that divided by nearly nothing where the chain begins.

    One rounding of a perfect prediction to bfloat16 costs 0.4% / alpha of x_0: 3% for SD 1.5, 26% for PixArt-alpha.
    """
    alpha = backbone.path.alpha(1.0)
    if backbone.prediction == "epsilon" and alpha < LEAST_ALPHA:
        raise UserError(
            f"This backbone predicts noise, and pure noise leaves it {alpha:.4f} of the picture to divide by: convert "
            "it with `python -m e2ed2 train convert --backbone ...` first, and give that model's folder as --backbone."
        )
