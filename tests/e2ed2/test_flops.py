"""FLOPs are those of the mathematics, also where torch's counter is wrong."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.training import flops
from e2ed2.training.flops import flop_counter, update_flops
from e2ed2.types import CaptionedBatch


def counted(layer: nn.Module, backward: bool) -> int:
    x = torch.zeros(2, 8, 6, 6, device="meta", requires_grad=True)
    with flop_counter() as counter, torch.set_grad_enabled(backward):
        made = layer.to("meta")(x)
        if backward:
            made.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("layer", "products"),
    [
        (nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), 2 * 36 * 8 * 9),
        (nn.Conv2d(8, 4, 3, padding=1, groups=2, bias=False), 2 * 36 * 4 * 4 * 9),
        (nn.Conv2d(8, 4, 3, stride=2, padding=1, bias=False), 2 * 9 * 8 * 4 * 9),
        (nn.ConvTranspose2d(8, 4, 2, stride=2, bias=False), 2 * 36 * 8 * 4 * 4),
    ],
    ids=["depthwise", "groups", "stride", "transposed"],
)
def test_both_gradients_of_a_convolution_cost_what_it_does(layer, products):
    assert counted(layer, False) == 2 * products
    assert counted(layer, True) == 3 * 2 * products


CHAIN = BackboneEndToEndConfig(backbone="tiny:sd", loss=LossSpec.parse("l2"), sampling_steps=(2, 4))


def test_of_a_chain_what_may_be_drawn_is_counted_once_each_and_nothing_is_left_to_draw():
    def cases(**options):
        return [(one.sampling_steps, one.backprop_steps) for one in replace(CHAIN, **options).draws()]

    assert cases() == [((2,), None), ((4,), None)]
    assert cases(backprop_steps=3) == [((2,), 2), ((4,), 3)]
    assert cases(random_backprop=True) == [((2,), 1), ((2,), 2), ((4,), 1), ((4,), 4)]
    assert not any(one.random_backprop for one in replace(CHAIN, random_backprop=True).draws())


def test_two_steps_of_a_teacher_stand_for_all(monkeypatch):
    """A chain's step costs 10 and a teacher's 7; the mean of both chains is that of three steps."""
    made = []

    def work(objective, batches, update, config):
        made.append(config.teacher_steps)
        return 10 * config.sampling_steps[0] + 7 * config.teacher_steps

    monkeypatch.setattr(flops, "counted", work)
    taught = SimpleNamespace(config=replace(CHAIN, guidance=3.0, teacher_steps=25))
    assert update_flops(taught, None) == 3 * 10 + 25 * 7
    assert sum(made) == 4
    assert update_flops(SimpleNamespace(config=CHAIN), None) == 3 * 10 + CHAIN.teacher_steps * 7  # nobody replaced it


@pytest.mark.slow
def test_a_counted_update_is_that_of_all_its_steps():
    """FLOPs of a real network grow as evenly as that."""
    config = replace(CHAIN, sampling_steps=(3,), guidance=3.0, teacher_steps=4)
    made = BackboneEndToEnd.of(config, 32)
    text = made.encoder("cpu")(["red apple"])
    batch = CaptionedBatch(torch.zeros(1, 3, 32, 32), torch.zeros(1, 4, 16, 16), text, torch.zeros(1, dtype=torch.bool))

    def direct(**options) -> float:
        return flops.counted(made, lambda *_: batch, 0, replace(config, **options))

    assert update_flops(made, lambda *_: batch) == pytest.approx(direct(), rel=1e-9)
    each = [direct(backprop_steps=steps) for steps in (1, 2, 3)]
    assert sum(each) / 3 == pytest.approx((each[0] + each[-1]) / 2, rel=1e-9)
    assert made.config == config
