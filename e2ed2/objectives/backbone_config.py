"""Options of the objectives that train a backbone of diffusers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import START_CRITIC
from e2ed2.models.config import Sharing
from e2ed2.objectives.chain_config import ChainConfig
from e2ed2.objectives.config import PREVIEW_STEPS, ObjectiveConfig, Rule

if TYPE_CHECKING:
    from e2ed2.objectives.objective import Objective

RANK = 64
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True)
class BackboneConfig(ObjectiveConfig):
    backbone: str = ""
    """A diffusers pipeline to start from: its folder, a training's name, the id of a repository on a hub, or tiny:sd,
    tiny:pixart, tiny:sana, tiny:sd3 (random weights, to rehearse with)."""
    tune: Literal["lora", "full"] = "lora"
    """Train low-rank adapters (LoRA) beside the weights, or the weights themselves."""
    lora_rank: int = RANK
    lora_targets: tuple[str, ...] = TARGETS
    """Endings of the names of the layers that get an adapter."""
    parts: tuple[str, ...] = ()
    """With `--tune full`: train only weights whose names contain one of these, such as `attn2`."""
    block_checkpointing: bool = False
    """Recompute each block of the network in the backward pass: much less memory, about a third more time."""
    precompute: bool = False
    """Embed all captions and encode all pictures first, and keep both on disk; otherwise those of each batch when it
    comes. A caption takes 118 KB with CLIP, up to 1 MB with T5 or Gemma."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.backbone:
            raise UserError("A backbone is needed: name a diffusers pipeline with --backbone.")
        if self.lora_rank < 1 or not self.lora_targets:
            raise UserError("lora-rank must be at least 1, and lora-targets one or more names.")
        if self.tune == "lora" and self.parts:
            raise UserError("With LoRA the layers are named by --lora-targets: leave --parts out, or add --tune full.")
        if self.tune == "full" and (self.lora_rank, self.lora_targets) != (RANK, TARGETS):
            raise UserError("With --tune full there are no adapters: leave lora-rank and lora-targets out.")

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        full = self.tune == "full"
        yield "lora-rank", full, "--tune lora"
        yield "lora-targets", full, "--tune lora"
        yield "sharing", full, "--tune lora"

    def keeps_start(self) -> bool:
        """Whether the training needs a copy of the backbone as it was."""
        return False

    def models(self) -> list[str]:
        """The backbone, if it is a training's name; folders, hub ids and tiny: names are looked up when opened."""
        return [] if {"/", ":"} & set(self.backbone) else [self.backbone]

    def start(self) -> str:
        return f"`{self.backbone}`"

    def pipeline(self) -> str:
        return self.backbone

    def less_memory(self) -> list[str]:
        return [] if self.block_checkpointing else ["add --block-checkpointing"]


@dataclass(frozen=True)
class BackboneSingleStepConfig(BackboneConfig):
    kind: ClassVar[str] = "backbone_single_step"

    prediction: Literal["keep", "v", "sample"] = "v"
    """What the network learns to predict, with noise levels that end in pure noise. `keep` changes nothing."""
    few_steps_share: float = 0.5
    """Share of pictures at levels that chains of 1 to 4 steps visit; the others are at any level."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.few_steps_share <= 1:
            raise UserError(f"few-steps-share is {self.few_steps_share}: choose a share from 0 to 1.")

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.backbone import BackboneSingleStep

        return BackboneSingleStep.of(self, resolution)

    def what(self) -> str:
        return "A backbone trained one denoising step at a time, so that end-to-end training can start from it."

    def chain_steps(self) -> int:
        return PREVIEW_STEPS


@dataclass(frozen=True)
class BackboneEndToEndConfig(ChainConfig, BackboneConfig):
    kind: ClassVar[str] = "backbone_end_to_end"

    sharing: Sharing = "shared"
    """With LoRA: one adapter for every step, or one for each of a single number of `sampling-steps` (Fig. 4)."""
    decode: Literal["full", "crop", "tiny", "latent"] = "full"
    """What the terms on pictures, such as lpips and gan, look at: the whole picture; a crop of it, and of the target
    coded and decoded the same way; the whole picture by a tiny decoder; or nothing, for losses on latents."""
    decode_crop: int = 32
    """With `--decode crop`: height and width, in latents."""
    decode_batch: int = 4
    """Pictures decoded at a time; each time is recomputed in the backward pass, so memory grows with this number."""
    guidance: float = 0.0
    """Fold this guidance scale in: the targets are the pictures that the start itself makes with it of the same noise,
    in `teacher-steps` steps, not the data's. Each noise then has one right picture, and the finished model needs no
    guidance. 0: off. It costs 2 x teacher-steps calls of the network in each update, and a second copy of it; `data
    pairs` makes the targets once."""
    teacher_steps: int = 25
    """With guidance: sampler steps of the target pictures."""
    tiny_codec: str = ""
    """With `--decode tiny`: the folder or the hub's id of an AutoencoderTiny, such as madebyollin/taesd."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss.preferences and self.decode in ("crop", "latent"):
            raise UserError("People saw whole pictures, and so must a preference: choose --decode full or tiny.")
        if self.decode == "latent" and (terms := self.on_pictures()):
            other = "--critic start" if terms == ["gan"] else "another loss"
            raise UserError(f"{terms[0]} looks at pictures: choose --decode full, crop or tiny, or {other}.")
        if (self.decode == "tiny") != bool(self.tiny_codec):
            raise UserError("--decode tiny and --tiny-codec FOLDER go together: give both, or none.")
        if not (self.guidance == 0 or self.guidance > 1):
            raise UserError(f"guidance is {self.guidance}: choose a scale above 1, or 0 for none.")
        if self.guidance and self.samples > 1:
            raise UserError("With guidance each noise has its own target, and so one sample: leave --samples out.")
        if not self.guidance and self.teacher_steps != 25:
            raise UserError("The teacher's steps are those of --guidance: add it, or leave --teacher-steps out.")
        if self.teacher_steps < 1:
            raise UserError(f"teacher-steps is {self.teacher_steps}: choose at least 1.")
        if min(self.decode_crop, self.decode_batch) < 1:
            raise UserError("decode-crop and decode-batch must be at least 1.")
        if self.sharing == "independent":
            self.check_independent()

    def build(self, resolution: int) -> "Objective":
        from e2ed2.objectives.backbone import BackboneEndToEnd

        return BackboneEndToEnd.of(self, resolution)

    def idle(self, data: DataConfig) -> Iterator[Rule]:
        yield from super().idle(data)
        blind = not self.on_pictures()
        seeing = "a loss that looks at pictures, such as lpips,"
        yield "decode", blind and self.decode != "latent", seeing
        yield "decode-batch", blind, seeing
        yield "tiny-codec", blind, seeing
        yield "decode-crop", self.decode != "crop", "--decode crop"
        yield "decode-crop", blind, seeing
        yield "teacher-steps", not self.guidance, "--guidance"

    def folded_guidance(self) -> float:
        return self.guidance

    def decoded_together(self) -> int:
        return self.decode_batch

    def less_memory(self) -> list[str]:
        fewer = [f"lower --decode-batch ({self.decode_batch})"] if self.decode_batch > 1 else []
        return super().less_memory() + fewer

    def keeps_start(self) -> bool:
        return self.guidance > 0 or self.critic == START_CRITIC

    def check_independent(self) -> None:
        """Raises UserError: no adapter for each step can be trained with the other options."""
        if self.tune != "lora":
            raise UserError("Independent steps are adapters on one frozen network: leave --tune full or --sharing out.")
        steps = self.only_steps() or 1
        if steps == 1:
            raise UserError(
                "Independent steps are those of one chain: give their number, such as --sampling-steps 4, at least 2."
            )
        if self.random_backprop or (self.backprop_steps or steps) < steps:
            raise UserError(
                "Steps without a gradient would never learn where each has its own adapter: leave --backprop-steps and "
                "--random-backprop out."
            )

    def independent_steps(self) -> int | None:
        return self.only_steps() if self.sharing == "independent" else None

    def networks(self) -> dict[str, str]:
        return super().networks() | ({self.tiny_codec: "AutoencoderTiny"} if self.tiny_codec else {})

    def what(self) -> str:
        sentences = super().what()
        if self.independent_steps():
            sentences += " Each step has an adapter of its own (Fig. 4)."
        if self.guidance:
            sentences += (
                f" The targets are what its start makes of the same noise in {self.teacher_steps} steps with a "
                f"guidance of {self.guidance:g}, which is so folded in."
            )
        return sentences
