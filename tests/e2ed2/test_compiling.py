"""torch.compile: asked for, it is done or refused; what is learned is the same."""

from dataclasses import replace

import pytest
import torch

from e2ed2.errors import UserError
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.training.compiling import compile_network
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer


def compiled(run_config):
    trainer = replace(run_config.trainer, compile=True, mixed_precision="no")
    return replace(run_config, trainer=trainer, objective=replace(run_config.objective, precompute=False))


def test_where_nothing_compiles_that_is_one_sentence(run_config, monkeypatch):
    def broken(call):
        raise RuntimeError("no compiler is here\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(UserError, match=r"does not work here \(no compiler is here\): leave --trainer.compile out"):
        build(compiled(run_config))


def test_of_a_backbone_the_network_is_compiled_in_place(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda call: call)
    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: asked.append(self))
    made = BackboneEndToEnd.of(BackboneEndToEndConfig(backbone="tiny:sd"), 32)
    names = set(made.state_dict())
    compile_network(made, "cpu")
    assert asked == [made.model.network]
    assert set(made.state_dict()) == names


@pytest.mark.slow
def test_a_compiled_training_learns_the_same(run_config, tmp_path):
    config = compiled(run_config)
    plain = replace(config, trainer=replace(config.trainer, compile=False))
    losses = []
    for number, one in enumerate((config, plain)):
        torch.manual_seed(0)
        trainer = Trainer(one.trainer, *build(one), tmp_path / str(number))
        losses.append([trainer.train_step().numbers["loss"].item() for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
