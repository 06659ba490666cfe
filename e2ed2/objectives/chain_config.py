"""Options of training through the chain."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import tyro

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import OFFLINE_CRITIC, ON_COMMAND_LINE, START_CRITIC, TERMS, LossSpec
from e2ed2.objectives.config import ObjectiveConfig, Rule
from e2ed2.objectives.denoiser_config import DenoisingConfig

if TYPE_CHECKING:
    from e2ed2.objectives.objective import Objective

ABOUT_LOSS = (
    f"Terms of the loss, each with an optional weight: `{' '.join(TERMS)}`, as in `l2:0.3+lpips:1`; "
    "`preference.QUESTION` for one question of a study. A preference brings `anchor:0.3` along where none is given."
)
DEFAULT_LOSS = LossSpec.parse("l2+lpips")
ANCHOR = 0.3  # default weight of `anchor` beside a preference; as in `benchmarks.preference_loop`


@dataclass(frozen=True)
class ChainConfig(ObjectiveConfig):
    """Options of training through the chain, whatever the denoiser."""

    loss: Annotated[LossSpec, ON_COMMAND_LINE, tyro.conf.arg(help=ABOUT_LOSS)] = DEFAULT_LOSS
    critic: str = ""
    """With `gan`: what the discriminator looks through. Empty: a small network of its own. `alexnet`, which is here, or
    a vision transformer such as DINOv2 or CLIP, by its folder or its id on a hub: heads on its frozen features. For
    a backbone also `start`: heads on its frozen blocks, which see noised latents: nothing is decoded for that."""
    preference_from: str = ""
    """With a preference: the folder, or the name, of its training (`train preference`)."""
    patience: int = 5
    """With a preference: stop after this many measurements (`trainer.held-out-every`) without a gain by its judge."""
    follow_unsure: bool = False
    """Train on a preference even if it predicts votes no better than chance, for instance as a control."""
    sampling_steps: tuple[int, ...] = (1, 2, 3, 4)
    """T is drawn from these at each update."""
    backprop_steps: int | None = None
    """Backpropagate through the last N steps only (default: all)."""
    random_backprop: bool = False
    """Draw the number of last steps anew at each update, from 1 to `backprop-steps`, or to all."""
    detach_inputs: bool = False
    """No gradient through what the network reads, as in DRTune: it reaches every step through the chain's update alone,
    and so does not grow from step to step."""
    checkpointed: bool = False
    """Recompute each step in the backward pass: less memory, more time."""
    samples: int = 1
    """Pictures for each caption of a batch. Energy losses need at least 2."""
    gradient_cache: bool = False
    """The loss sees the samples of all batches of an update at once (`trainer.accumulate`, on all processes): hundreds,
    for a loss on a distribution, in the memory of one batch. Each batch is sampled twice, once without a gradient."""
    repulsion: float = 1.0
    """With an energy score: how much the distance between samples counts. Below 1 samples spread less than the model
    errs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise UserError(f"A training on {self.samples} samples a caption learns nothing: choose at least 1.")
        if ("energy" in self.loss or "energy-lpips" in self.loss) and self.samples < 2:
            raise UserError("The energy score needs at least 2 samples a caption: add --samples 2.")
        if self.critic and "gan" not in self.loss:
            raise UserError("A critic is the discriminator of gan: add gan to the loss, or leave --critic out.")
        if self.critic == START_CRITIC and self.gradient_cache:
            raise UserError("--critic start reads every word of its captions: leave --gradient-cache out.")
        if self.patience < 1:
            raise UserError(f"patience is {self.patience}: choose at least 1.")
        if bool(self.loss.preferences) != bool(self.preference_from):
            missing = "--preference-from NAME" if self.loss.preferences else "a preference term to the loss"
            raise UserError(f"A preference is a term of the loss, and comes from a training: add {missing}.")
        if self.follow_unsure and not self.loss.preferences:
            raise UserError("--follow-unsure is of a preference: add a preference term to the loss, or leave it out.")
        if self.loss.preferences and "anchor" not in self.loss:  # without it, any change that pleases would be free
            object.__setattr__(self, "loss", self.loss.with_term("anchor", ANCHOR))
        if not 0 <= self.repulsion <= 1:
            raise UserError("repulsion must be from 0 to 1.")
        if self.backprop_steps is not None and self.backprop_steps < 1:
            raise UserError("backprop-steps must be at least 1; leave it out for the gradient through all steps.")
        if not self.sampling_steps or min(self.sampling_steps) < 1:
            raise UserError("sampling-steps must be one or more whole numbers, each at least 1.")
        if (self.backprop_steps or 0) > (most := max(self.sampling_steps)):
            raise UserError(
                f"backprop-steps is {self.backprop_steps}, and no chain has more than {most}: choose at most {most}, "
                "or leave it out for the gradient through all steps."
            )

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        yield from super().idle(data)
        most = self.chain_steps()
        last_only = min(most, self.backprop_steps or most) == 1
        yield "random-backprop", last_only, "two steps or more to draw from"
        yield "detach-inputs", last_only, "a gradient through two steps or more"
        yield "repulsion", not {"energy", "energy-lpips"} & set(self.loss.weights), "a loss of energy"
        yield "patience", not self.loss.preferences, "a preference in the loss"

    def networks(self) -> dict[str, str]:
        known = ("", OFFLINE_CRITIC, START_CRITIC)
        return {self.critic: "vision transformer"} if self.critic not in known else {}

    def on_pictures(self) -> list[str]:
        """The terms of the loss that look at decoded pictures."""
        return [name for name in self.loss.on_pictures if (name, self.critic) != ("gan", START_CRITIC)]

    def what(self) -> str:
        return (
            f"An end-to-end model (Fig. 1b of arXiv 2412.21044): the loss `{self.loss}` on the final sample, through "
            f"all steps; T drawn from {', '.join(map(str, self.sampling_steps))} at each update."
        )

    def terms(self) -> LossSpec:
        return self.loss

    def caches_gradient(self) -> bool:
        return self.gradient_cache

    def chain_steps(self) -> int:
        return max(self.sampling_steps)

    def only_steps(self) -> int | None:
        return self.chain_steps() if len(set(self.sampling_steps)) == 1 else None

    def draws(self) -> list[Self]:
        """The work grows evenly with the steps that have a gradient, so the fewest and the most stand for all."""
        cases = []
        for steps in self.sampling_steps:
            most = min(steps, self.backprop_steps or steps)
            for gradient in (1, most) if self.random_backprop else (self.backprop_steps and most,):
                cases.append(replace(self, sampling_steps=(steps,), backprop_steps=gradient, random_backprop=False))
        return cases

    def longest(self) -> Self:
        return replace(self, sampling_steps=(self.chain_steps(),), random_backprop=False)

    def pictures_each(self) -> int:
        return self.samples

    def less_memory(self) -> list[str]:
        return ([] if self.checkpointed else ["add --checkpointed"]) + super().less_memory()


@dataclass(frozen=True)
class EndToEndConfig(ChainConfig, DenoisingConfig):
    kind: ClassVar[str] = "end_to_end"

    nearest_of: int = 1
    """Draw this many noises for a caption without a style, and train on the one whose coarse picture is nearest to the
    target: each choice learns to draw one of the drawings that fit, not their average."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.critic == START_CRITIC:
            raise UserError(
                "--critic start looks through a backbone's blocks: for this project's own models, choose "
                "alexnet or a vision transformer, or leave it out."
            )
        if self.nearest_of < 1:
            raise UserError(f"nearest-of is {self.nearest_of}: choose at least 1.")
        if self.nearest_of > 1 and self.samples > 1:
            raise UserError("Of several samples a caption, none is chosen: leave --nearest-of or --samples at 1.")

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.end_to_end import EndToEnd

        return EndToEnd.of(self, resolution)

    def noises_each(self) -> int:
        return self.nearest_of
