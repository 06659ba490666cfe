"""A run's folder: whose it is, what may change, what survives, and what its card says."""

import errno
import json
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock
from PIL import Image

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.seeds import UpdateSeeds
from e2ed2.training import describe
from e2ed2.training.amount import AMOUNT
from e2ed2.training.card import UNKNOWN_DATA, licence_of
from e2ed2.training.metrics import Logged, Measured, read_metrics, write_metrics
from e2ed2.training.run import build, claim, train, write_model
from e2ed2.training.trainer import SKIPPED, Trainer

from .conftest import TINY_CODEC, of_kind, options
from .test_training import stop_after


def longer(config, updates):
    return replace(config, trainer=replace(config.trainer, updates=updates))


def test_what_a_person_keeps_beside_the_checkpoints_stays(run_config, tmp_path):
    config = replace(run_config, trainer=replace(run_config.trainer, save_every=1))
    kept = tmp_path / "checkpoints"
    for name in ("best", "000002-keep", "old.partial"):
        (kept / name).mkdir(parents=True)
    (kept / ".DS_Store").write_text("stray")
    assert train(config, tmp_path)
    assert train(longer(config, 6), tmp_path)
    assert {file.name for file in kept.iterdir()} == {"best", "000002-keep", "old.partial", ".DS_Store", "000006"}


def test_a_folder_is_held_by_one_training_at_a_time(run_config, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(UserError, match="Another training is going on"):
        train(run_config, tmp_path)
    assert train(run_config, tmp_path)  # a lock whose holder is gone


def test_a_finished_run_can_be_made_longer_and_looked_at_more_often(run_config, tmp_path):
    assert train(run_config, tmp_path)
    more = replace(run_config.trainer, updates=7, log_every=2, preview_every=1, save_every=3)
    assert train(replace(run_config, trainer=more), tmp_path)
    assert [line.update for line in read_metrics(tmp_path)] == [1, 2, 3, 4, 6, 7]
    assert "7 of 4 pictures" in (tmp_path / "model" / "README.md").read_text()


def test_a_run_that_is_longer_than_asked_for_is_left_as_it_is_and_said_to_be(run_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert not train(run_config, tmp_path)
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(UserError, match=r"has 3 updates already, and 2 are asked for: add --trainer\.updates 3 to"):
        train(longer(run_config, 2), tmp_path)
    assert (tmp_path / "run.json").read_text() == before
    assert train(longer(run_config, 3), tmp_path)
    assert "3 of 4 pictures" in (tmp_path / "model" / "README.md").read_text()


def test_settings_that_differ_are_named(run_config, tmp_path):
    assert train(run_config, tmp_path)
    other = replace(options(run_config, loss="l1"), trainer=replace(run_config.trainer, lr=2e-3, updates=9))
    with pytest.raises(UserError, match=r"other settings \(loss, trainer\.lr\)"):
        train(other, tmp_path)


@pytest.mark.parametrize("make", [lambda place: place.write_text("a file"), lambda place: None])
def test_a_place_that_cannot_be_a_folder_is_one_sentence(run_config, tmp_path, make):
    make(tmp_path / "file")
    place = tmp_path / "file" if (tmp_path / "file").exists() else tmp_path / "\0"
    with pytest.raises((UserError, ValueError), match=r"cannot be a run's folder|null byte"):
        train(run_config, place)


def test_a_line_that_was_cut_off_does_not_end_a_run(run_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(run_config, tmp_path)
    file = tmp_path / "metrics.jsonl"
    file.write_text(file.read_text() + '{"update": 3, "sec')
    assert train(run_config, tmp_path)
    assert [line.update for line in read_metrics(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("damage", [pytest.param(b"", marks=pytest.mark.slow), b"half"])
@pytest.mark.parametrize("name", ["optimizer.bin", pytest.param("custom_checkpoint_0.pkl", marks=pytest.mark.slow)])
def test_a_damaged_part_of_a_checkpoint_is_one_sentence(run_config, tmp_path, monkeypatch, name, damage):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        train(run_config, tmp_path)
    (part,) = (tmp_path / "checkpoints").glob(f"*/{name}")
    part.write_bytes(damage)
    with pytest.raises(UserError, match="cannot be resumed"):
        train(run_config, tmp_path)


@pytest.fixture
def trainer(run_config, tmp_path):
    return Trainer(run_config.trainer, *build(run_config), tmp_path)


def measured(loss=1.0, norm=1.0):
    return Measured({}, {}, {"loss": torch.tensor(loss), "grad_norm": torch.tensor(norm)})


def test_fp16_may_leave_out_an_update_but_not_all(trainer, monkeypatch):
    monkeypatch.setattr(trainer.accelerator.state, "_mixed_precision", "fp16")
    for _ in range(SKIPPED):
        trainer.check_finite(measured(norm=float("nan")))
    trainer.check_finite(measured())
    for _ in range(SKIPPED):
        trainer.check_finite(measured(norm=float("nan")))
    with pytest.raises(UserError, match="or train in bf16"):
        trainer.check_finite(measured(norm=float("nan")))


def test_a_loss_that_is_not_finite_stops_other_precisions_at_once(trainer):
    with pytest.raises(UserError, match="not finite"):
        trainer.check_finite(measured(loss=float("inf")))


def test_weights_that_are_not_finite_are_never_written(run_config, tmp_path):
    objective, batches = build(run_config)
    next(objective.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite, so no model is written"):
        objective.export(tmp_path / "model", batches.pictures)
    assert not (tmp_path / "model").exists()


def test_a_log_that_is_no_terminal_has_plain_lines(run_config, tmp_path, capsys):
    assert train(run_config, tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if " left, " in line]
    assert [line.split(",")[0] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]


@pytest.fixture
def circles(tmp_path):
    folder = tmp_path / "circles"
    folder.mkdir()
    rows = ["file_name,caption"]
    for i in range(5):
        Image.new("RGB", (40, 40), (40 * i, 0, 0)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,a circle number {i}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def test_the_card_of_ones_own_model_speaks_of_ones_own_data(run_config, circles, tmp_path):
    config = replace(run_config, data=DataConfig(path=str(circles), resolution=32))
    assert train(config, tmp_path / "run")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    for word in ("emoji", "apache", "Noto", "python -m e2ed2 train run"):
        assert word not in card
    assert f"`{circles}`, 5 pictures at 32x32 pixels" in card
    assert "says nothing of its licence" in card
    assert "E2ED2Pipeline.from_pretrained" in card
    assert "a circle number 0" in card


def test_the_card_counts_the_work_and_the_samples_of_every_process_and_batch(run_config, tmp_path):
    """Two processes, three batches of four pictures each, two samples of a picture, five updates of 1 GFLOP a batch."""
    config = replace(
        options(run_config, samples=2, precompute=False), trainer=replace(run_config.trainer, accumulate=3)
    )
    objective, batches = build(config)
    accelerator = SimpleNamespace(num_processes=2, device=torch.device("cpu"))
    finished = {"bare": objective, "batches": batches, "accelerator": accelerator, "best_update": None}
    trainer = SimpleNamespace(**finished, to_write=lambda fresh: nullcontext(objective))
    claim(tmp_path, config, processes=2)
    write_metrics(tmp_path, [Logged(5, 1.0, {}, {"loss": 0.5})])
    assert write_model(trainer, config, tmp_path)
    assert json.loads((tmp_path / "model" / "run.json").read_text())["cost"]["flop"] == 2 * 3 * 5e9
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| updates | 5 of 12 pictures on each of 2 processes: 240 samples |" in card
    assert "| work | 3e-05 PFLOP," in card


def test_a_dry_run_counts_the_work_of_every_batch_of_an_update(run_config, monkeypatch):
    monkeypatch.setattr(describe, "update_flops", lambda *given: 1e9)
    config = replace(options(run_config, precompute=False), trainer=replace(run_config.trainer, accumulate=2))
    assert "2.0 GFLOP an update of 8 pictures\n" in describe.describe_run(config, updates=1)


@pytest.mark.parametrize(
    ("name", "text"),
    [("LICENSE", "CC0 1.0"), pytest.param("README.md", "License: CC0 1.0", marks=pytest.mark.slow)],
)
def test_the_card_quotes_what_the_data_say_of_their_licence(run_config, circles, tmp_path, name, text):
    (circles / name).write_text(text)
    config = replace(run_config, data=DataConfig(path=str(circles), resolution=32))
    assert train(config, tmp_path / "run")
    assert f"(`{name}`):\n\n> {text}" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_a_set_of_a_hub_has_no_licence_of_the_folder_that_a_training_runs_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LICENSE").write_text("of something else")
    assert licence_of("hf:set") == UNKNOWN_DATA
    assert "of something else" in licence_of("set.parquet")


def test_settings_are_not_lost_on_a_disk_that_is_full(run_config, tmp_path, monkeypatch):
    claim(tmp_path, run_config)
    before, write = (tmp_path / "run.json").read_text(), Path.write_text

    def half(file, text, *given):
        write(file, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space left"):
        claim(tmp_path, run_config)
    assert (tmp_path / "run.json").read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_a_model_that_is_too_large_to_count_is_not_taken_for_a_full_disk(run_config, tmp_path, monkeypatch):
    def too_large(*given):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("e2ed2.training.run.update_flops", too_large)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(run_config, tmp_path)


def test_the_commit_is_this_packages_own(run_config, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git = ["git", "-C", str(other), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *command], check=True)
    theirs = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.chdir(other)
    assert train(run_config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["commit"] != theirs


def stopped(config, folder, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(config, folder)


def test_a_set_that_has_grown_meanwhile_is_not_gone_on_with(run_config, circles, tmp_path, monkeypatch):
    config = replace(run_config, data=DataConfig(path=str(circles), resolution=32))
    stopped(config, tmp_path / "run", monkeypatch)
    table = circles / "metadata.csv"
    before = table.read_text()
    table.write_text(f"{before}\n0.png,one more circle")
    for _ in range(2):  # the refusal is no new beginning
        with pytest.raises(UserError, match="learned from 5 pictures, and now there are 6: put the set back"):
            train(config, tmp_path / "run")
    table.write_text(before)
    assert train(config, tmp_path / "run")
    table.write_text(f"{before}\n0.png,one more circle")
    assert train(config, tmp_path / "another")


@pytest.mark.parametrize(("share", "alike"), [(0.0, True), (0.25, True), (1 / 3, True), (0.3, False), (0.4, False)])
def test_a_run_of_before_goes_on_where_the_same_pictures_are_held_out(
    run_config, circles, tmp_path, monkeypatch, share, alike
):
    config = replace(run_config, data=DataConfig(path=str(circles), resolution=32, held_out=share))
    stopped(config, tmp_path / "run", monkeypatch)
    file = tmp_path / "run" / "run.json"
    now = json.loads(file.read_text())
    before = {name: value for name, value in now.items() if name != AMOUNT}
    file.write_text(json.dumps(before))
    if alike:
        assert train(config, tmp_path / "run")
        assert json.loads(file.read_text())[AMOUNT] == now[AMOUNT]
        return
    with pytest.raises(UserError, match=f"an earlier version took others for --data.held-out {share}: choose another"):
        train(config, tmp_path / "run")
    file.write_text(json.dumps(now))
    assert train(config, tmp_path / "run")


def test_a_preview_of_few_pictures_shows_each_once(circles, run_config):
    config = replace(options(run_config, precompute=False), data=DataConfig(path=str(circles), resolution=32))
    images = build(config)[1].preview().images
    assert len(images) == len(images.flatten(1).unique(dim=0)) == 5


@pytest.mark.parametrize("kind", ["codec", "coarse", "single_step", "end_to_end"])
def test_everything_is_on_the_device_of_the_training(run_config, monkeypatch, kind):
    """`meta` stands for a GPU: it refuses as a GPU does what was left on the CPU."""
    for where in ("seeds", "data.batches", "objectives.chain"):
        monkeypatch.setattr(f"e2ed2.{where}.stream", lambda *_, device="cpu": None)
    config = of_kind(run_config, kind)
    if kind == "codec":
        config = options(config, init="", codec=TINY_CODEC)
    else:
        config = options(config, precompute=False, **({"loss": "l2+lpips"} if kind == "end_to_end" else {}))
    objective, batches = build(config)
    if kind == "codec":
        batches.device = "meta"  # as `build(config, device)` has it
    else:
        batches.options = replace(batches.options, device="meta")
    objective.to("meta")
    outcome = objective(batches(0), UpdateSeeds(0, 0, device="meta"))
    assert {term.device.type for term in outcome.terms.values()} == {"meta"}


def test_the_device_reaches_model_and_batches(run_config, monkeypatch):
    monkeypatch.setattr("e2ed2.data.batches.CaptionedBatches.encode", lambda self, picked: torch.zeros(len(picked)))
    objective, batches = build(options(run_config, precompute=False), "meta")
    assert {weights.device.type for weights in objective.parameters()} == {"meta"}
    assert batches.options.device.type == "meta"
