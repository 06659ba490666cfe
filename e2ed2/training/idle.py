"""Options of a `train` command that have no effect, given its other options."""

from collections.abc import Iterator, Sequence

from e2ed2.data.config import DataConfig, is_bundled, is_cached
from e2ed2.errors import UserError
from e2ed2.models.config import DenoiserConfig
from e2ed2.objectives.config import Rule
from e2ed2.objectives.denoiser_config import DenoisingConfig
from e2ed2.objectives.names import option_of
from e2ed2.training.config import RunConfig


def refuse_idle(config: RunConfig, arguments: Sequence[str]) -> None:
    """Reject options without effect; an option given explicitly is a wish, even if it equals the default.

    Raises:
        UserError: an option is given that nothing reads; the message says what would.
    """
    given = set(map(option_of, arguments))
    for option, unread, needed in rules(config):
        if unread and option in given:
            raise UserError(f"--{option} is read with {needed} only: add that, or leave --{option} out.")


def left_as_it_is(config: RunConfig, arguments: Sequence[str]) -> list[str]:
    """A sentence for each option that leaves the initial model as it is."""
    objective, given = config.objective, set(map(option_of, arguments))
    if not isinstance(objective, DenoisingConfig) or not objective.init:
        return []
    usual = {"choice": objective.denoiser.choice, "sharing": objective.denoiser.sharing}
    return [
        f"--denoiser.{name} {value} leaves that of {objective.init} as it is."
        for name, value in usual.items()
        if f"denoiser.{name}" in given and value == getattr(DenoiserConfig, name)
    ]


def rules(config: RunConfig) -> Iterator[Rule]:
    """Every option that may have no effect in this training, the objective's first."""
    yield from config.objective.idle(config.data)
    yield from of_data(config.data)
    yield "trainer.adversary-lr", "gan" not in config.objective.terms(), "gan in the loss"


def of_data(data: DataConfig) -> Iterator[Rule]:
    cached = is_cached(data.path)
    on_disk = data.stream or cached
    yield "data.workers", not on_disk, "--data.stream, or a set that `data cache` wrote,"
    yield "data.skip-bad", on_disk, "a set in memory (no --data.stream)"
    yield "data.stream", cached, "a set of pictures (not of latents)"
    yield "data.held-out", is_bundled(data.path) and data.split == "train", "a set of your own"
    yield "precompute", on_disk, "a set in memory (no --data.stream)"
