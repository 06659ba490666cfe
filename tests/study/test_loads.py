"""The load and kill benchmarks, small: real server processes, real connections."""

import pytest

from benchmarks import study_kills
from benchmarks.study_load import Server, check, make_store, vote_at_once

pytestmark = pytest.mark.slow


def test_raters_at_once_over_http_lose_and_double_nothing(tmp_path):
    store, study = make_store(tmp_path, raters=8, prompts=5)
    server = Server(tmp_path / "data")
    try:
        raters = vote_at_once(lambda: server.port, study, 8)
    finally:
        server.kill()
    assert check(store, study, raters, tmp_path / "export") == 8 * 8 * 3


def test_a_killed_server_loses_and_doubles_no_acknowledged_vote(tmp_path):
    answers, kills = study_kills.run(kills=3, raters=6, prompts=20, folder=tmp_path)
    assert kills >= 1
    assert answers == 6 * 23 * 3


def test_the_check_notices_a_vote_that_is_lost_or_was_never_given(tmp_path):
    store, study = make_store(tmp_path, raters=1, prompts=3)
    server = Server(tmp_path / "data")
    try:
        (voter,) = vote_at_once(lambda: server.port, study, 1)
    finally:
        server.kill()
    check(store, study, [voter], tmp_path / "export")
    voter.acknowledged[("somewhere", "overall")] = "left"
    with pytest.raises(AssertionError, match="lost"):
        check(store, study, [voter], tmp_path / "export")
