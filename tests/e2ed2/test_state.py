"""What a checkpoint holds, and that those of before are resumed."""

import json
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from e2ed2.errors import UserError
from e2ed2.models.weights import load_codec, save_model
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import build, train
from e2ed2.training.sharding import Whole
from e2ed2.training.state import TrainState, constants_of

from .conftest import TINY_DENOISER, options
from .test_training import stop_after, weights


def stopped(config, folder, monkeypatch):
    """Its checkpoint after two of four updates."""
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(config, folder)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    return checkpoint


def test_a_checkpoint_holds_what_is_trained_and_no_constant(run_config, tmp_path, monkeypatch):
    config = options(run_config, loss="l2+lpips+gan", coarse_lr_share=0.0)
    checkpoint = stopped(config, tmp_path, monkeypatch)
    objective = build(config)[0]
    held = set(load_file(checkpoint / "model.safetensors"))
    trained = {name for name, weights in objective.named_parameters() if weights.requires_grad}
    buffers = {f"model.{name}" for name, _ in objective.model.named_buffers()}
    assert trained
    assert held == trained | buffers | {f"adversary.{name}" for name in objective.adversary.state_dict()}
    state = torch.load(checkpoint / "custom_checkpoint_0.pkl", weights_only=True)
    assert len(state["shadow_params"]) == len(trained)


def as_before(config, checkpoint) -> None:
    """As checkpoints were: the whole objective, and the average of all of the model's weights."""
    objective = build(config)[0]
    file, average = checkpoint / "model.safetensors", checkpoint / "custom_checkpoint_0.pkl"
    objective.load_state_dict(load_file(file), strict=False)
    save_file({name: value.contiguous() for name, value in objective.state_dict().items()}, file)
    state = torch.load(average, weights_only=True)
    del state["constants"]
    trained = iter(state["shadow_params"])
    state["shadow_params"] = [
        next(trained) if one.requires_grad else one.detach() for one in objective.model.parameters()
    ]
    torch.save(state, average)


def test_a_checkpoint_of_before_is_resumed_bit_for_bit(run_config, tmp_path, monkeypatch):
    config = options(run_config, loss="l2+gan", coarse_lr_share=0.0)
    assert train(config, tmp_path / "whole")
    as_before(config, stopped(config, tmp_path / "halves", monkeypatch))
    metrics = tmp_path / "halves" / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    metrics.write_text("".join(json.dumps(line_of_before(line)) + "\n" for line in lines))
    assert train(config, tmp_path / "halves")
    whole, halves = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    values = [[line.value("l2") for line in read_metrics(tmp_path / name)] for name in ("whole", "halves")]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert {"update", "terms"} <= json.loads(metrics.read_text().splitlines()[0]).keys()


def line_of_before(line):
    terms = {name: term["value"] * term["weight"] for name, term in line["terms"].items()}
    return {"step": line["update"], "seconds": line["seconds"]} | terms | {"grad_norm": line["grad_norm"]}


def test_a_run_does_not_go_on_upon_another_codec(run_config, tmp_path, tiny_model, monkeypatch):
    start = tmp_path / "start"
    codec = load_codec(tiny_model)
    save_model(codec, start / "codec")
    config = options(run_config, init="", codec_from=str(start), denoiser=TINY_DENOISER)
    stopped(config, tmp_path / "run", monkeypatch)
    codec.mean.add_(1)
    save_model(codec, start / "codec")
    with pytest.raises(UserError, match="has changed since it was saved"):
        train(config, tmp_path / "run")


@pytest.mark.parametrize(("keep", "left"), [(1, ["000004"]), (3, ["000002", "000003", "000004"])])
def test_as_many_checkpoints_are_kept_as_asked(run_config, tmp_path, keep, left):
    assert train(replace(run_config, trainer=replace(run_config.trainer, save_every=1, keep=keep)), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == left


def test_a_resumed_average_is_where_the_weights_are(run_config, tmp_path):
    """A checkpoint is read into the CPU's memory, wherever the model is."""
    objective = build(options(run_config, coarse_lr_share=0.0))[0]
    state = TrainState(objective, constants_of(objective), Whole(Accelerator()), 0.9)
    saved = state.state_dict()
    objective.to("meta")
    state.load_state_dict(saved)
    assert {average.device.type for average in state.ema.shadow_params} == {"meta"}
