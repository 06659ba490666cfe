"""A network of diffusers as a denoiser: one adapter for every family, path and kind of prediction."""

from typing import Any, Self

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from e2ed2.diffusion.path import Flow, Path, VariancePreserving
from e2ed2.diffusion.prediction import Prediction, clean_of
from e2ed2.errors import UserError
from e2ed2.models.backbones.codec import digest
from e2ed2.models.backbones.families import Family, family_of
from e2ed2.models.backbones.lora import without_adapters
from e2ed2.models.backbones.step_adapters import activate, independent_steps_of
from e2ed2.models.saved import Placed
from e2ed2.types import TextEmbedding

KINDS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}  # as schedulers say it
FLOW = ("flow_prediction", "FlowMatch")
ROUNDING = 1.66e-3  # root mean square of what rounding normal numbers to bfloat16 changes, as a share of theirs
LEAST_ALPHA = 0.05  # of the sample at pure noise, for a network that predicts noise


class Backbone(Placed):
    """Predicts x_0 with `network`, whatever it predicts itself. The chain is in float32, the network in its own."""

    dtype = torch.float32  # of noise and samples: levels and divisions by a small alpha need it

    def __init__(self, network: Any, family: Family, path: Path, prediction: Prediction, shape: tuple[int, int, int]):
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

    @property
    def only_steps(self) -> int | None:
        return independent_steps_of(self.network)

    @property
    def text_width(self) -> int:
        """The width of the pooled embedding: the network's own, or that of the mean of its tokens."""
        config = self.network.config
        widths = ("pooled_projection_dim", "caption_channels", "cross_attention_dim")
        return next(width for name in widths if (width := config.get(name)))

    @property
    def multiple(self) -> int:
        """The side of the latents must be one of this: of a patch, or of what is halved once for each stage."""
        config = self.network.config
        return config.get("patch_size") or 2 ** (len(config["block_out_channels"]) - 1)

    @property
    def blocks(self) -> list[nn.Module]:
        """What the network calls one after the other, which is nearly all of it."""
        lists = [part for part in self.network.children() if isinstance(part, nn.ModuleList)]
        middle = getattr(self.network, "mid_block", None)
        return [*(block for blocks in lists for block in blocks), *([] if middle is None else [middle])]

    @property
    def widths(self) -> list[int]:
        """Channels of what each of `blocks` returns."""
        config = self.network.config
        if stages := config.get("block_out_channels"):
            return [*stages, *reversed(stages), stages[-1]]
        return [config["num_attention_heads"] * config["attention_head_dim"]] * len(self.blocks)

    def hidden_map(self, output: Any, x: Tensor) -> Tensor:
        """What one of `blocks` has returned for latents `x` => its map of them `[B, D, h', w']`."""
        hidden = self.family.hidden(output)
        if hidden.dim() == 4:
            return hidden
        return hidden.mT.unflatten(2, [side // self.multiple for side in x.shape[-2:]])

    @property
    def fingerprint(self) -> str:
        """A hash of the network's weights, whether or not it has adapters."""
        return digest(without_adapters(self.network).items())

    def converted(self, kind: Prediction) -> "Backbone":
        """The same network, whose output is read as another kind from now on, at noise levels that end in pure noise.

        It has to learn that. The levels are rescaled as Lin et al. (2024) have it, so that alpha is 0 at the last.

        Raises:
            UserError: it is on the flow path, where pure noise is no trouble.
        """
        if not isinstance(self.path, VariancePreserving):
            raise UserError("A backbone on the flow path begins at pure noise as it is: there is nothing to convert.")
        alphas = torch.tensor(self.path.alphas_cumprod, dtype=torch.float64).sqrt()
        alphas = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
        path = VariancePreserving(alphas.square().tolist())
        return Backbone(self.network, self.family, path, kind, self.latent_shape)

    def rounding_note(self) -> str:
        """Says what bfloat16 costs a network that predicts noise; empty for the others."""
        alpha = self.path.alpha(1.0)
        if self.prediction != "epsilon":
            return ""
        cost = ROUNDING * self.path.sigma(1.0) / alpha
        return (
            f"This backbone predicts noise, and x_0 is what is left, divided by {alpha:.3f} where the chain begins: "
            f"rounding to bf16 changes it by {cost:.1%}. --trainer.mixed-precision no has none of that, and takes "
            "longer; or convert the backbone first (sd15-convert)."
        )

    def condition(self, z: Tensor, text: TextEmbedding) -> None:
        """Nothing: the network reads the caption in every step."""

    def forward(self, x: Tensor, t: Tensor, text: TextEmbedding, conditioning: None = None, step: int = 0) -> Tensor:
        """The estimate of x_0 `[B, C, h, w]`, at least in float32, from `x` at levels `t` `[B]`.

        `step` counts from pure noise; it picks the adapter where each step has its own.
        """
        if self.only_steps:
            activate(self.network, step)
        kind: torch.dtype = next(self.network.parameters()).dtype
        times = self.path.timesteps(t)
        predicted = self.family.predict(self.network, x.to(kind), times, text.to(x.device, kind))
        full = torch.promote_types(x.dtype, torch.float32)
        alpha, sigma = (value.view(-1, 1, 1, 1) for value in self.path.coefficients(t))
        # A variance that is predicted beside the mean is in the second half of the channels.
        return clean_of(self.prediction, predicted[:, : x.shape[1]].to(full), x.to(full), alpha, sigma)


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

    One rounding of a perfect prediction to bfloat16 costs 2.4% of x_0 for SD 1.5, and 26% for PixArt-alpha.
    """
    alpha = backbone.path.alpha(1.0)
    if backbone.prediction == "epsilon" and alpha < LEAST_ALPHA:
        raise UserError(
            f"This backbone predicts noise, and pure noise leaves it {alpha:.4f} of the picture to divide by: convert "
            "it with `python -m e2ed2 train pixart-convert --backbone ...`, and give that model as --backbone."
        )
