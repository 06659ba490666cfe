"""Options of the objectives that train our own denoiser: its coarse path, or all of it one step at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from e2ed2.data.config import DataConfig, is_bundled
from e2ed2.errors import UserError
from e2ed2.models.config import DenoiserConfig
from e2ed2.objectives.config import NEW, PREVIEW_STEPS, ObjectiveConfig, Rule
from e2ed2.objectives.names import options_of

if TYPE_CHECKING:
    from e2ed2.objectives.objective import Objective

TRANSFORMER = ("width", "depth", "heads", "sharing", "steps")  # of `denoiser`, not of the coarse path
READ_ANOTHER_WAY = ("choice", "kept", "sharing", "steps")  # of `denoiser`, for an existing model


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

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        started = bool(self.init)
        yield "codec-from", started, NEW
        for one in options_of(DenoiserConfig) - set(READ_ANOTHER_WAY):
            yield f"denoiser.{one}", started, NEW
        yield "styled-share", not is_bundled(data.path), "the bundled drawings, which have styles"

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

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        yield from super().idle(data)
        for one in TRANSFORMER:
            yield f"denoiser.{one}", True, "a training of the transformer, such as single-step,"
        for one in ("samples", "plain-share"):
            yield one, self.denoiser.choice == "none", "--denoiser.choice normal or one-hot"

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
