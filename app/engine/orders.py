"""Which trainings a visitor can start, and the project's command line for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.engine.catalogue import Models
from app.engine.uploads import CAPTION
from e2ed2.data.config import BUNDLED
from e2ed2.inference.request import STEPS
from e2ed2.models.config import DenoiserConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.training.presets import PRESETS

# For any number of steps: a visitor's training uses the step counts of the model that it starts from.
LOSSES = {
    name: str(preset.objective.loss)
    for name, preset in PRESETS.items()
    if isinstance(preset.objective, EndToEndConfig)
    and preset.objective.sampling_steps == STEPS
    and not preset.objective.gradient_cache  # needs hundreds of pictures an update
}
FEWEST, MOST = 10, 300  # updates
SHOWN_EVERY = 10  # updates at most between two sheets of samples
BATCH = 16  # pictures an update
PLEASING = "anchor:0.3+preference:0.1"  # as in `benchmarks.preference_loop`
PATIENCE = 2  # measurements in a row without a gain by the preference's judge; one every fifth of the updates


@dataclass(frozen=True)
class Order:
    """A short end-to-end training from a finished model."""

    base: str
    loss: str  # a key of LOSSES
    updates: int
    files: Sequence[str] = ()  # uploaded pictures; if empty, the bundled ones
    captions: Mapping[str, str] = field(default_factory=dict)  # those that a person changed, by file name
    name: str = ""  # of the training and its model; if empty, one is made up
    note: str = ""  # a reminder for the visitor
    preference: str = ""  # name of a finished preference that is added to the loss


def command_of(order: Order, run: Path, models: Models, preference: Path | None) -> list[str]:
    """The command for a training in the folder `run`; uploaded pictures are in its folder `data`."""
    own = ["--data.path", str(run / "data"), "--data.caption-column", CAPTION]
    return [
        "train",
        order.loss,
        "--init",
        str(models.folders()[order.base]),
        "--coarse-from",
        "",
        "--denoiser.choice",
        DenoiserConfig.choice,  # must be that of the model that it starts from
        "--out",
        str(run),
        *([*own, "--data.held-out", "0.1"] if order.files else ["--data.path", BUNDLED, "--no-precompute"]),
        *(_pleasing(order, preference) if preference else ()),
        "--trainer.held-out-every",
        str(max(FEWEST, order.updates // 5)),  # it takes as long as an update or two
        "--sampling-steps",
        *map(str, models.steps(order.base)),
        "--trainer.updates",
        str(order.updates),
        "--trainer.batch-size",
        str(BATCH),
        "--trainer.lr",
        "3e-4",
        "--trainer.warmup",
        "5",
        "--trainer.ema-decay",
        "0.9",
        "--trainer.log-every",
        "1",
        "--trainer.preview-every",
        str(min(SHOWN_EVERY, order.updates // 10)),
        "--trainer.save-every",
        str(order.updates // 5),
    ]


def _pleasing(order: Order, preference: Path) -> list[str]:
    loss = f"{LOSSES[order.loss]}+{PLEASING}"
    return ["--loss", loss, "--preference-from", str(preference), "--patience", str(PATIENCE)]


def learning_command(votes: Path, run: Path) -> list[str]:
    """The command that learns a preference from a study's export."""
    return ["train", "preference", "--votes", str(votes), "--out", str(run), "--trainer.save-every", "100"]
