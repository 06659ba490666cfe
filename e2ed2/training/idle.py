"""Options of a `train` command that have no effect, given its other options."""

from collections.abc import Iterator, Sequence

from e2ed2.data.config import DataConfig, is_bundled, is_cached
from e2ed2.errors import UserError
from e2ed2.models.config import CodecConfig, DenoiserConfig
from e2ed2.objectives.backbone_config import BackboneConfig, BackboneEndToEndConfig
from e2ed2.objectives.config import (
    ChainConfig,
    CoarseConfig,
    DenoisingConfig,
    ObjectiveConfig,
    PreferenceConfig,
    ReconstructionConfig,
)
from e2ed2.training.config import RunConfig
from e2ed2.training.names import option_of, options_of

Rule = tuple[str, bool, str]  # an option, whether it is unused, and what would use it
TRANSFORMER = ("width", "depth", "heads", "sharing", "steps")  # of `denoiser`, not of the coarse path
READ_ANOTHER_WAY = ("choice", "kept", "sharing", "steps")  # of `denoiser`, for an existing model
NEW = "new weights (no --init)"


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
    """Every option that may have no effect in a training of this kind, the objective's first."""
    objective = config.objective
    if isinstance(objective, ReconstructionConfig):
        yield from of_codec(objective, config.data)
    if isinstance(objective, DenoisingConfig):
        yield from of_denoiser(objective, config.data)
    if isinstance(objective, BackboneConfig):
        full = objective.tune == "full"
        yield from (("lora-rank", full, "--tune lora"), ("lora-targets", full, "--tune lora"))
    if isinstance(objective, ChainConfig):
        yield from of_chain(objective)
    if isinstance(objective, BackboneEndToEndConfig):
        yield from of_decoding(objective)
    yield from of_data(objective, config.data)
    yield "trainer.adversary-lr", "gan" not in getattr(objective, "loss", ()), "gan in the loss"


def of_codec(objective: ReconstructionConfig, data: DataConfig) -> Iterator[Rule]:
    blind = objective.lpips == 0
    yield "zoom", blind, "--lpips above 0"
    yield "zoom-share", blind or objective.zoom == 1, "--lpips above 0 and --zoom above 1"
    yield "crop", objective.crop > data.resolution, f"a --data.resolution of {objective.crop} or more"
    for one in options_of(CodecConfig) - {"finest-layers"}:
        yield f"codec.{one}", bool(objective.init), NEW


def of_denoiser(objective: DenoisingConfig, data: DataConfig) -> Iterator[Rule]:
    started = bool(objective.init)
    yield "codec-from", started, NEW
    for one in options_of(DenoiserConfig) - set(READ_ANOTHER_WAY):
        yield f"denoiser.{one}", started, NEW
    yield "styled-share", not is_bundled(data.path), "the bundled drawings, which have styles"
    if isinstance(objective, CoarseConfig):
        for one in TRANSFORMER:
            yield f"denoiser.{one}", True, "a training of the transformer, such as single-step,"
        for one in ("samples", "plain-share"):
            yield one, objective.denoiser.choice == "none", "--denoiser.choice normal or one-hot"


def of_chain(objective: ChainConfig) -> Iterator[Rule]:
    most = max(objective.sampling_steps)
    last_only = min(most, objective.backprop_steps or most) == 1
    yield "random-backprop", last_only, "two steps or more to draw from"
    yield "detach-inputs", last_only, "a gradient through two steps or more"
    yield "repulsion", not {"energy", "energy-lpips"} & set(objective.loss.weights), "a loss of energy"
    yield "patience", not objective.loss.preferences, "a preference in the loss"


def of_decoding(objective: BackboneEndToEndConfig) -> Iterator[Rule]:
    blind = not objective.loss.on_pictures
    seeing = "a loss that looks at pictures, such as lpips,"
    yield "decode", blind and objective.decode != "latent", seeing
    yield "decode-batch", blind, seeing
    yield "tiny-codec", blind, seeing
    yield "decode-crop", objective.decode != "crop", "--decode crop"
    yield "decode-crop", blind, seeing
    yield "teacher-steps", not objective.guidance, "--guidance"


def of_data(objective: ObjectiveConfig, data: DataConfig) -> Iterator[Rule]:
    cached = is_cached(data.path)
    on_disk = data.stream or cached
    if isinstance(objective, PreferenceConfig):
        for one in (*(f"data.{one}" for one in options_of(DataConfig) - {"resolution"}), "trainer.held-out-every"):
            yield one, True, "a training on pictures"
    yield "data.workers", not on_disk, "--data.stream, or a set that `data cache` wrote,"
    yield "data.skip-bad", on_disk, "a set in memory (no --data.stream)"
    yield "data.stream", cached, "a set of pictures (not of latents)"
    yield "data.held-out", is_bundled(data.path) and data.split == "train", "a set of your own"
    yield "precompute", on_disk, "a set in memory (no --data.stream)"
