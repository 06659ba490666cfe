"""What a training logs, and that logs of before are read."""

import json
import re
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

from e2ed2.assets import CHECKPOINTS
from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import divided_places, load_held_out, load_pictures, split_rows
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.config import TrainerConfig
from e2ed2.training.metrics import Logged, Measured, Metrics, Weighted, read_metrics, write_metrics
from e2ed2.training.run import build, held_out_batch, train
from e2ed2.training.trainer import Trainer

from .conftest import options
from .test_training import weights

BEFORE = '{"step": 10, "seconds": 2.5, "l2": 0.06, "lpips": 0.5, "discriminator": 0.7, "grad_norm": 0.4}'


def test_terms_are_logged_raw_beside_their_weights_and_the_sum(run_config, tmp_path):
    assert train(options(run_config, loss="l1:2+l2:0.25"), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        assert {name: term["weight"] for name, term in line["terms"].items()} == {"l1": 2, "l2": 0.25}
        total = sum(term["weight"] * term["value"] for term in line["terms"].values())
        assert line["loss"] == pytest.approx(total, rel=1e-4)
        assert line["grad_norm"] > 0
    assert [line["lr"] for line in lines] == pytest.approx([1e-3, 1e-3, 0.75e-3, 0.25e-3])


@pytest.fixture
def with_others(run_config, tmp_path):
    """Data that has a split to measure on: 40 pictures to train on and 8 others."""
    table = pq.read_table(run_config.data.path)
    split = pa.array(["train"] * 40 + ["combo"] * (len(table) - 40))
    file = tmp_path / "both.parquet"
    pq.write_table(table.set_column(table.column_names.index("split"), "split", split), file)
    return replace(options(run_config, precompute=False), data=replace(run_config.data, path=str(file)))


def with_trainer(config, **given):
    return replace(config, trainer=replace(config.trainer, **given))


def test_the_loss_on_other_pictures_is_logged_and_changes_nothing(with_others, tmp_path):
    for every in (0, 3):
        assert train(with_trainer(with_others, held_out_every=every, log_every=2), tmp_path / str(every))
    found = {line.update: line.value("held_out") for line in read_metrics(tmp_path / "3")}
    assert [update for update, value in found.items() if value] == [3, 4]
    assert not [line for line in read_metrics(tmp_path / "0") if line.value("held_out")]
    without, measured = weights(tmp_path / "0"), weights(tmp_path / "3")
    assert all(torch.equal(without[name], measured[name]) for name in without)


def test_the_held_out_loss_is_of_the_averaged_weights_on_a_fixed_batch(with_others, tmp_path):
    objective, batches = build(with_others)
    batch = held_out_batch(with_others, objective)
    assert len(batch.latents) == 8
    trainer = Trainer(with_others.trainer, objective, batches, tmp_path, held_out=batch)
    trainer.train_step()
    trainer.train_step()
    first, again = trainer.held_out_loss(batch), trainer.held_out_loss(batch)
    assert first == again
    trainer.ema.copy_to([weights for weights in trainer.model.parameters() if weights.requires_grad])
    assert trainer.objective(batch, UpdateSeeds(0, 0)).total().item() == pytest.approx(first.item(), rel=1e-6)
    assert torch.equal(held_out_batch(with_others, objective).text.pooled, batch.text.pooled)


def test_without_a_split_the_rows_that_are_held_out_are_not_trained_on(run_config, tmp_path):
    table = pq.read_table(run_config.data.path).drop_columns(["split"])
    pq.write_table(table, tmp_path / "one.parquet")
    every = replace(run_config.data, path=str(tmp_path / "one.parquet"))
    assert load_held_out(every, 64) is None
    some = replace(every, held_out=0.1)
    rest, held = load_pictures(some), load_held_out(some, 64)
    assert len(held) == len(table) // 10
    assert len(rest) + len(held) == len(table) == len(load_pictures(every))
    assert not {image.tobytes() for image in rest.images} & {image.tobytes() for image in held.images}
    assert len(load_held_out(some, 2)) == 2


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.15, 0.3, 0.4, 0.5])
def test_as_many_pictures_are_held_out_as_the_share_says(share):
    kept, held = divided_places(np.arange(10_000), share)
    assert len(held) == round(10_000 * share)
    assert sorted([*kept, *held]) == list(range(10_000))
    if share in (0.02, 0.05, 0.5):
        assert np.array_equal(held, np.arange(round(1 / share) - 1, 10_000, round(1 / share)))


def test_the_bundled_drawings_are_held_out_by_their_split():
    rows, held = split_rows(DataConfig())
    assert {row.fields["split"] for row in rows} == {"train"}
    assert {row.fields["split"] for row in held} == {"combo"}


MEASURED = Measured({"l2": torch.tensor(0.12345678)}, {"l2": 0.3}, {"loss": torch.tensor(0.5), "lr": 1e-4})


@pytest.fixture
def clock(monkeypatch):
    """Says what its one number is."""
    now = [100.0]
    monkeypatch.setattr("e2ed2.training.metrics.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_an_update_is_said_with_the_time_that_is_left_and_the_speed_since_the_start(tmp_path, capsys, clock):
    config = TrainerConfig(updates=10, batch_size=4, accumulate=2, log_every=3)
    write_metrics(tmp_path, [Logged(2, 5.0, {}, {"loss": 1.0}), Logged(3, 7.0, {}, {"loss": 1.0})])
    with Metrics(tmp_path, config, done=2, processes=3, main=True) as metrics:
        (task,) = metrics.bar.tasks
        assert (task.total, task.completed, task.description) == (10, 2, "training")
        clock[0] = 104.0
        line = metrics.add(3, MEASURED)
        assert (line.update, line.seconds, line.terms) == (3, 9.0, {"l2": Weighted(0.123457, 0.3)})
        rate = "6.0 samples/s, l2 0.1235, loss 0.5, lr 0.0001"
        assert capsys.readouterr().out == f"3/10, 0:00:28 left, {rate}\n"
        assert (task.completed, task.description) == (3, rate)
        assert [one.update for one in read_metrics(tmp_path)] == [2, 3]
        assert metrics.add(4, MEASURED) is None
        assert (task.completed, task.description) == (4, rate)
        clock[0] = 108.04
        assert metrics.add(5, MEASURED.with_number("held_out", 0.7)).numbers["held_out"] == 0.7
        assert metrics.add(10, MEASURED).seconds == 13.0
    assert [(one.update, one.seconds) for one in read_metrics(tmp_path)] == [(2, 5.0), (3, 9.0), (5, 13.0), (10, 13.0)]


def test_processes_beside_the_first_write_and_say_nothing(tmp_path, capsys):
    with Metrics(tmp_path / "run", TrainerConfig(updates=10, log_every=1), 0, 2, main=False) as metrics:
        assert metrics.add(1, MEASURED) is None
        assert metrics.bar.tasks[0].completed == 1
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "run").exists()


def test_on_a_terminal_a_bar_takes_the_place_of_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with Metrics(tmp_path, TrainerConfig(updates=10, log_every=1), 0, 1, main=True) as metrics:
        assert not metrics.bar.disable
        metrics.add(1, MEASURED)
        shown = Console(width=100, file=StringIO())
        shown.print(metrics.bar.make_tasks_table(metrics.bar.tasks))
    assert re.match(r"1/10 [\d:-]{7} [━╺╸ ]{20} [\d.]+ samples/s, l2 0\.1235, loss 0\.5,", shown.file.getvalue())
    assert " left, " not in capsys.readouterr().out
    with Metrics(tmp_path, TrainerConfig(updates=10), 0, 1, main=False) as metrics:
        assert metrics.bar.disable


def test_what_is_not_finite_is_logged_as_nothing():
    found = replace(MEASURED, terms={"l2": torch.tensor(float("inf"))}, numbers={"loss": float("nan")}).logged(7, 1.5)
    assert found == Logged(7, 1.5, {"l2": Weighted(None, 0.3)}, {"loss": None})
    assert found.names() == ["l2", "loss"]


def test_a_line_is_read_as_it_was_written():
    line = Logged(3, 1.5, {"l2": Weighted(0.25, 0.3), "gan": Weighted(None, 1)}, {"loss": None, "lr": 1e-7})
    assert Logged.read(json.loads(json.dumps(line.plain())), {}) == line
    assert (line.value("l2"), line.value("gan"), line.value("lr"), line.value("other")) == (0.25, None, 1e-7, None)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"objective": "end_to_end", "loss": "l2:0.3+lpips:2"}, (0.2, 0.25)),
        ({"objective": "codec", "loss": "l2:0.3+lpips"}, (0.06, 1.0)),
        ({"objective": "single_step", "loss": "l2:0.3+lpips"}, (0.06, 0.5)),
        (None, (0.06, 0.5)),
    ],
)
def test_lines_of_before_lose_the_weights_that_their_run_had(tmp_path, settings, values):
    (tmp_path / "metrics.jsonl").write_text(f"{BEFORE}\n")
    if settings:
        (tmp_path / "run.json").write_text(json.dumps({"config": settings}))
    (line,) = read_metrics(tmp_path)
    assert (line.value("l2"), line.value("lpips")) == pytest.approx(values)
    assert (line.update, line.seconds, line.value("loss")) == (10, 2.5, pytest.approx(0.56))
    assert (line.value("discriminator"), line.value("grad_norm")) == (0.7, 0.4)


def test_a_log_may_begin_as_before_and_end_in_the_middle(tmp_path):
    now = json.dumps(Logged(20, 5.0, {"l2": Weighted(0.1, 1)}, {"loss": 0.1}).plain())
    (tmp_path / "metrics.jsonl").write_text(f'{BEFORE}\n{{"step": 11, "seco\n7\n{now}\n{{"update": 30, "sec')
    assert [line.update for line in read_metrics(tmp_path)] == [10, 20]
    assert read_metrics(tmp_path / "nowhere") == []


def test_the_curves_of_the_bundled_models_are_read():
    folders = [file.parent for file in CHECKPOINTS.glob("*/metrics.jsonl")]
    assert len(folders) > 8
    for folder in folders:
        lines = read_metrics(folder)
        assert len(lines) > 10
        assert all(line.terms and line.value("loss") > 0 for line in lines)
