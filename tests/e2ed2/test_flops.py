"""FLOPs are those of the mathematics, also where torch's counter is wrong."""

import pytest
import torch
from torch import nn

from e2ed2.training.flops import flop_counter


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
