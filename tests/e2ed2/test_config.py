"""A run's settings: how they are kept, and that files of before are read."""

import json
from dataclasses import fields

import pytest

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.training.config import KINDS, flat, upgraded
from e2ed2.training.options import refuse_unread
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import train

from .conftest import options
from .test_training import stop_after

FILES = sorted(CHECKPOINTS.glob("*/run.json"))


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_read_as_they_were_written(name):
    written = PRESETS[name].plain()
    assert upgraded(json.loads(json.dumps(written))) == written


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_settings_of_the_bundled_models_are_read(file):
    before = json.loads(file.read_text())["config"]
    now, own = upgraded(before), before["objective"]
    if isinstance(own, str):  # the options of all objectives lay beside it
        own = before | {"kind": own}
    assert now["objective"]["kind"] == own["kind"]
    for name in {"loss", "sampling_steps", "time_shift", "init", "crop"} & set(now["objective"]) & set(own):
        assert now["objective"][name] == own[name]
    assert set(now["objective"]) == {one.name for one in fields(KINDS[own["kind"]])} | {"kind"}
    assert now["trainer"]["lr"] == before["trainer"]["lr"]
    assert now["data"]["resolution"] == 128


def test_what_an_objective_never_read_is_dropped_and_what_is_younger_is_usual():
    before = {"objective": "codec", "loss": "l2", "crop": 64, "codec": {"widths": [8], "encoder_layers": [1]}}
    now = upgraded(before)["objective"]
    assert "loss" not in now
    assert (now["crop"], now["lpips"], now["zoom"]) == (64, 0.5, 1)
    trainer = upgraded(before | {"trainer": {"steps": 7, "lr": 0.1}})["trainer"]
    assert (trainer["updates"], trainer["lr"], "steps" in trainer) == (7, 0.1, False)
    assert (now["codec"]["widths"], now["codec"]["finest"]) == ([8], 32)


def test_settings_have_the_names_of_the_command_line():
    names = flat(PRESETS["l2"].plain())
    assert {"loss", "sampling-steps", "denoiser.width", "data.path", "trainer.lr", "kind"} <= set(names)
    assert not [name for name in names if "_" in name or name.startswith("objective")]


def as_before(config) -> dict:
    """As the first `run.json` files were: flat, with the options of all objectives."""
    settings = config.plain()
    objective = settings.pop("objective")
    kind = objective.pop("kind")
    trainer = settings.pop("trainer")
    settings["trainer"] = {"steps": trainer.pop("updates")} | trainer
    return settings | {"time_shift": 3.0, "crop": 128} | objective | {"objective": kind}


def test_a_run_with_settings_of_before_goes_on(run_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(run_config, tmp_path)
    file = tmp_path / "run.json"
    old = json.dumps({"config": as_before(run_config)})
    file.write_text(old)
    with pytest.raises(UserError, match=r"other settings \(loss\)"):
        train(options(run_config, loss="l1"), tmp_path)
    assert train(run_config, tmp_path)
    assert json.loads(file.read_text())["config"] == run_config.plain()


@pytest.mark.parametrize(
    "given", [["--time_shift=5"], ["--no-checkpointed", "--no-precompute"], ["--lpips", "1"], ["--codec.finest", "9"]]
)
def test_an_option_is_refused_however_it_is_written(given):
    with pytest.raises(UserError, match="kind coarse does not read --"):
        refuse_unread(PRESETS["coarse"].objective, given)


def test_options_that_all_read_are_not_refused():
    for preset in PRESETS.values():
        start = next(f"--{name}" for name in ("init", "backbone", "votes") if hasattr(preset.objective, name))
        refuse_unread(preset.objective, [start, "a", "--trainer.lr", "1", "--data.path", "--out=b", "loss"])
