"""Weights that are divided among processes (FSDP2, gloo, on the CPU) learn what whole ones do, and can become whole."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import distributed
from torch.testing._internal.distributed.fake_pg import FakeStore

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.training.config import RunConfig, TrainerConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import build, train
from e2ed2.training.trainer import Trainer

from .conftest import of_kind, options
from .test_processes import assert_equal, checkpoint, in_two, one_process, words

TRAINER = TrainerConfig(updates=4, batch_size=2, lr=1e-3, warmup=1, mixed_precision="no", log_every=1)
SHARD = "--trainer.shard"


def backbone(few, **given) -> RunConfig:
    chain = {"backbone": "tiny:sd3", "loss": LossSpec.parse("l2"), "sampling_steps": (1, 2)}
    return RunConfig(BackboneEndToEndConfig(**chain | given), DataConfig(path=str(few), resolution=32), TRAINER)


def losses_of(folder) -> list[float]:
    return [line.value("l2") for line in read_metrics(folder)]


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_a_denoiser_learns_the_same(run_config, tmp_path, sharing):
    """Batches are accumulated, too: the gradient of an update is one of four."""
    steps = (1, 2) if sharing == "shared" else (2,)
    sizes = replace(run_config.objective.denoiser, sharing=sharing, steps=max(steps) if sharing == "independent" else 1)
    config = options(run_config, coarse_lr_share=0.0, denoiser=sizes, sampling_steps=steps)  # a rate as the preset has
    config = replace(config, trainer=TRAINER)
    own = ("--init", config.objective.init, "--denoiser.sharing", sharing, "--denoiser.steps", sizes.steps)
    in_two("l2", *own, *words(config, tmp_path), SHARD, "--trainer.accumulate", 2)
    alone, losses = one_process(config, 4)
    assert_equal(checkpoint(tmp_path), alone)
    assert losses_of(tmp_path) == pytest.approx(losses, rel=1e-4)


@pytest.mark.slow
def test_adapters_learn_the_same_and_one_process_goes_on(few, tmp_path):
    """What is finished is the folder that one process writes, averages included."""
    config = backbone(few, lora_rank=16, random_backprop=True, checkpointed=True)
    own = ("--backbone", "tiny:sd3", "--lora-rank", 16, "--random-backprop", "--checkpointed")
    half = replace(config, trainer=replace(TRAINER, updates=2))
    in_two("sd15-l2-lpips", *own, *words(half, tmp_path / "two"), SHARD)
    begun, losses = one_process(half, 2)
    assert_equal(checkpoint(tmp_path / "two"), begun)
    assert losses_of(tmp_path / "two") == pytest.approx(losses, rel=1e-4)

    alone = replace(TRAINER, accumulate=2, preview_every=1000)
    assert train(replace(config, trainer=replace(alone, updates=2)), tmp_path / "one")
    assert_same_models(tmp_path / "one" / "model", tmp_path / "two" / "model")
    for name in ("one", "two"):
        assert train(replace(config, trainer=alone), tmp_path / name)
    assert_same_models(tmp_path / "one" / "model", tmp_path / "two" / "model")
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), rel=1e-4)


def assert_same_models(one, two):
    """Files and weights."""
    names = [sorted(str(file.relative_to(folder)) for file in folder.rglob("*")) for folder in (one, two)]
    assert names[0] == names[1]
    for name in names[0]:
        if name.endswith(".safetensors"):
            assert_equal(load_file(one / name), load_file(two / name))


@pytest.mark.slow
def test_all_weights_learn_the_same_from_one_processs_checkpoint(few, tmp_path):
    """Two updates in one process, then two in two that share the weights, whose blocks are recomputed."""
    config = backbone(few, backbone="tiny:sd", tune="full", block_checkpointing=True, checkpointed=False)
    begin = replace(TRAINER, updates=2, accumulate=2, preview_every=1000)
    assert train(replace(config, trainer=begin), tmp_path)
    own = ("--backbone", "tiny:sd", "--tune", "full", "--block-checkpointing", "--no-checkpointed")
    in_two("sd15-l2-lpips", *own, *words(config, tmp_path), SHARD)
    schedules = [begin.schedule] * 2 + [TRAINER.schedule] * 2
    alone, losses = one_process(config, 2, schedules)
    assert_equal(checkpoint(tmp_path), alone)
    assert losses_of(tmp_path) == pytest.approx(losses, rel=1e-4)


@pytest.fixture
def first_of_two():
    """An accelerator of the first of two processes; the second one never answers."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)

    class FirstProcess(Accelerator):
        num_processes = 2

    yield FirstProcess(cpu=True, mixed_precision="no")
    distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["denoiser", "backbone"])
def test_a_process_has_its_half_of_all_that_is_trained(run_config, few, tmp_path, first_of_two, kind):
    """Of the weights in blocks and outside of them, their moments and their averages."""
    config = backbone(few, tune="full") if kind == "backbone" else options(run_config, precompute=False)
    trainer = Trainer(replace(TRAINER, shard=True), *build(config), tmp_path, first_of_two)
    trainer.train_step()
    count = lambda values: sum(value.numel() for value in values)
    whole, here = count(trainer.model.parameters()), count(trainer.parts())
    assert 0.5 <= here / whole < 0.6  # a single row cannot be divided
    moments = [state["exp_avg"].to_local() for state in trainer.optimizer.state.values()]
    assert count(trainer.ema.shadow_params) == here >= count(moments) > 0.4 * whole


@pytest.mark.parametrize(
    ("given", "more", "words"),
    [
        ({}, {"compile": True}, r"does not go with --trainer\.compile"),
        ({}, {"mixed_precision": "fp16"}, r"does not go with --trainer\.mixed-precision fp16"),
        ({"gradient_cache": True}, {}, "does not go with --gradient-cache"),
        ({"loss": "l2+preference", "preference_from": "x"}, {"compile": True}, "compile or a preference in the loss"),
    ],
)
def test_what_does_not_go_with_sharded_weights_is_refused(run_config, given, more, words):
    with pytest.raises(UserError, match=words):
        replace(options(run_config, **given), trainer=replace(run_config.trainer, shard=True, **more))


def test_one_process_has_nobody_to_share_with(run_config, tmp_path):
    with pytest.raises(UserError, match="this is the only one: launch several"):
        train(replace(run_config, trainer=replace(run_config.trainer, shard=True)), tmp_path)


@pytest.mark.parametrize("kind", ["codec", "coarse"])
def test_what_has_no_blocks_is_not_sharded(run_config, tmp_path, first_of_two, kind):
    config = of_kind(run_config, kind, **({"codec_from": run_config.objective.init} if kind == "coarse" else {}))
    with pytest.raises(UserError, match="no blocks to divide among processes"):
        Trainer(replace(TRAINER, shard=True), *build(config), tmp_path, first_of_two)


def test_a_checkpoint_is_divided_as_the_weights_are(run_config, tmp_path, first_of_two):
    """Its rows go to the process that has the weights' rows."""
    config = options(run_config, precompute=False)
    trainer = Trainer(replace(TRAINER, shard=True), *build(config), tmp_path, first_of_two)
    (weights,) = [value for name, value in trainer.model.named_parameters() if name.endswith("blocks.0.mlp.0.weight")]
    average = torch.randn(weights.shape)
    (mine,) = trainer.sharding.parts([trainer.sharding.cut(average, weights)])
    assert torch.equal(mine, average[: len(average) // 2])
    assert trainer.sharding.cut(torch.tensor(3.0), weights) == 3  # a count of updates is everybody's


def test_averages_of_a_checkpoint_are_divided_as_their_weights_are(run_config, tmp_path, first_of_two):
    trainer = Trainer(
        replace(TRAINER, shard=True), *build(options(run_config, precompute=False)), tmp_path, first_of_two
    )
    weights = trained(trainer.model)
    averages = [torch.randn(one.shape) for one in weights]
    trainer.state.load_state_dict(trainer.state.state_dict() | {"shadow_params": averages})
    cut = map(trainer.sharding.cut, averages, weights)
    assert all(map(torch.equal, trainer.ema.shadow_params, trainer.sharding.parts(list(cut))))
    assert sum(map(torch.numel, trainer.ema.shadow_params)) < 0.6 * sum(map(torch.numel, averages))
