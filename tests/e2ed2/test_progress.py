"""Long work says how far it is, in a terminal and in a log."""

import pytest

from e2ed2 import progress
from e2ed2.progress import track


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as the work says."""
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])  # not that of event loops in other threads
    return now


def worked(clock, seconds: float, items=range(10), **options) -> list[int]:
    done = []
    for item in track(items, "looking", **options):
        clock[0] += seconds
        done.append(item)
    return done


def test_a_log_gets_a_line_now_and_then(clock, capsys):
    assert worked(clock, 15.0) == list(range(10))
    told = capsys.readouterr()
    assert told.err.splitlines()[:2] == ["looking: 2 of 10, 0:02:00 left", "looking: 4 of 10, 0:01:30 left"]
    assert len(told.err.splitlines()) == 5
    assert told.out == ""  # that is for what a command answers


def test_short_work_says_nothing(clock, capsys):
    worked(clock, 0.9 * progress.PAUSE / 10)
    assert capsys.readouterr().err == ""


def test_what_has_no_end_says_how_much_is_done(clock, capsys):
    worked(clock, 30.0, iter(range(2)))
    assert capsys.readouterr().err.splitlines() == ["looking: 1", "looking: 2"]
    worked(clock, 30.0, iter(range(2)), total=2)
    assert capsys.readouterr().err.splitlines()[0] == "looking: 1 of 2, 0:00:30 left"


def test_other_processes_are_silent(clock, capsys):
    assert worked(clock, 60.0, disable=True) == list(range(10))
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    assert list(track(range(3), "looking")) == [0, 1, 2]
    told = capsys.readouterr()
    assert "looking" in told.err
    assert "100%" in told.err
    assert told.out == ""
