"""What an objective's options say of the training: on its card, to the memory it needs, to what samples it."""

import re

import pytest

from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.config import PreferenceConfig, ReconstructionConfig
from e2ed2.objectives.denoiser_config import CoarseConfig, SingleStepConfig
from e2ed2.training.presets import PRESETS

DENOISER, BACKBONE = {"init": "x"}, {"backbone": "tiny:sd", "loss": LossSpec.parse("l2")}
PLEASING = {"loss": LossSpec.parse("l2+preference"), "preference_from": "x"}
CHAIN_SAYS = (
    "An end-to-end model (Fig. 1b of arXiv 2412.21044): the loss `{loss}` on the final sample, through all steps; T "
    "drawn from {steps} at each update."
)
L2_SAYS = CHAIN_SAYS.format(loss="l2", steps="1, 2, 3, 4")
OWN_STEPS = {"sharing": "independent", "sampling_steps": (3,)}
FOLDED = (
    " The targets are what its start makes of the same noise in 9 steps with a guidance of {}, which is so folded in."
)


@pytest.mark.parametrize("name", PRESETS)
def test_every_training_says_in_whole_sentences_what_it_makes_and_shows(name):
    objective = PRESETS[name].objective
    assert re.fullmatch(r"(?s)[A-Z][a-z]?[a-z -].*[a-z`0-9).]\.", objective.what())
    assert re.fullmatch(r"[a-z ]+(: [a-z ]+, [a-z' ]+)?", objective.shows())


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (ReconstructionConfig(), "Images to latents and back."),
        (
            PreferenceConfig(),
            "What people prefer, as a score of an image and its caption, learned from the votes of a study.",
        ),
        (CoarseConfig(**DENOISER), "The coarse path alone."),
        (
            SingleStepConfig(**DENOISER),
            "The single-step baseline (Fig. 1a of arXiv 2412.21044), and the start of the end-to-end ones.",
        ),
        (
            BackboneSingleStepConfig(backbone="tiny:sd"),
            "A backbone trained one denoising step at a time, so that end-to-end training can start from it.",
        ),
        (EndToEndConfig(**DENOISER), CHAIN_SAYS.format(loss="l2+lpips", steps="1, 2, 3, 4")),
        (EndToEndConfig(**DENOISER | PLEASING), CHAIN_SAYS.format(loss="l2+preference+anchor:0.3", steps="1, 2, 3, 4")),
        (BackboneEndToEndConfig(**BACKBONE), L2_SAYS),
        (
            BackboneEndToEndConfig(**BACKBONE | OWN_STEPS),
            CHAIN_SAYS.format(loss="l2", steps="3") + " Each step has an adapter of its own (Fig. 4).",
        ),
        (BackboneEndToEndConfig(**BACKBONE, guidance=4.5, teacher_steps=9), L2_SAYS + FOLDED.format("4.5")),
        (
            BackboneEndToEndConfig(**BACKBONE | OWN_STEPS, guidance=3.0, teacher_steps=9),
            CHAIN_SAYS.format(loss="l2", steps="3")
            + " Each step has an adapter of its own (Fig. 4)."
            + FOLDED.format("3"),
        ),
    ],
)
def test_a_card_says_what_a_training_made(objective, said):
    assert objective.what() == said


def test_the_networks_that_a_training_needs_are_its_critic_and_its_tiny_decoder():
    seen = {"loss": LossSpec.parse("gan"), "critic": "some/dino"}
    tiny = {"decode": "tiny", "tiny_codec": "some/taesd"}
    assert EndToEndConfig(**DENOISER).networks() == ReconstructionConfig().networks() == {}
    assert EndToEndConfig(**DENOISER | seen).networks() == {"some/dino": "vision transformer"}
    for here in ("", "alexnet"):
        assert EndToEndConfig(**DENOISER | seen | {"critic": here}).networks() == {}
    assert BackboneEndToEndConfig(**BACKBONE | seen | {"critic": "start"}).networks() == {}
    assert BackboneEndToEndConfig(**BACKBONE | seen | tiny).networks() == {
        "some/dino": "vision transformer",
        "some/taesd": "AutoencoderTiny",
    }


def test_a_copy_of_the_start_is_kept_for_a_teacher_or_for_the_critic_that_looks_through_it():
    judged = {"loss": LossSpec.parse("l2+gan"), "critic": "start"}
    plain, taught = BackboneEndToEndConfig(**BACKBONE), BackboneEndToEndConfig(**BACKBONE, guidance=1.5)
    assert (plain.keeps_start(), taught.keeps_start()) == (False, True)
    assert BackboneEndToEndConfig(**BACKBONE | judged).keeps_start()
    assert BackboneSingleStepConfig(backbone="tiny:sd").keeps_start() is False
    assert (plain.folded_guidance(), taught.folded_guidance()) == (0, 1.5)
    assert EndToEndConfig(**DENOISER).folded_guidance() == 0


def test_what_takes_less_memory_is_said_where_it_is_not_taken_yet():
    recomputed = {"checkpointed": True, "block_checkpointing": True}
    assert ReconstructionConfig().less_memory() == []
    assert EndToEndConfig(**DENOISER).less_memory() == ["add --checkpointed"]
    assert EndToEndConfig(**DENOISER, checkpointed=True).less_memory() == []
    assert BackboneSingleStepConfig(backbone="tiny:sd").less_memory() == ["add --block-checkpointing"]
    assert BackboneEndToEndConfig(**BACKBONE).less_memory() == [
        "add --checkpointed",
        "add --block-checkpointing",
        "lower --decode-batch (4)",
    ]
    fewer = BackboneEndToEndConfig(**BACKBONE, **recomputed, decode_batch=2)
    assert (fewer.less_memory(), fewer.decoded_together()) == (["lower --decode-batch (2)"], 2)
    assert BackboneEndToEndConfig(**BACKBONE, **recomputed, decode_batch=1).less_memory() == []
    assert EndToEndConfig(**DENOISER).decoded_together() == 1


def test_the_update_that_takes_most_is_one_of_the_longest_chain_and_leaves_nothing_to_chance():
    most = EndToEndConfig(**DENOISER, sampling_steps=(1, 3, 2), random_backprop=True, backprop_steps=2).longest()
    assert (most.sampling_steps, most.random_backprop, most.backprop_steps) == ((3,), False, 2)
    single = SingleStepConfig(**DENOISER)
    assert single.longest() is single
    assert single.draws() == []


def test_steps_are_of_one_number_where_no_other_is_drawn():
    one, several = (BackboneEndToEndConfig(**BACKBONE, sampling_steps=steps) for steps in ((3, 3), (3, 2)))
    assert (one.only_steps(), several.only_steps(), SingleStepConfig(**DENOISER).only_steps()) == (3, None, None)
    assert one.independent_steps() is None
    assert EndToEndConfig(**DENOISER, sampling_steps=(3,)).independent_steps() is None
    assert BackboneEndToEndConfig(**BACKBONE | OWN_STEPS, backprop_steps=3).independent_steps() == 3


def test_a_training_has_the_loss_and_the_pipeline_that_it_was_given():
    chain = EndToEndConfig(**DENOISER, gradient_cache=True)
    assert (str(chain.terms()), chain.caches_gradient(), chain.pipeline()) == ("l2+lpips", True, "")
    assert EndToEndConfig(**DENOISER).caches_gradient() is SingleStepConfig(**DENOISER).caches_gradient() is False
    assert SingleStepConfig(**DENOISER).terms() == LossSpec(())
    assert BackboneSingleStepConfig(backbone="tiny:sd").pipeline() == "tiny:sd"
    assert str(EndToEndConfig(**DENOISER | PLEASING | {"loss": LossSpec.parse("preference+anchor:2")}).loss) == (
        "preference+anchor:2"
    )


def test_a_critic_of_latents_looks_at_no_pictures():
    loss = {"loss": LossSpec.parse("l2+lpips+gan")}
    assert BackboneEndToEndConfig(**BACKBONE | loss).on_pictures() == ["lpips", "gan"]
    assert BackboneEndToEndConfig(**BACKBONE | loss, critic="start").on_pictures() == ["lpips"]


def test_a_card_says_what_a_training_started_from():
    lone, beside = {"codec_from": "c"}, {"coarse_from": "d"}
    assert ReconstructionConfig().start() == CoarseConfig(**lone).start() == PreferenceConfig().start()
    assert CoarseConfig(**lone).start() == "random weights"
    assert ReconstructionConfig(init="x").start() == CoarseConfig(init="x").start() == "`x`"
    assert CoarseConfig(init="x", **beside).start() == "`x` with the coarse path of `d`"
    assert CoarseConfig(**lone, **beside).start() == "random weights beside the coarse path of `d`"
    assert BackboneSingleStepConfig(backbone="tiny:sd").start() == "`tiny:sd`"


def test_the_models_that_a_training_needs_are_those_it_names():
    assert ReconstructionConfig().models() == PreferenceConfig().models() == []
    assert EndToEndConfig(init="a", codec_from="b", coarse_from="c").models() == ["a", "b", "c"]
    assert BackboneSingleStepConfig(backbone="mine").models() == ["mine"]
    for elsewhere in ("tiny:sd", "some/where"):
        assert BackboneSingleStepConfig(backbone=elsewhere).models() == []


def test_a_chain_has_as_many_pictures_and_steps_as_it_says():
    chain = EndToEndConfig(init="x", sampling_steps=(1, 3, 2), samples=2)
    assert (chain.chain_steps(), chain.pictures_each(), chain.noises_each()) == (3, 2, 1)
    assert EndToEndConfig(init="x", nearest_of=5).noises_each() == 5
    assert (SingleStepConfig(init="x").chain_steps(), ReconstructionConfig().chain_steps()) == (4, None)
    assert CoarseConfig(init="x", samples=3).pictures_each() == 3
    assert SingleStepConfig(init="x").pictures_each() == 1
    assert (PreferenceConfig(votes="v").source("d"), SingleStepConfig(init="x").source("d")) == ("v", "d")


def test_a_preference_needs_votes():
    PreferenceConfig(votes="v").check_complete()
    with pytest.raises(UserError, match="--votes"):
        PreferenceConfig().check_complete()
