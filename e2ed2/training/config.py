"""One training run, whole: what, on which data, how long; and how `run.json` keeps it."""

import json
import math
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args

import tyro

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.config import PreferenceConfig, ReconstructionConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.training.schedule import Schedule

AnyObjective = (
    ReconstructionConfig
    | CoarseConfig
    | SingleStepConfig
    | EndToEndConfig
    | BackboneSingleStepConfig
    | BackboneEndToEndConfig
    | PreferenceConfig
)
KINDS: dict[str, type[AnyObjective]] = {one.kind: one for one in get_args(AnyObjective)}

RENAMED = {"steps": "updates"}  # options of the trainer: former name => name


@dataclass(frozen=True)
class TrainerConfig:
    """How to train, whatever the objective."""

    updates: int = 1000
    """Updates of the weights in all."""
    batch_size: int = 32
    """Pictures at a time, on each process."""
    accumulate: int = 1
    """Batches for each update: the gradient is that of as many more processes, in the memory of one."""
    lr: float = 1e-3
    """Learning rate at its highest; see `warmup`."""
    warmup: int = 50
    """Updates of linear rise to `lr`; a half cosine to 0 follows."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    adversary_lr: float = 3e-4
    """Learning rate of the discriminator, where the loss has one."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.998
    """Decay of the averaged weights, which previews and the finished model use."""
    seed: int = 0
    log_every: int = 10
    preview_every: int = 250
    save_every: int = 250
    keep: int = 1
    """Newest checkpoints that are kept."""
    held_out_every: int = 100
    """Updates between two measurements of the loss on pictures that are not trained on, where the data has such
    (`--data.held-out`); 0 makes none."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """`auto`: bf16 where the hardware multiplies it faster (recent GPUs; CPUs with AMX or AVX-512 BF16), else none."""
    compile: bool = False
    """Compile the network (torch.compile): minutes at the start, a faster update after that; where there is a C++
    compiler."""
    shard: bool = False
    """Divide the weights, their gradients, moments and averages among the processes (FSDP2) instead of having all of
    them on each: less memory, more to send. For trainings of a denoiser or a backbone on several processes."""

    track: Annotated[Literal["", "tensorboard", "trackio", "wandb"], tyro.conf.arg(aliases=("--track",))] = ""
    """Show the curve in this tracker, too, whose package must be installed; its files are in the run's `track`."""

    def __post_init__(self) -> None:
        counts = ("updates", "batch_size", "accumulate", "log_every", "preview_every", "save_every", "keep")
        if low := [name for name in counts if getattr(self, name) < 1]:
            raise UserError(f"{' and '.join(low).replace('_', '-')} must be at least 1.")
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema-decay is {self.ema_decay}: choose a number in [0, 1).")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas are {self.betas[0]} and {self.betas[1]}: choose numbers in [0, 1).")
        for name in ("lr", "adversary_lr", "clip"):
            if not (value := getattr(self, name)) > 0:
                raise UserError(f"{name.replace('_', '-')} is {value}: choose a number above 0.")
        if min(self.warmup, self.weight_decay, self.held_out_every) < 0:
            raise UserError("warmup, weight-decay and held-out-every must be at least 0.")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed}: choose a whole number from 0 to 2**63 - 1.")

    @property
    def pictures(self) -> int:
        """In an update, on each process."""
        return self.batch_size * self.accumulate

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.updates, self.warmup)


@dataclass(frozen=True)
class RunConfig:
    objective: Annotated[AnyObjective, tyro.conf.arg(name="")]
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        """Raises UserError: a number is none, or the objective and the trainer do not go together."""
        for option, value in flat(plain(self)).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{option} is {value}: choose a finite number.")
        cache = self.objective.caches_gradient()
        together = self.trainer.pictures if cache else self.trainer.batch_size
        if together < 2 and "mmd" in self.objective.terms():
            raise UserError("mmd compares distributions: give it a batch of at least 2, and better hundreds.")
        if cache and self.trainer.mixed_precision == "fp16":
            raise UserError("The gradient cache holds gradients that fp16 cannot: train in bf16, or without.")
        self.check_sharding()

    def check_sharding(self) -> None:
        """Raises UserError: something that sharded weights do not go with."""
        against = [
            ("--trainer.compile", self.trainer.compile),
            ("--trainer.mixed-precision fp16", self.trainer.mixed_precision == "fp16"),
            ("--gradient-cache", self.objective.caches_gradient()),
            ("a preference in the loss", bool(self.objective.terms().preferences)),
            ("--sharing independent", self.objective.independent_steps() is not None),
        ]
        if self.trainer.shard and (given := [name for name, is_given in against if is_given]):
            raise UserError(f"--trainer.shard does not go with {' or '.join(given)}: leave one of them out.")

    def plain(self) -> dict[str, Any]:
        """As `run.json` has it."""
        settings = plain(self)
        return settings | {"objective": {"kind": self.objective.kind} | settings["objective"]}


def plain(value: Any) -> Any:
    """A config as JSON reads it back: dicts, lists, strings and numbers."""
    if isinstance(value, LossSpec):
        return str(value)
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return json.loads(json.dumps(value))


def upgraded(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a `run.json` of any version, as `RunConfig.plain` has them now.

    Older files had the options of all objectives side by side, whether read or not. Options that a file lacks, being
    younger than it, have their defaults.
    """
    given = settings["objective"]
    given = given if isinstance(given, dict) else settings | {"kind": given}
    usual = defaults(KINDS[given["kind"]])
    objective = filled({name: given[name] for name in usual if name in given}, usual)
    if "loss" in objective:
        objective["loss"] = str(LossSpec.parse(objective["loss"]))
    if objective.get("tune") == "full":  # without adapters, whose rank was another by default
        objective["lora_rank"] = usual["lora_rank"]
    trainer = {RENAMED.get(name, name): value for name, value in settings.get("trainer", {}).items()}
    return {
        "objective": {"kind": given["kind"]} | objective,
        "data": filled(settings.get("data", {}), defaults(DataConfig)),
        "trainer": filled(trainer, defaults(TrainerConfig)),
    }


def defaults(config: Any) -> dict[str, Any]:
    return {one.name: plain(_default(one)) for one in fields(config)}


def _default(one: Field) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def filled(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """`given`, with what it lacks taken from `usual`, also in dictionaries inside."""
    return usual | {
        name: filled(value, usual[name]) if isinstance(value, dict) and name in usual else value
        for name, value in given.items()
    }


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Each setting by its name on the command line: `{"trainer": {"save_every": 9}}` => `{"trainer.save-every": 9}`."""
    found = {}
    for name, value in settings.items():
        option = prefix + name.replace("_", "-")
        inside = "" if name == "objective" else f"{option}."
        found |= flat(value, inside) if isinstance(value, dict) else {option: value}
    return found
