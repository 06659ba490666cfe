"""Guidance folded in: the targets are what the start makes of the same noise with it."""

import copy
import inspect
from dataclasses import replace

import pytest
import torch

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.guided import Guided
from e2ed2.models.backbones.opening import quiet
from e2ed2.models.backbones.stock import stock_call, stock_scheduler
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.backbones.tiny import tiny_pipeline
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.types import CaptionedBatch

from .conftest import two_pictures

PROMPT, STEPS, SCALE = "red apple", 2, 4.0


@pytest.mark.parametrize(
    "family",
    ["sd", "sd3", "sana", pytest.param("pixart", marks=pytest.mark.slow)],
)
def test_it_is_the_guidance_of_the_pipeline(family):
    pipeline = quiet(tiny_pipeline(family))
    backbone, text = Backbone.of(pipeline), PipelineText(pipeline)
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = sample(Guided(backbone, text.empty(), SCALE), noise, text([PROMPT]), uniform_levels(STEPS))
        plain = sample(backbone, noise, text([PROMPT]), uniform_levels(STEPS))
    whole = type(pipeline)(**pipeline.components | {"scheduler": stock_scheduler(backbone, pipeline.scheduler)})
    called = stock_call(whole, STEPS) | {"guidance_scale": SCALE, "output_type": "latent"}
    known = inspect.signature(whole.__call__).parameters
    size = {name: 32 for name in ("height", "width") if name in known}
    theirs = quiet(whole)(PROMPT, latents=noise.clone(), **size, **called).images
    assert torch.allclose(ours, theirs, atol=1e-3 * theirs.abs().max().item())
    assert not torch.allclose(plain, theirs, atol=1e-2 * theirs.abs().max().item())


def objective(loss="l2", **options) -> BackboneEndToEnd:
    torch.manual_seed(3)
    given = {"backbone": "tiny:sd3", "loss": LossSpec.parse(loss), "sampling_steps": (2,)}
    return BackboneEndToEnd.of(BackboneEndToEndConfig(**given | options), 32)


@pytest.fixture(scope="module")
def batch() -> CaptionedBatch:
    return two_pictures(objective(), [PROMPT, "a blue dog"])


def test_the_target_is_the_teachers_picture_of_the_same_noise(batch):
    """With as many steps and no guidance, the start is its own teacher: the loss is nothing."""
    made = objective("l2+lpips", guidance=3.0, teacher_steps=2)
    terms = made(batch, UpdateSeeds(0, 0)).terms
    assert terms["l2"] > 1e-4
    assert terms["lpips"] > 0
    made.teacher.scale = 1.0
    terms = made(batch, UpdateSeeds(0, 0)).terms
    assert terms["l2"].item() == pytest.approx(0, abs=1e-9)
    assert terms["lpips"].item() == pytest.approx(0, abs=1e-6)
    without = objective("l2")(batch, UpdateSeeds(0, 0)).terms["l2"]
    assert without > 1e-2  # the data's pictures, of another noise


def test_the_teacher_stays_as_it_was_and_is_no_part_of_what_is_trained(batch):
    made = objective(guidance=3.0, teacher_steps=2, tune="full")
    before = copy.deepcopy(made.teacher.state_dict())
    torch.optim.SGD(trained(made.model), lr=1.0)
    made(batch, UpdateSeeds(0, 0)).total().backward()
    assert not trained(made.teacher)
    assert not {id(w) for w in made.teacher.parameters()} & {id(w) for w in made.model.parameters()}
    assert all(torch.equal(before[name], value) for name, value in made.teacher.state_dict().items())
    assert "guidance of 3" in made.config.what()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"guidance": 0.5}, "above 1"),
        ({"guidance": 3.0, "samples": 2}, "leave --samples out"),
        ({"teacher_steps": 9}, "add it, or leave --teacher-steps out"),
        ({"guidance": 3.0, "teacher_steps": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, told):
    with pytest.raises(UserError, match=told):
        replace(BackboneEndToEndConfig(backbone="tiny:sd"), **options)
