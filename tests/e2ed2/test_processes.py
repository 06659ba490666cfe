"""Two processes of one training (gloo, on the CPU) do what one process does with the same pictures and noises."""

import os
import subprocess
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from e2ed2.data.config import DataConfig
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds, number
from e2ed2.training.config import RunConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import build, train
from e2ed2.training.trainer import Trainer, TrainerConfig

TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "e2ed2", "train"]


def in_two(*arguments) -> None:
    """`python -m e2ed2 train ...` in two processes. `accelerate launch --cpu` starts one."""
    command = [*TWO, *map(str, arguments)]
    alone = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=alone, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def words(config: RunConfig, folder) -> list:
    trainer, names = config.trainer, ("updates", "batch_size", "lr", "warmup", "clip")
    options = {f"--trainer.{name.replace('_', '-')}": getattr(trainer, name) for name in names}
    options |= {"--trainer.log-every": 1, "--trainer.preview-every": 1000, "--trainer.mixed-precision": "no"}
    options |= {"--data.path": config.data.path, "--data.resolution": 32, "--out": folder}
    options |= {"--loss": config.objective.loss}
    chain = ["--sampling-steps", *config.objective.sampling_steps]
    return [*(word for pair in options.items() for word in pair), *chain]


def checkpoint(folder) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").glob("*")) / "model.safetensors")


def one_process(config: RunConfig, processes: int) -> dict[str, torch.Tensor]:
    """The same updates by hand: the mean loss over what the processes see."""
    torch.manual_seed(number(config.trainer.seed, "weights"))
    objective, batches = build(config)
    groups = objective.parameter_groups(config.trainer.lr)
    options = {"betas": config.trainer.betas, "weight_decay": config.trainer.weight_decay, "fused": True}
    optimizer, rates = torch.optim.AdamW(groups, **options), [group["lr"] for group in groups]
    for update in range(config.trainer.updates):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * config.trainer.schedule.share(update)
        optimizer.zero_grad()
        for process in range(processes):
            seeds = UpdateSeeds(config.trainer.seed, update, process)
            (objective(batches(update, process, processes), seeds).total() / processes).backward()
        torch.nn.utils.clip_grad_norm_(trained(objective.model), config.trainer.clip)
        optimizer.step()
    return objective.state_dict()


@pytest.fixture(scope="module")
def few(parquet, tmp_path_factory):
    file = tmp_path_factory.mktemp("few") / "few.parquet"
    pq.write_table(pq.read_table(parquet).slice(0, 8), file)
    return file


def test_two_processes_train_a_backbone_as_one_does(few, tmp_path):
    chain = {"loss": LossSpec.parse("l2"), "sampling_steps": (1, 2), "random_backprop": True, "checkpointed": True}
    trainer = TrainerConfig(updates=2, batch_size=2, lr=1e-3, warmup=1, mixed_precision="no")
    config = RunConfig(
        BackboneEndToEndConfig(backbone="tiny:sd3", **chain), DataConfig(path=str(few), resolution=32), trainer
    )
    own = ("--backbone", "tiny:sd3", "--lora-rank", 16, "--random-backprop", "--checkpointed")
    in_two("sd15-l2-lpips", *own, *words(config, tmp_path))
    assert [line.update for line in read_metrics(tmp_path)] == [1, 2]
    assert "on each of 2 processes" in (tmp_path / "model" / "README.md").read_text()
    together, alone = checkpoint(tmp_path), one_process(config, 2)
    for name, weights in together.items():
        assert torch.allclose(weights, alone[name], atol=5e-5), name
    begun = one_process(replace(config, trainer=replace(trainer, updates=1)), 2)
    assert any(not torch.allclose(weights, begun[name], atol=5e-5) for name, weights in together.items())


def test_batches_accumulated_are_batches_of_more_processes(run_config, tmp_path, monkeypatch):
    """To the bit in what is seen; the gradient is that of all together."""
    monkeypatch.setattr("e2ed2.training.run.update_flops", lambda *given: 1e9)
    trainer = replace(run_config.trainer, updates=2, batch_size=2, accumulate=2, mixed_precision="no")
    config = replace(run_config, trainer=trainer, objective=replace(run_config.objective, precompute=False))
    assert train(config, tmp_path)
    together, alone = checkpoint(tmp_path), one_process(config, 2)
    for name, weights in together.items():
        assert torch.allclose(weights, alone[name], atol=1e-6), name
    assert "2 of 4 pictures: 8 samples" in (tmp_path / "model" / "README.md").read_text()


def test_a_discriminator_learns_from_all_that_is_accumulated(run_config, tmp_path):
    objective = replace(run_config.objective, loss=LossSpec.parse("l2+gan"), precompute=False)
    config = replace(run_config, objective=objective, trainer=replace(run_config.trainer, batch_size=2, accumulate=2))
    made, batches = build(config)
    trainer = Trainer(config.trainer, made, batches, tmp_path)
    seen = []
    trainer.adversary.update = lambda judged, seeds: seen.append(judged) or torch.zeros(())
    trainer.train_step()
    assert [len(part) for part in seen[0]] == [4, 4, 4]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["l2", "l2+gan"])
def test_two_processes_train_one_model(run_config, tmp_path, loss):
    """Each sees its own pictures, and the gradients are averaged, the discriminator's too."""
    objective = replace(run_config.objective, loss=LossSpec.parse(loss))
    trainer = replace(run_config.trainer, updates=2, batch_size=2)
    in_two("l2", "--init", objective.init, *words(replace(run_config, objective=objective, trainer=trainer), tmp_path))
    assert [line.update for line in read_metrics(tmp_path)] == [1, 2]
    assert "on each of 2 processes" in (tmp_path / "model" / "README.md").read_text()
    assert checkpoint(tmp_path)
