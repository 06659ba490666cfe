"""The loop of a training, update by update."""

import errno
import signal
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors import SafetensorError
from torch import nn

from e2ed2.errors import UserError
from e2ed2.losses.adversarial import RELATIVISTIC, Judged
from e2ed2.objectives.end_to_end import EndToEnd
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.adversary import Adversary, judge
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import build, held_out_batch
from e2ed2.training.schedule import Schedule
from e2ed2.training.state import checkpoints_in
from e2ed2.training.trainer import BEST, Trainer, interruptible

from .conftest import options
from .test_processes import SecondProcess


def trainer_of(run_config, folder, accelerator=None, loss="l2", **given) -> Trainer:
    """In float32, so that sums can be compared."""
    config = options(run_config, loss=loss, precompute=False)
    config = replace(config, trainer=replace(config.trainer, **{"mixed_precision": "no"} | given))
    torch.manual_seed(0)
    return Trainer(config.trainer, *build(config), folder, accelerator)


def test_an_optimizer_has_the_settings_that_are_given(run_config, tmp_path):
    trainer = trainer_of(
        run_config, tmp_path, loss="l2+gan", betas=(0.5, 0.7), weight_decay=0.3, lr=0.02, adversary_lr=0.004, clip=0.6
    )
    for group, rate in zip(trainer.optimizer.param_groups, (0.002, 0.02), strict=True):
        assert (group["betas"], group["weight_decay"], group["lr"]) == ((0.5, 0.7), 0.3, pytest.approx(rate))
    assert trainer.full_rates == [pytest.approx(0.002), 0.02]
    (group,) = trainer.adversary.optimizer.param_groups
    assert (group["betas"], group["weight_decay"], group["lr"]) == ((0.0, 0.99), 0.0, 0.004)
    assert trainer.adversary.clip == 0.6
    assert trainer.ema.decay == run_config.trainer.ema_decay


def test_an_update_measures_its_loss_its_gradient_and_its_rate(run_config, tmp_path):
    trainer = trainer_of(run_config, tmp_path, loss="l1:2+l2:3", lr=0.01, warmup=2, clip=1e-3)
    outcome = trainer.bare(trainer.batch(0), trainer.seeds(0))
    outcome.total().backward()
    norm = torch.stack([w.grad.square().sum() for w in trainer.model.parameters() if w.grad is not None]).sum().sqrt()
    measured = trainer.train_step()
    assert {name: value.item() for name, value in measured.terms.items()} == {
        name: pytest.approx(value.item(), rel=1e-5) for name, value in outcome.terms.items()
    }
    assert measured.numbers["loss"].item() == pytest.approx(outcome.total().item(), rel=1e-5)
    assert measured.numbers["grad_norm"].item() == pytest.approx(norm.item(), rel=1e-4)
    assert measured.numbers["lr"] == 0.005
    clipped = torch.stack([w.grad.square().sum() for w in trainer.model.parameters() if w.grad is not None]).sum()
    assert clipped.sqrt().item() == pytest.approx(1e-3, rel=1e-2)
    assert trainer.done == 1


def test_rounding_does_the_projects_own_models_no_harm_that_would_be_told(run_config, tmp_path, capsys):
    trainer_of(run_config, tmp_path, Accelerator(mixed_precision="bf16"), mixed_precision="auto")
    assert capsys.readouterr().err == ""


def test_an_update_begins_with_no_gradient_of_the_last(run_config, tmp_path):
    trainer = trainer_of(run_config, tmp_path, clip=1e9)
    trainer.train_step()
    outcome = trainer.bare(trainer.batch(0), trainer.seeds(0))
    wanted = torch.autograd.grad(outcome.total(), [w for w in trainer.model.parameters() if w.requires_grad])
    trainer.train_step()
    found = [w.grad for w in trainer.model.parameters() if w.requires_grad]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))


def test_a_process_has_batches_and_seeds_of_its_own_place(run_config, tmp_path):
    trainer = trainer_of(run_config, tmp_path, SecondProcess(mixed_precision="no"), accumulate=3, seed=8)
    trainer.done, asked = 5, []
    trainer.batches = lambda *given: asked.append(given)
    for part in range(3):
        trainer.batch(part)
        seeds = trainer.seeds(part)
        assert (seeds.seed, seeds.update, seeds.process) == (8, 5, 3 + part)
        assert seeds.device == trainer.accelerator.device
    assert asked == [(5, 3, 6), (5, 4, 6), (5, 5, 6)]


def test_what_is_logged_is_the_mean_over_processes(run_config, tmp_path):
    """Here the other process found three times as much."""

    class Second(SecondProcess):
        def reduce(self, value, how):
            assert how == "mean"
            return 2 * value

    found = {"l2": torch.tensor([1.0, 3.0]), "l1": torch.tensor(5.0)}
    alone = trainer_of(run_config, tmp_path).means(found)
    assert alone == {"l2": torch.tensor(2.0), "l1": torch.tensor(5.0)}
    both = trainer_of(run_config, tmp_path, Second(mixed_precision="no")).means(found)
    assert both == {"l2": torch.tensor(4.0), "l1": torch.tensor(10.0)}


def test_processes_wait_for_each_other_once_an_update(run_config, tmp_path, monkeypatch):
    """Only the last accumulated part sends its gradient."""
    trainer, alone = trainer_of(run_config, tmp_path, accumulate=3), []

    @contextmanager
    def no_sync(model):
        assert model is trainer.objective
        alone.append(trainer.objective)
        yield

    monkeypatch.setattr(trainer.accelerator, "no_sync", no_sync)
    trainer.train_step()
    assert len(alone) == 2


def test_fp16_may_leave_out_ten_updates_in_a_row_and_no_more(run_config, tmp_path, monkeypatch):
    trainer = trainer_of(run_config, tmp_path)
    good, bad = trainer.train_step(), trainer.train_step()
    bad = bad.with_number("grad_norm", torch.tensor(float("inf")))
    with pytest.raises(UserError, match=r"not finite .*: lower the learning rate\. What"):
        trainer.check_finite(bad)
    trainer.check_finite(good)
    monkeypatch.setattr(type(trainer.accelerator), "mixed_precision", "fp16")
    for _ in range(10):
        trainer.check_finite(bad)
    trainer.check_finite(good)
    for _ in range(10):
        trainer.check_finite(bad.with_number("loss", torch.tensor(float("nan"))))
    with pytest.raises(UserError, match="or train in bf16"):
        trainer.check_finite(bad)


def test_things_are_shown_and_measured_after_so_many_updates_and_at_the_end(run_config, tmp_path):
    config = replace(run_config.trainer, updates=5, preview_every=2, save_every=2, held_out_every=3, keep=9)
    config = replace(options(run_config, precompute=False), trainer=config, data=replace(run_config.data, held_out=0.2))
    objective, batches = build(config)
    held_out = held_out_batch(config, objective)
    trainer = Trainer(config.trainer, objective, batches, tmp_path, held_out=held_out)
    assert trainer.run()
    assert sorted(file.name for file in (tmp_path / "previews").iterdir()) == ["000002.png", "000004.png", "000005.png"]
    assert [path.name for path in checkpoints_in(tmp_path)] == ["000002", "000004", "000005"]
    lines = read_metrics(tmp_path)
    assert [line.update for line in lines if line.value("held_out") is not None] == [3, 5]
    assert lines[-1].value("held_out") == pytest.approx(trainer.held_out_loss(held_out).item(), rel=1e-4)
    again = Trainer(config.trainer, objective, batches, tmp_path, held_out=held_out)
    assert (again.done, again.finished, len(again.watched)) == (5, True, 2)
    assert again.watched[-1] == {name: lines[-1].value(name) for name in lines[-1].numbers}


def test_what_is_measured_apart_is_watched_and_the_best_weights_are_kept(run_config, tmp_path, monkeypatch):
    scores = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr(EndToEnd, "watched", lambda *_: {"judge": torch.tensor(next(scores))})
    monkeypatch.setattr(EndToEnd, "best", lambda _, seen: max(range(len(seen)), key=lambda n: seen[n]["judge"]))
    monkeypatch.setattr(EndToEnd, "exhausted", lambda _, seen: len(seen) > 2)
    trainer = trainer_of(run_config, tmp_path)
    assert trainer.best_update == 0
    kept = []
    for judged in (1.0, 3.0, 2.0):
        measured = trainer.measured_apart(trainer.train_step(), trainer.batch(0))
        assert (measured.numbers["judge"], trainer.exhausted) == (judged, judged == 2.0)
        assert measured.numbers["held_out"] == trainer.held_out_loss(trainer.batch(0))
        kept.append(trainer.best_update)
    assert kept == [1, 2, 2]
    assert [one["judge"] for one in trainer.watched] == [1, 3, 2]
    assert trainer.finished
    assert [file.name for file in tmp_path.glob(f"{BEST}*")] == [BEST]


def test_another_process_measures_nothing_and_ends_when_the_first_does(run_config, tmp_path, monkeypatch):
    monkeypatch.setattr(EndToEnd, "watched", lambda *_: pytest.fail("measured"))

    class Told(SecondProcess):
        def reduce(self, value, how):
            return value + 1 if how == "sum" else value

    trainer = trainer_of(run_config, tmp_path, Told(mixed_precision="no"))
    measured = trainer.train_step()
    assert trainer.measured_apart(measured, trainer.batch(0)) is measured
    assert trainer.exhausted
    assert not trainer.watched


def test_a_preview_has_targets_above_samples_of_the_averaged_weights(run_config, tmp_path, monkeypatch):
    trainer = trainer_of(run_config, tmp_path / "new" / "run")
    trainer.train_step()
    bright = torch.tensor([-1.0, -0.5, 0.0, 1.0, 0.5, 3.0])
    seen = []

    def shown(self, model, batch):
        seen.append(([weights.clone() for weights in model.parameters() if weights.requires_grad], model.training))
        return bright.view(6, 1, 1, 1).expand(6, 3, 8, 8)

    monkeypatch.setattr(EndToEnd, "preview", shown)
    trainer.done = 12
    trainer.preview()
    trainer.preview()  # over the same file
    picture = np.asarray(Image.open(tmp_path / "new" / "run" / "previews" / "000012.png"))
    assert picture.shape == (2 * 9 + 1, 3 * 9 + 1, 3)
    places = [picture[1 + 9 * row + 4, 1 + 9 * column + 4, 0] for row in range(2) for column in range(3)]
    assert places == [pytest.approx(127.5 * (value + 1), abs=1) for value in bright.clamp(-1, 1).tolist()]
    averaged, training = seen[0]
    assert not training
    assert trainer.model.training
    assert all(torch.equal(a, b) for a, b in zip(averaged, trainer.ema.shadow_params, strict=True))


def test_a_checkpoint_is_whole_and_what_a_person_keeps_beside_it_stays(run_config, tmp_path):
    trainer = trainer_of(run_config, tmp_path, keep=2)
    folder = tmp_path / "checkpoints"
    (folder / "000001.partial").mkdir(parents=True)
    (folder / "000001.partial" / "left").touch()
    (folder / "mine").mkdir()
    (folder / "000777").touch()  # no folder
    for _ in range(3):
        trainer.train_step()
        trainer.save()
    assert sorted(path.name for path in folder.iterdir()) == ["000002", "000003", "000777", "mine"]
    before = (folder / "000003" / "model.safetensors").stat().st_mtime_ns
    trainer.save()
    assert (folder / "000003" / "model.safetensors").stat().st_mtime_ns == before
    assert not (folder / "000003" / "left").exists()
    assert trainer_of(run_config, tmp_path).done == 3


def test_a_training_of_a_million_updates_keeps_its_newest_checkpoint(run_config, tmp_path):
    trainer = trainer_of(run_config, tmp_path, keep=1)
    for trainer.done in (999_999, 1_000_000):
        trainer.save()
    assert [path.name for path in checkpoints_in(tmp_path)] == ["1000000"]
    assert trainer_of(run_config, tmp_path).done == 1_000_000


def test_a_disk_that_is_full_anywhere_in_the_loop_names_the_runs_folder(run_config, tmp_path, monkeypatch):
    troubles = [OSError(errno.ENOSPC, "No space left on device")]

    def fill(*given, **options):
        raise troubles[-1]

    trainer = trainer_of(run_config, tmp_path / "run", updates=2, preview_every=1)
    full = r"{} cannot be written \(.*No space left on device\): free some space"
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "preview", fill)
        with pytest.raises(UserError, match=full.format(tmp_path / "run")):
            trainer.run()
    checkpoint = tmp_path / "run" / "checkpoints" / f"{trainer.done:06d}"
    monkeypatch.setattr(trainer.accelerator, "save_state", fill)
    monkeypatch.setattr(trainer, "averaged", fill)
    for kind in (SafetensorError, RuntimeError):  # what the writers of files make of it
        troubles.append(kind("No space left on device"))
        with pytest.raises(UserError, match=full.format(checkpoint)):
            trainer.save()
    for trouble in troubles[:2]:
        troubles.append(trouble)
        with pytest.raises(UserError, match=full.format(tmp_path / "run")):
            trainer.keep_best()


def test_a_signal_is_heard_and_then_means_what_it_meant():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM):
        with interruptible() as came:
            assert not came()
            signal.raise_signal(number)
            assert came()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_schedule_without_a_rise_begins_at_the_full_rate():
    assert [Schedule(4, 0).share(n) for n in (0, 2)] == [1, pytest.approx(0.5)]
    assert Schedule(4, 4).share(3) == 1
    assert Schedule(4, 5).share(4) == 1


# The discriminator's side


class Line(nn.Module):
    """One weight: how real a picture is, times its caption."""

    losses = RELATIVISTIC

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    @property
    def learned(self):
        return [self.weight]

    def forward(self, images, pooled):
        return self.weight * images.flatten(1).mean(1) * pooled


def judged(seed) -> Judged:
    generator = torch.Generator().manual_seed(seed)
    return Judged(*(torch.rand(4, 3, 2, 2, generator=generator) for _ in range(2)), torch.rand(4, generator=generator))


def test_a_discriminator_learns_from_the_mean_of_what_every_batch_of_an_update_made(run_config, tmp_path):
    accelerator = trainer_of(run_config, tmp_path).accelerator
    line = Line().requires_grad_(False)
    adversary = Adversary(line, 0.01, 1e9, accelerator)
    parts = [(judged(n), UpdateSeeds(0, 4, n)) for n in range(2)]
    line.weight.requires_grad_(True)
    losses = [judge(line, one, seeds) for one, seeds in parts]
    wanted = torch.autograd.grad(sum(losses) / 2, line.weight)[0]
    line.weight.requires_grad_(False)
    lost = adversary.update(parts)
    assert lost.item() == pytest.approx(sum(losses).item() / 2, rel=1e-5)
    assert line.weight.grad.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert line.weight.item() == pytest.approx(2 - 0.01 * wanted.sign().item(), rel=1e-4)
    assert not line.weight.requires_grad
    adversary.update(parts[:1])
    assert line.weight.grad.item() != pytest.approx(wanted.item(), rel=1e-2)
    adversary.clip = 1e-4
    adversary.update(parts)
    assert line.weight.grad.abs().item() == pytest.approx(1e-4, rel=1e-2)


def test_a_discriminator_that_is_lost_stops_before_its_weights_move(run_config, tmp_path):
    accelerator = trainer_of(run_config, tmp_path).accelerator
    line = Line()
    adversary = Adversary(line, 0.01, 1.0, accelerator)
    endless = judged(0)._replace(fake=torch.full((4, 3, 2, 2), float("inf")))
    with pytest.raises(UserError, match="at update 4: lower adversary-lr"):
        adversary.update([(endless, UpdateSeeds(0, 4))])
    assert line.weight.item() == 2
    assert not line.weight.requires_grad


def test_a_discriminators_noise_is_its_own_of_each_update():
    one, seeds = judged(0), UpdateSeeds(0, 4)
    same, other = judge(Line(), one, UpdateSeeds(0, 4)), judge(Line(), one, UpdateSeeds(0, 5))
    assert judge(Line(), one, seeds) == same != other
