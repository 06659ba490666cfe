"""The load and kill benchmarks, small: real server processes, real connections."""

import itertools
import resource
import threading

import pytest
from sqlalchemy import select

from benchmarks import study_kills
from benchmarks.study_load import Server, check, make_store, vote_at_once
from study.store.tables import Rater

pytestmark = pytest.mark.slow


def test_raters_at_once_over_http_lose_and_double_nothing(tmp_path):
    store, study = make_store(tmp_path, raters=8, prompts=5)
    server = Server(tmp_path / "data")
    try:
        raters = vote_at_once(lambda: server.port, study, 8)
    finally:
        server.kill()
    assert check(store, study, raters, tmp_path / "export") == 8 * 8 * 3


def test_two_server_processes_on_one_database_lose_and_double_nothing(tmp_path):
    store, study = make_store(tmp_path, raters=8, prompts=5)
    servers = [Server(tmp_path / "data") for _ in range(2)]
    ports = itertools.cycle(server.port for server in servers)
    try:
        raters = vote_at_once(lambda: next(ports), study, 8)
    finally:
        for server in servers:
            server.kill()
    assert check(store, study, raters, tmp_path / "export") == 8 * 8 * 3
    with store.database.read() as session:
        assert sorted(session.scalars(select(Rater.seat))) == list(range(8))


def test_a_disk_that_is_full_for_a_while_loses_no_acknowledged_vote(tmp_path):
    """The server's files may not grow, as on a full disk; whoever is refused sends the same form again."""
    store, study = make_store(tmp_path, raters=4, prompts=20)
    server = Server(tmp_path / "data")
    largest = (tmp_path / "data" / "study.db-wal").stat().st_size + 200_000
    _, most = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (largest, most))
    room = threading.Timer(6, lambda: resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, most)))
    room.start()
    try:
        raters = vote_at_once(lambda: server.port, study, 4)
    finally:
        room.cancel()
        server.kill()
    assert sum(rater.refused for rater in raters) > 0
    assert check(store, study, raters, tmp_path / "export") == 4 * 25 * 3


def test_a_killed_server_loses_and_doubles_no_acknowledged_vote(tmp_path):
    answers, kills = study_kills.run(kills=3, raters=6, prompts=20, folder=tmp_path)
    assert kills >= 1
    assert answers == 6 * 25 * 3


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
