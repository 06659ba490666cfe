"""Which options of an objective have no effect, given the others and the data, and what would read them."""

import pytest

from e2ed2.data.config import COLOURED, DataConfig
from e2ed2.losses.spec import LossSpec
from e2ed2.models.config import DenoiserConfig
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.config import PreferenceConfig, ReconstructionConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.training.config import RunConfig, flat

NEW = "new weights (no --init)"
CODEC = dict.fromkeys(
    ("codec.latent-channels", "codec.widths", "codec.encoder-layers", "codec.decoder-layers", "codec.finest"), NEW
)
STARTED = {"codec-from": NEW} | dict.fromkeys(
    (f"denoiser.{one}" for one in ("channels", "grid", "width", "depth", "heads", "coarse-width", "choices")), NEW
)
TRANSFORMER = dict.fromkeys(
    (f"denoiser.{one}" for one in ("width", "depth", "heads", "sharing", "steps")),
    "a training of the transformer, such as single-step,",
)
CHOICE = dict.fromkeys(("samples", "plain-share"), "--denoiser.choice normal or one-hot")
PICTURES = dict.fromkeys(
    (
        *("data.path", "data.split", "data.image-column", "data.caption-column", "data.held-out", "data.stream"),
        *("data.workers", "data.skip-bad", "trainer.held-out-every"),
    ),
    "a training on pictures",
)
ENERGY = {"repulsion": "a loss of energy"}
PLEASED = {"patience": "a preference in the loss"}
CHAIN = ENERGY | PLEASED
DRAWN = {"random-backprop": "two steps or more to draw from"}
ONE_STEP = DRAWN | {"detach-inputs": "a gradient through two steps or more"}
ADAPTERS = dict.fromkeys(("lora-rank", "lora-targets", "sharing"), "--tune lora")
STYLED = {"styled-share": "the bundled drawings, which have styles"}
SEEING = "a loss that looks at pictures, such as lpips,"
BLIND = dict.fromkeys(("decode-batch", "tiny-codec", "decode-crop"), SEEING)
CROP, TEACHER = {"decode-crop": "--decode crop"}, {"teacher-steps": "--guidance"}

BUNDLED, OWN = DataConfig(), DataConfig("own")
NEW_START, START, BACKBONE = {"codec_from": "x"}, {"init": "x"}, {"backbone": "tiny:sd"}
LATENTS = {"loss": LossSpec.parse("l2")}
START_CRITIC = {"loss": LossSpec.parse("l2+gan"), "critic": "start"}
PLEASING = {"loss": LossSpec.parse("l2+preference"), "preference_from": "x"}
NO_CHOICE = {"denoiser": DenoiserConfig(choice="none")}


def energy(name: str) -> dict:
    return {"loss": LossSpec.parse(name), "samples": 2}


@pytest.mark.parametrize(
    ("kind", "given", "data", "idle"),
    [
        (ReconstructionConfig, {}, BUNDLED, {"zoom-share": "--lpips above 0 and --zoom above 1"}),
        (ReconstructionConfig, {"zoom": 2.0}, BUNDLED, {}),
        (
            ReconstructionConfig,
            {"zoom": 2.0},
            DataConfig(resolution=64),
            {"crop": "a --data.resolution of 128 or more"},
        ),
        (ReconstructionConfig, {"init": "x", "zoom": 2.0}, BUNDLED, CODEC),
        (
            ReconstructionConfig,
            {"lpips": 0.0, "zoom": 2.0},
            BUNDLED,
            {"zoom": "--lpips above 0", "zoom-share": "--lpips above 0 and --zoom above 1"},
        ),
        (PreferenceConfig, {"votes": "x"}, BUNDLED, PICTURES),
        (CoarseConfig, NEW_START, BUNDLED, TRANSFORMER),
        (CoarseConfig, START, OWN, STARTED | TRANSFORMER | STYLED),
        (CoarseConfig, NEW_START | NO_CHOICE, BUNDLED, TRANSFORMER | CHOICE),
        (SingleStepConfig, NEW_START, DataConfig(COLOURED), {}),
        (SingleStepConfig, NEW_START, OWN, STYLED),
        (SingleStepConfig, START, BUNDLED, STARTED),
        (EndToEndConfig, NEW_START, BUNDLED, CHAIN),
        (EndToEndConfig, START, OWN, STARTED | STYLED | CHAIN),
        (EndToEndConfig, NEW_START | energy("energy"), BUNDLED, PLEASED),
        (EndToEndConfig, NEW_START | energy("l2+energy-lpips"), BUNDLED, PLEASED),
        (EndToEndConfig, NEW_START | PLEASING, BUNDLED, ENERGY),
        (EndToEndConfig, NEW_START | {"sampling_steps": (1,)}, BUNDLED, CHAIN | ONE_STEP),
        (EndToEndConfig, NEW_START | {"backprop_steps": 1}, BUNDLED, CHAIN | ONE_STEP),
        (EndToEndConfig, NEW_START | {"sampling_steps": (1, 2)}, BUNDLED, CHAIN),
        (EndToEndConfig, NEW_START | {"backprop_steps": 2}, BUNDLED, CHAIN),
        (BackboneSingleStepConfig, BACKBONE, BUNDLED, {}),
        (BackboneSingleStepConfig, BACKBONE | {"tune": "full"}, BUNDLED, ADAPTERS),
        (BackboneEndToEndConfig, BACKBONE, BUNDLED, CHAIN | CROP | TEACHER),
        (BackboneEndToEndConfig, BACKBONE | {"tune": "full"}, BUNDLED, ADAPTERS | CHAIN | CROP | TEACHER),
        (BackboneEndToEndConfig, BACKBONE | {"decode": "crop"}, BUNDLED, CHAIN | TEACHER),
        (BackboneEndToEndConfig, BACKBONE | {"guidance": 3.0}, BUNDLED, CHAIN | CROP),
        (BackboneEndToEndConfig, BACKBONE | LATENTS, BUNDLED, CHAIN | CROP | BLIND | TEACHER | {"decode": SEEING}),
        (BackboneEndToEndConfig, BACKBONE | LATENTS | {"decode": "latent"}, OWN, CHAIN | CROP | BLIND | TEACHER),
        (BackboneEndToEndConfig, BACKBONE | START_CRITIC | {"decode": "latent"}, OWN, CHAIN | CROP | BLIND | TEACHER),
        (
            BackboneEndToEndConfig,
            BACKBONE | LATENTS | {"sampling_steps": (1,), "decode": "latent"},
            OWN,
            CHAIN | ONE_STEP | CROP | BLIND | TEACHER,
        ),
    ],
)
def test_an_option_has_no_effect_where_nothing_reads_it_and_it_is_said_what_would(kind, given, data, idle):
    found = [(option, needed) for option, unread, needed in kind(**given).idle(data) if unread]
    assert {option for option, _ in found} == set(idle)
    assert set(idle.items()) <= set(found)


@pytest.mark.parametrize(
    "objective",
    [
        ReconstructionConfig(),
        PreferenceConfig(votes="x"),
        CoarseConfig(init="x"),
        SingleStepConfig(init="x"),
        EndToEndConfig(init="x"),
        BackboneEndToEndConfig(**BACKBONE),
    ],
    ids=lambda one: one.kind,
)
def test_every_option_that_may_have_no_effect_is_one_of_the_trainings(objective):
    rules = list(objective.idle(BUNDLED))
    assert {option for option, *_ in rules} <= set(flat(RunConfig(objective).plain()))
    assert all(type(unread) is bool for _, unread, _ in rules)
