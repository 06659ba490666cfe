"""Trackers show what metrics.jsonl says."""

from dataclasses import replace

import pytest
from tensorboardX.proto.event_pb2 import Event

from e2ed2.errors import UserError
from e2ed2.training import tracking
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import train


def scalars(folder) -> dict[str, dict[int, float]]:
    """Each curve by its name: update => value, from the event files (length, its check, the event, its check)."""
    found: dict[str, dict[int, float]] = {}
    for file in sorted(folder.rglob("events*")):
        data, place = file.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
            place += 16 + length
    return found


def test_the_curve_is_also_in_the_tracker(run_config, tmp_path):
    trainer = replace(run_config.trainer, updates=2, track="tensorboard")
    assert train(replace(run_config, trainer=trainer), tmp_path)
    seen = scalars(tmp_path / "track")
    for line in read_metrics(tmp_path):
        for name in ("l2", "loss", "grad_norm", "lr"):
            assert seen[name][line.update] == pytest.approx(line.value(name), rel=1e-4)


def test_a_tracker_that_is_not_installed_is_a_sentence(run_config, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    trainer = replace(run_config.trainer, track="trackio")
    with pytest.raises(UserError, match="trackio is not installed: run `pip install trackio`"):
        train(replace(run_config, trainer=trainer), tmp_path)
