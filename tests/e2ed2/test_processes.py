"""Two processes of one training (gloo, on the CPU) do what one process does with the same pictures and noises."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file, save_file

from e2ed2.data import cache
from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import load_pictures
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds, number
from e2ed2.training.config import RunConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import build, claim, train
from e2ed2.training.schedule import Schedule
from e2ed2.training.trainer import Trainer, TrainerConfig


def launched(processes: int, arguments, stdout=subprocess.DEVNULL, command="train") -> list[subprocess.Popen]:
    """`python -m e2ed2 train ...` as torchrun starts it, without its agent, which would import torch once more."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "e2ed2", command, *map(str, arguments)],
            env=os.environ | shared | {"ACCELERATE_USE_CPU": "true", "RANK": rank, "LOCAL_RANK": rank},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in map(str, range(processes))
    ]


def in_two(*arguments) -> None:
    """To the end, which the first alone tells."""
    both = launched(2, arguments, subprocess.PIPE)
    said = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], "\n".join(text[-3000:] for _, text in said)
    assert "Finished: the model is in" in said[0][0]
    assert said[1][0] == ""


def words(config: RunConfig, folder) -> list:
    trainer, names = config.trainer, ("updates", "batch_size", "lr", "warmup", "clip", "ema_decay")
    options = {f"--trainer.{name.replace('_', '-')}": getattr(trainer, name) for name in names}
    options |= {"--trainer.log-every": 1, "--trainer.preview-every": 1000, "--trainer.mixed-precision": "no"}
    options |= {"--data.path": config.data.path, "--data.resolution": 32, "--out": folder}
    options |= {"--loss": config.objective.loss}
    chain = ["--sampling-steps", *config.objective.sampling_steps]
    return [*(word for pair in options.items() for word in pair), *chain]


def checkpoint(folder) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").glob("*")) / "model.safetensors")


def one_process(
    config: RunConfig, processes: int, schedules: list[Schedule] | None = None
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The same updates by hand: the mean loss over what the processes see. The weights, and the losses."""
    torch.manual_seed(number(config.trainer.seed, "weights"))
    objective, batches = build(config)
    groups = objective.parameter_groups(config.trainer.lr)
    options = {"betas": config.trainer.betas, "weight_decay": config.trainer.weight_decay, "fused": True}
    optimizer, rates = torch.optim.AdamW(groups, **options), [group["lr"] for group in groups]
    losses = []
    for update, schedule in enumerate(schedules or [config.trainer.schedule] * config.trainer.updates):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule.share(update)
        optimizer.zero_grad()
        losses.append(0.0)
        for process in range(processes):
            seeds = UpdateSeeds(config.trainer.seed, update, process)
            loss = objective(batches(update, process, processes), seeds).total() / processes
            loss.backward()
            losses[-1] += loss.item()
        torch.nn.utils.clip_grad_norm_(trained(objective.model), config.trainer.clip)
        optimizer.step()
    return objective.state_dict(), losses


@pytest.mark.slow
def test_two_processes_train_a_backbone_as_one_does_and_one_goes_on_as_two(few, tmp_path):
    """Two processes, then one that accumulates two batches: the updates and losses are those of two to the end."""
    chain = {"loss": LossSpec.parse("l2"), "sampling_steps": (1, 2), "random_backprop": True, "checkpointed": True}
    chain |= {"lora_rank": 16}
    trainer = TrainerConfig(
        updates=2, batch_size=2, lr=1e-3, warmup=1, mixed_precision="no", log_every=1, preview_every=1000
    )
    config = RunConfig(
        BackboneEndToEndConfig(backbone="tiny:sd3", **chain), DataConfig(path=str(few), resolution=32), trainer
    )
    own = ("--backbone", "tiny:sd3", "--lora-rank", 16, "--random-backprop", "--checkpointed")
    in_two("sd15-l2-lpips", *own, *words(config, tmp_path))
    assert [line.update for line in read_metrics(tmp_path)] == [1, 2]
    assert "on each of 2 processes" in (tmp_path / "model" / "README.md").read_text()
    alone, losses = one_process(config, 2)
    assert_equal(checkpoint(tmp_path), alone)
    begun, _ = one_process(replace(config, trainer=replace(trainer, updates=1)), 2)
    assert any(not torch.allclose(weights, begun[name], atol=5e-5) for name, weights in checkpoint(tmp_path).items())

    longer = replace(config, trainer=replace(trainer, updates=4, accumulate=2))
    assert train(longer, tmp_path)
    schedules = [trainer.schedule] * 2 + [longer.trainer.schedule] * 2
    alone, losses = one_process(longer, 2, schedules)
    assert_equal(checkpoint(tmp_path), alone)
    assert [line.value("l2") for line in read_metrics(tmp_path)] == pytest.approx(losses, rel=1e-4)


def assert_equal(together, alone):
    for name, weights in together.items():
        assert torch.allclose(weights, alone[name], atol=5e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--trainer.shard",)], ids=["whole", "sharded"])
def test_a_killed_process_leaves_what_can_be_gone_on_with(run_config, tmp_path, more):
    """By SIGKILL, one of two, after the first save; the other ends by itself."""
    objective = replace(run_config.objective, coarse_lr_share=0.0)  # as the preset has it
    config = replace(run_config, objective=objective)
    config = replace(config, trainer=replace(config.trainer, updates=100_000, batch_size=2))
    given = ("l2", "--init", config.objective.init, *words(config, tmp_path), "--trainer.save-every", 1, *more)
    both = launched(2, given)
    while not list((tmp_path / "checkpoints").glob("[0-9]*[0-9]")):
        assert all(one.poll() is None for one in both)
    both[1].send_signal(signal.SIGKILL)
    both[1].wait()
    both[0].wait()
    assert both[0].returncode != 0
    (saved,) = [int(folder.name) for folder in (tmp_path / "checkpoints").iterdir() if folder.suffix != ".partial"]
    more = replace(config, trainer=replace(config.trainer, updates=saved + 1, accumulate=2, save_every=1, log_every=1))
    more = replace(more, trainer=replace(more.trainer, mixed_precision="no", preview_every=1000))
    objective, batches = build(more)
    trainer = Trainer(more.trainer, objective, batches, tmp_path)
    assert trainer.done == saved
    assert trainer.run()


def test_batches_accumulated_are_batches_of_more_processes(run_config, tmp_path):
    """To the bit in what is seen; the gradient is that of all together."""
    trainer = replace(run_config.trainer, updates=2, batch_size=2, accumulate=2, mixed_precision="no")
    config = replace(run_config, trainer=trainer, objective=replace(run_config.objective, precompute=False))
    assert train(config, tmp_path)
    together, (alone, losses) = checkpoint(tmp_path), one_process(config, 2)
    for name, weights in together.items():
        assert torch.allclose(weights, alone[name], atol=1e-6), name
    assert [line.value("l2") for line in read_metrics(tmp_path)] == pytest.approx(losses, rel=1e-5)
    assert "2 of 4 pictures: 8 samples" in (tmp_path / "model" / "README.md").read_text()


def test_a_discriminator_learns_from_all_that_is_accumulated(run_config, tmp_path):
    objective = replace(run_config.objective, loss=LossSpec.parse("l2+gan"), precompute=False)
    config = replace(run_config, objective=objective, trainer=replace(run_config.trainer, batch_size=2, accumulate=2))
    made, batches = build(config)
    trainer = Trainer(config.trainer, made, batches, tmp_path)
    seen = []
    trainer.adversary.update = lambda parts: seen.extend(parts) or torch.zeros(())
    trainer.train_step()
    assert [[len(value) for value in judged] for judged, _ in seen] == [[2, 2, 2]] * 2
    assert [seeds.process for _, seeds in seen] == [0, 1]  # the places that two processes would have


def test_a_run_goes_on_with_as_many_batches_an_update(run_config, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    claim(tmp_path, run_config, processes=4)
    claim(tmp_path, run_config, processes=4)
    more = lambda accumulate: replace(run_config, trainer=replace(run_config.trainer, accumulate=accumulate))
    claim(tmp_path, more(2), processes=2)
    with pytest.raises(UserError, match=r"made of 4 batches.* of 2: add --trainer\.accumulate 2,"):
        claim(tmp_path, run_config, processes=2)
    with pytest.raises(UserError, match="a number of processes that divides 4"):
        claim(tmp_path, run_config, processes=3)


@pytest.mark.parametrize("flag", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_a_launcher_that_shards_weights_itself_is_refused_in_a_sentence(run_config, tmp_path, monkeypatch, flag):
    monkeypatch.setenv(flag, "true")
    with pytest.raises(UserError, match=r"give the training --trainer\.shard"):
        train(run_config, tmp_path)


class SecondProcess(Accelerator):
    """What the second of two processes is told; there is no first."""

    is_main_process = False
    process_index = 1
    num_processes = 2

    def reduce(self, value, how):
        return value

    def wait_for_everyone(self):
        pass


def test_only_the_first_process_writes(run_config, tmp_path):
    config = replace(run_config, objective=replace(run_config.objective, precompute=False))
    trainer = Trainer(config.trainer, *build(config), tmp_path / "run", SecondProcess(mixed_precision="no"))
    assert trainer.run()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", ["RANK", "OMPI_COMM_WORLD_RANK"])
@pytest.mark.parametrize(("finished", "code"), [(True, 0), (False, 130)])
def test_only_the_first_process_says_how_it_ended(called, monkeypatch, tmp_path, rank, finished, code):
    monkeypatch.setattr("e2ed2.training.run.train", lambda *given: finished)
    monkeypatch.setenv(rank, "0")
    first = called("train", "l2", "--trainer.steps", 1, "--out", tmp_path, code=code)
    assert ("Finished" if finished else "Stopped and saved") in first.out
    assert "is now called --trainer.updates" in first.err
    monkeypatch.setenv(rank, "1")
    second = called("train", "l2", "--trainer.steps", 1, "--out", tmp_path, code=code)
    assert (second.out, second.err) == ("", "")


def test_only_the_first_process_says_what_is_left_out_of_the_set(tmp_path, monkeypatch, capsys):
    for name in "ab":
        Image.new("RGB", (40, 40)).save(tmp_path / f"{name}.png")
    (tmp_path / "metadata.csv").write_text("file_name,caption\na.png,one\n")
    config = DataConfig(path=str(tmp_path), resolution=64)
    load_pictures(config)
    told = capsys.readouterr().err
    assert "1 pictures have no line" in told
    assert "1 of 1 pictures are smaller" in told
    monkeypatch.setenv("RANK", "1")
    load_pictures(config)
    assert capsys.readouterr().err == ""


def test_what_is_dear_to_make_is_made_by_one_process(tmp_path, monkeypatch):
    """The other one has looked in vain, waits, and finds it."""
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    looked, files = Event(), []

    def kept(file):
        found = cache_read(file)
        files.append(file)
        looked.set()
        return found

    cache_read = cache.read_cached
    monkeypatch.setattr(cache, "read_cached", kept)
    make = lambda: pytest.fail("made a second time")
    first = {"x": torch.ones(2)}
    with ThreadPoolExecutor() as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "keep", lambda *given: None)
        cache.cached("things", [b"1"], lambda: first)
        file = files[0]
        looked.clear()
        with cache.made_once(file):
            other = pool.submit(cache.cached, "things", [b"1"], make)
            looked.wait()
            save_file(first, file)
        assert torch.equal(other.result()["x"], first["x"])


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


@pytest.mark.slow
def test_two_processes_judge_all_their_samples_together(run_config, tmp_path):
    """With gradient caching: one process that samples as many batches learns the same."""
    more = {"gradient_cache": True, "precompute": False, "coarse_lr_share": 0.0}  # the last as the preset has it
    objective = replace(run_config.objective, loss=LossSpec.parse("l2+mmd"), **more)
    trainer = replace(run_config.trainer, updates=2, batch_size=2, clip=1.0, mixed_precision="no")
    config = replace(run_config, objective=objective, trainer=trainer)
    own = ("--init", objective.init, "--gradient-cache", "--no-precompute")
    in_two("l2", *own, *words(config, tmp_path / "two"))
    assert train(replace(config, trainer=replace(trainer, accumulate=2)), tmp_path / "one")
    assert_equal(checkpoint(tmp_path / "two"), checkpoint(tmp_path / "one"))
    one, two = (read_metrics(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert a.value("mmd") == pytest.approx(b.value("mmd"), rel=1e-4, abs=1e-6)
