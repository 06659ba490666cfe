"""One training run, whole: what, on which data, how long. Presets make the bundled models."""

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from e2ed2.data.pictures import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import parse_loss
from e2ed2.models.coarse_to_fine import DenoiserConfig
from e2ed2.models.codec import CodecConfig
from e2ed2.training.trainer import TrainerConfig

DENOISER = ("coarse", "single_step", "end_to_end")
READ_BY = {  # the options that only some objectives read
    "loss": ("end_to_end",),
    "sampling_steps": ("end_to_end",),
    "backprop_steps": ("end_to_end",),
    "checkpointed": ("end_to_end",),
    "samples": ("coarse", "end_to_end"),
    "repulsion": ("end_to_end",),
    "codec_from": DENOISER,
    "coarse_from": DENOISER,
    "time_shift": ("single_step",),
    "crop": ("codec",),
    "styled_share": DENOISER,
    "text_noise": DENOISER,
    "precompute": DENOISER,
}


@dataclass(frozen=True)
class RunConfig:
    objective: Literal["codec", "coarse", "single_step", "end_to_end"] = "end_to_end"
    loss: str = "l2+lpips"
    """Terms of the end-to-end loss, each with an optional weight: `l1 l2 lpips gan energy energy-lpips`, as in
    `l2:0.3+lpips:1`."""
    sampling_steps: tuple[int, ...] = (1, 2, 3, 4)
    """T is drawn from these at each update."""
    backprop_steps: int | None = None
    """Backpropagate through the last N steps only (default: all)."""
    checkpointed: bool = False
    """Recompute each step in the backward pass: less memory, more time."""
    samples: int = 1
    """Pictures for each caption of a batch. Energy losses need at least 2. The coarse objective trains only the sample
    closest to the target."""
    repulsion: float = 1.0
    """Of the energy score: how much distance between samples counts. Below 1 they spread less than the model errs."""
    init: str = ""
    """A model's folder to start from; its denoiser, and its codec too."""
    codec_from: str = ""
    """A model's folder to take the codec from, where there is no `init`."""
    coarse_from: str = ""
    """A model's folder to take the coarse path from, instead of that of `init`."""
    coarse_lr_share: float = 0.1
    """Learning rate of the coarse path, as a share of the transformer's; 0 keeps it as it is."""
    time_shift: float = 1.0
    """Of single-step training: above 1, more of its noise levels are near pure noise."""
    crop: int = 128
    """Height and width of the codec's training crops, in pixels."""
    styled_share: float = 0.7
    """Of the captions that name a drawing style, where the data has styles."""
    text_noise: float = 0.6
    """Most noise on the caption embeddings, as a share of their root mean square."""
    precompute: bool = True
    """Embed all captions and encode all pictures first, and keep both on disk; otherwise those of each batch when it
    comes, which starts at once and suits a short training."""
    data: DataConfig = field(default_factory=DataConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        weights = parse_loss(self.loss)
        scored = "energy" in weights or "energy-lpips" in weights
        if self.objective == "end_to_end" and scored and self.samples < 2:
            raise UserError("The energy score needs at least 2 samples a caption: add --samples 2.")
        if not self.time_shift > 0:
            raise UserError(
                f"time-shift is {self.time_shift}: choose a number above 0; 1 leaves the levels as they are."
            )
        if not (0 <= self.styled_share <= 1 and self.coarse_lr_share >= 0 and 0 <= self.repulsion <= 1):
            raise UserError("styled-share and repulsion must be from 0 to 1, and coarse-lr-share at least 0.")
        if self.text_noise < 0:
            raise UserError(f"text-noise is {self.text_noise}: choose 0 or more.")
        if self.crop < 1:
            raise UserError(f"crop is {self.crop}: choose at least 1 pixel.")
        self.refuse_unread()
        if self.samples < 1:
            raise UserError(f"A training on {self.samples} samples a caption learns nothing: choose at least 1.")
        if self.backprop_steps is not None and self.backprop_steps < 1:
            raise UserError("backprop-steps must be at least 1; leave it out for the gradient through all steps.")
        if not self.sampling_steps or min(self.sampling_steps) < 1:
            raise UserError("sampling-steps must be one or more whole numbers, each at least 1.")
        if self.objective in ("coarse", "single_step", "end_to_end") and not (self.init or self.codec_from):
            raise UserError("A denoiser needs a codec: name a model's folder with --codec-from or --init.")

    def refuse_unread(self) -> None:
        """An option that this objective never reads is a misunderstanding, said before it costs a training."""
        usual = {one.name: one.default for one in fields(self)}
        given = [
            name
            for name, kinds in READ_BY.items()
            if getattr(self, name) != usual[name] and self.objective not in kinds
        ]
        if given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise UserError(f"A training of kind {self.objective} does not read {options}: leave it out.")


CODEC = RunConfig(
    objective="codec",
    trainer=TrainerConfig(steps=4500, batch_size=16, lr=1.5e-3, warmup=100, preview_every=500, save_every=500),
)
COARSE = RunConfig(
    objective="coarse",
    codec_from="codec",
    styled_share=0.6,
    coarse_lr_share=1.0,
    trainer=TrainerConfig(
        steps=3000, batch_size=512, lr=1e-3, warmup=100, log_every=20, preview_every=500, save_every=500
    ),
)
SINGLE_STEP = RunConfig(
    objective="single_step",
    codec_from="coarse",
    coarse_from="coarse",
    coarse_lr_share=0.0,
    time_shift=3.0,
    trainer=TrainerConfig(steps=5000, batch_size=64, lr=1e-3, warmup=100, preview_every=500, save_every=500),
)
FINISH = RunConfig(
    init="single-step",
    coarse_lr_share=0.0,
    trainer=TrainerConfig(
        steps=800, batch_size=32, lr=5e-4, warmup=20, ema_decay=0.99, preview_every=200, save_every=200
    ),
)

PRESETS = {
    "codec": CODEC,
    "coarse": COARSE,
    "coarse-choices": replace(
        COARSE,
        samples=6,
        coarse_from="coarse",
        denoiser=DenoiserConfig(choice="one-hot"),
        trainer=replace(COARSE.trainer, steps=2400, batch_size=256, lr=7e-4, preview_every=400, save_every=400),
    ),
    "single-step": SINGLE_STEP,
    "single-step-long": replace(
        SINGLE_STEP,
        init="single-step",
        codec_from="",
        coarse_from="",
        trainer=replace(SINGLE_STEP.trainer, lr=FINISH.trainer.lr),
    ),
    "l1": replace(FINISH, loss="l1"),
    "l2": replace(FINISH, loss="l2"),
    "lpips": replace(FINISH, loss="lpips"),
    "l2-lpips": replace(FINISH, loss="l2:0.3+lpips"),
    "l2-lpips-gan": replace(FINISH, loss="l2:0.3+lpips+gan:0.05"),
    "energy": replace(
        FINISH,
        loss="energy+energy-lpips",
        samples=2,
        repulsion=0.5,
        coarse_from="coarse-choices",
        denoiser=DenoiserConfig(choice="one-hot"),
        trainer=replace(FINISH.trainer, batch_size=16),
    ),
    "independent": replace(
        FINISH, loss="l2:0.3+lpips", sampling_steps=(2,), denoiser=DenoiserConfig(sharing="independent", steps=2)
    ),
    "shared-twin": replace(FINISH, loss="l2:0.3+lpips", sampling_steps=(2,)),
}
