"""Options of the objectives; each class has exactly the options that its objective reads, and builds it.

torch is imported in `build` only: a command line is read, and refused, without it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.config import CodecConfig
from e2ed2.objectives.names import options_of

if TYPE_CHECKING:
    from e2ed2.objectives.objective import Objective

Rule = tuple[str, bool, str]  # an option, whether it has no effect, and with what it would have one
NEW = "new weights (no --init)"
NO_CHOICE = LossSpec(())
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

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        """Every option that may have no effect, given the others and the data."""
        yield from ()

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

    def independent_steps(self) -> int | None:
        """The number of steps that get an adapter each, on one frozen network; None if there are no such adapters."""
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

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        blind = self.lpips == 0
        yield "zoom", blind, "--lpips above 0"
        yield "zoom-share", blind or self.zoom == 1, "--lpips above 0 and --zoom above 1"
        yield "crop", self.crop > data.resolution, f"a --data.resolution of {self.crop} or more"
        for one in options_of(CodecConfig) - {"finest-layers"}:
            yield f"codec.{one}", bool(self.init), NEW

    def models(self) -> list[str]:
        return [self.init] if self.init else []

    def what(self) -> str:
        return "Images to latents and back."

    def shows(self) -> str:
        return "pictures above their reconstructions"

    def start(self) -> str:
        return f"`{self.init}`" if self.init else "random weights"


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

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        for one in (*(f"data.{one}" for one in options_of(DataConfig) - {"resolution"}), "trainer.held-out-every"):
            yield one, True, "a training on pictures"

    def check_complete(self) -> None:
        if not self.votes:
            raise UserError("A preference learns from votes: name the folder of a study's export with --votes.")

    def what(self) -> str:
        return "What people prefer, as a score of an image and its caption, learned from the votes of a study."

    def shows(self) -> str:
        return "what it likes most above what it likes least"

    def source(self, path: str) -> str:
        return self.votes
