"""Options of the objectives; each class has exactly the options that its objective reads, and builds it.

torch is imported in `build` only: a command line is read, and refused, without it.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import tyro

from e2ed2.errors import UserError
from e2ed2.losses.spec import OFFLINE_CRITIC, ON_COMMAND_LINE, TERMS, LossSpec
from e2ed2.models.config import CodecConfig, DenoiserConfig

if TYPE_CHECKING:
    from e2ed2.objectives.objective import Objective

ABOUT_LOSS = (
    f"Terms of the loss, each with an optional weight: `{' '.join(TERMS)}`, as in `l2:0.3+lpips:1`; "
    "`preference.QUESTION` for one question of a study. A preference brings `anchor:0.3` along where none is given."
)
DEFAULT_LOSS = LossSpec.parse("l2+lpips")
NO_CHOICE = LossSpec(())
ANCHOR = 0.3  # default weight of `anchor` beside a preference; as in `benchmarks.preference_loop`
PREVIEW_STEPS = 4  # for models that were trained one step at a time


@dataclass(frozen=True)
class ObjectiveConfig:
    """Options of one objective: exactly those that it reads."""

    kind: ClassVar[str]  # its name in run.json and in messages
    unit: ClassVar[str] = "pictures"  # what a batch consists of

    def __post_init__(self) -> None:
        """Ends the chain of `super().__post_init__()` calls: there is nothing to check."""

    def build(self, resolution: int) -> "Objective":
        """The objective, with the models that it names.

        Raises:
            UserError: a model is missing, damaged, or does not fit the resolution.
        """
        raise NotImplementedError

    def check_complete(self) -> None:
        """Raises UserError: a required option without a default is missing."""

    def models(self) -> list[str]:
        """Names of the models that the training starts from."""
        return []

    def networks(self) -> dict[str, str]:
        """Frozen networks by folder or hub id, and the role of each."""
        return {}

    def what(self) -> str:
        """What the training produces, in the words of a model's card."""
        raise NotImplementedError

    def shows(self) -> str:
        """What the previews show."""
        return "training captions: targets above, the model's pictures below"

    def start(self) -> str:
        """What the training starts from, in the words of a model's card."""
        return "random weights"

    def pipeline(self) -> str:
        """The diffusers pipeline that is trained further; empty for a model of our own."""
        return ""

    def terms(self) -> LossSpec:
        """The terms that `--loss` chose; none if there is no choice."""
        return NO_CHOICE

    def caches_gradient(self) -> bool:
        """Whether the loss sees the samples of all batches of an update at once."""
        return False

    def folded_guidance(self) -> float:
        """The scale of the guidance that a teacher's targets are made with; 0 without a teacher."""
        return 0.0

    def chain_steps(self) -> int | None:
        """Steps to sample with, if the finished model can be sampled from."""
        return None

    def only_steps(self) -> int | None:
        """The number of steps, if the training is for one number alone."""
        return None

    def draws(self) -> list[Self]:
        """The possible draws at an update, all equally likely, as configs that leave nothing to chance; none if an
        update's work does not depend on chance."""
        return []

    def longest(self) -> Self:
        """As a config whose every update needs the most memory."""
        return self

    def noises_each(self) -> int:
        """Noises drawn for each sample, one of which is chosen to train on."""
        return 1

    def pictures_each(self) -> int:
        """Pictures generated for each one of a batch."""
        return 1

    def decoded_together(self) -> int:
        """Pictures that are decoded, and recomputed in the backward pass, at a time; 1 if there is no such division."""
        return 1

    def less_memory(self) -> list[str]:
        """Changes of options with which the same training needs less memory, as in `add --checkpointed`."""
        return []

    def source(self, path: str) -> str:
        """The source of the training pictures; `path` is the data's."""
        return path


@dataclass(frozen=True)
class ReconstructionConfig(ObjectiveConfig):
    kind: ClassVar[str] = "codec"

    init: str = ""
    """A model's folder whose codec to start from; `codec.finest-layers` may add blocks to its decoder."""
    decoder_only: bool = False
    """Leave the encoder, and so the latents, unchanged: models that learned on them can use the new decoder."""
    lpips: float = 0.5
    """Weight of LPIPS beside L1."""
    edges: float = 0.0
    """Weight of L1 between the differences of neighbouring pixels: sharp outlines."""
    zoom: float = 1.0
    """LPIPS looks at random squares of 1/zoom of the side, enlarged zoom times: finer detail, and no fixed grid."""
    zoom_share: float = 1.0
    """Share of the updates in which LPIPS looks at such a square; in the others it sees all."""
    latent_noise: float = 0.4
    """Maximum noise on the latents, as a share of each channel's standard deviation."""
    crop: int = 128
    """Height and width of the training crops, in pixels."""
    codec: CodecConfig = field(default_factory=CodecConfig)

    def __post_init__(self) -> None:
        if self.crop < 1:
            raise UserError(f"crop is {self.crop}: choose at least 1 pixel.")
        if min(self.lpips, self.edges, self.latent_noise) < 0:
            raise UserError("lpips, edges and latent-noise must be at least 0.")
        if not 1 <= self.zoom <= self.crop:
            raise UserError(f"zoom is {self.zoom}: choose a number from 1 to the crop's {self.crop} pixels.")
        if not 0 <= self.zoom_share <= 1:
            raise UserError(f"zoom-share is {self.zoom_share}: choose a number from 0 to 1.")
        if self.decoder_only and not self.init:
            raise UserError("A decoder alone learns to read an encoder that is there: name it with --init.")
        if self.init and replace(self.codec, finest_layers=0) != CodecConfig():
            raise UserError("--init brings a codec: of its options, only --codec.finest-layers can be given.")

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.reconstruction import Reconstruction

        return Reconstruction.of(self, resolution)

    def models(self) -> list[str]:
        return [self.init] if self.init else []

    def what(self) -> str:
        return "Images to latents and back."

    def shows(self) -> str:
        return "pictures above their reconstructions"

    def start(self) -> str:
        return f"`{self.init}`" if self.init else "random weights"


@dataclass(frozen=True)
class DenoisingConfig(ObjectiveConfig):
    init: str = ""
    """A model's folder to start from; its denoiser, and its codec too."""
    codec_from: str = ""
    """A model's folder to take the codec from, if there is no `init`."""
    coarse_from: str = ""
    """A model's folder to take the coarse path from, instead of that of `init`."""
    coarse_lr_share: float = 0.1
    """Learning rate of the coarse path, as a share of the transformer's; 0 keeps it as it is."""
    styled_share: float = 0.7
    """Share of captions that name a drawing style, where the data has styles."""
    text_noise: float = 0.6
    """Maximum noise on the caption embeddings, as a share of their root mean square."""
    precompute: bool = True
    """Embed all captions and encode all pictures first, and keep both on disk; otherwise those of each batch when it
    comes, which starts at once and suits a short training."""
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)

    def __post_init__(self) -> None:
        if not (0 <= self.styled_share <= 1 and self.coarse_lr_share >= 0):
            raise UserError("styled-share must be from 0 to 1, and coarse-lr-share at least 0.")
        if self.text_noise < 0:
            raise UserError(f"text-noise is {self.text_noise}: choose 0 or more.")
        if not (self.init or self.codec_from):
            raise UserError("A denoiser needs a codec: name a model's folder with --codec-from or --init.")

    def models(self) -> list[str]:
        return [name for name in (self.init, self.codec_from, self.coarse_from) if name]

    def start(self) -> str:
        if self.init:
            return f"`{self.init}`" + (f" with the coarse path of `{self.coarse_from}`" if self.coarse_from else "")
        return "random weights" + (f" beside the coarse path of `{self.coarse_from}`" if self.coarse_from else "")


@dataclass(frozen=True)
class CoarseConfig(DenoisingConfig):
    kind: ClassVar[str] = "coarse"

    samples: int = 1
    """Pictures for each caption of a batch, of which only the one closest to the target is trained."""
    plain_share: float = 0.0
    """Share of captions that are trained without a choice, for models without one (`denoiser.choice` none)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise UserError(f"A training on {self.samples} samples a caption learns nothing: choose at least 1.")
        if self.coarse_lr_share == 0:
            raise UserError("The coarse path is all that learns here: choose a coarse-lr-share above 0.")
        if not 0 <= self.plain_share <= 1:
            raise UserError(f"plain-share is {self.plain_share}: choose a number from 0 to 1.")

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.coarse import CoarseRegression

        return CoarseRegression.of(self, resolution)

    def what(self) -> str:
        return "The coarse path alone."

    def pictures_each(self) -> int:
        return self.samples


@dataclass(frozen=True)
class SingleStepConfig(DenoisingConfig):
    kind: ClassVar[str] = "single_step"

    time_shift: float = 1.0
    """Above 1, more of the noise levels are near pure noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.time_shift > 0:
            raise UserError(
                f"time-shift is {self.time_shift}: choose a number above 0; 1 leaves the levels as they are."
            )

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.single_step import SingleStep

        return SingleStep.of(self, resolution)

    def what(self) -> str:
        return "The single-step baseline (Fig. 1a of arXiv 2412.21044), and the start of the end-to-end ones."

    def chain_steps(self) -> int:
        return PREVIEW_STEPS


@dataclass(frozen=True)
class PreferenceConfig(ObjectiveConfig):
    kind: ClassVar[str] = "preference"
    unit: ClassVar[str] = "answers"

    votes: str = ""
    """The folder of a study's export."""
    members: int = 4
    """Heads that learn from different votes; where they disagree, the reward is lower."""
    split_seed: int = 0
    """Seed that decides which raters the judge learns from, and what the accuracies leave out."""

    def __post_init__(self) -> None:
        if self.members < 2:
            raise UserError(f"members is {self.members}: choose at least 2, whose disagreement can be seen.")

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.preference import PreferenceObjective

        return PreferenceObjective.of(self, resolution)

    def check_complete(self) -> None:
        if not self.votes:
            raise UserError("A preference learns from votes: name the folder of a study's export with --votes.")

    def what(self) -> str:
        return "What people prefer, as a score of an image and its caption, learned from the votes of a study."

    def shows(self) -> str:
        return "what it likes most above what it likes least"

    def source(self, path: str) -> str:
        return self.votes


@dataclass(frozen=True)
class ChainConfig(ObjectiveConfig):
    """Options of training through the chain, whatever the denoiser."""

    loss: Annotated[LossSpec, ON_COMMAND_LINE, tyro.conf.arg(help=ABOUT_LOSS)] = DEFAULT_LOSS
    critic: str = ""
    """With `gan`: what the discriminator looks through. Empty: a small network of its own. `alexnet`, which is here, or
    a vision transformer such as DINOv2 or CLIP, by its folder or its id on a hub: heads on its frozen features."""
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

    def networks(self) -> dict[str, str]:
        return {self.critic: "vision transformer"} if self.critic not in ("", OFFLINE_CRITIC) else {}

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
        if self.nearest_of < 1:
            raise UserError(f"nearest-of is {self.nearest_of}: choose at least 1.")
        if self.nearest_of > 1 and self.samples > 1:
            raise UserError("Of several samples a caption, none is chosen: leave --nearest-of or --samples at 1.")

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.end_to_end import EndToEnd

        return EndToEnd.of(self, resolution)

    def noises_each(self) -> int:
        return self.nearest_of
