"""A database that is locked, full or broken, or that two servers share: a clear page, and nothing lost or doubled."""

import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import event, select

from study.errors import StudyError
from study.protocol.parts import CheckShares
from study.reporting.export import export_study
from study.reporting.verify import verify_export
from study.store.database import open_database
from study.store.frames import read_tables
from study.store.raters import Person, deal, enrol, personal_token, set_practised
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.tables import Rater
from study.store.votes import cast
from study.web import create_app
from study.web.practice import DRAWN
from tests.study.voting import rater, vote_all

SAFE = "What was stored before is safe"


@pytest.fixture
def store(tmp_path, monkeypatch) -> Iterator[Store]:
    """Whose writers wait for a lock no longer than a moment."""
    monkeypatch.setattr("study.store.database.BUSY_TIMEOUT", 0.05)
    opened = Store.open(tmp_path / "data", f"sqlite:///{tmp_path}/data/study.db")
    yield opened
    opened.database.engine.dispose()


@pytest.fixture
def study(store, make_study) -> StudyInfo:
    """A rater sees all 8 pairs."""
    return make_study(store, checks=CheckShares(0, 0, 0, 0), pairs_per_rater=8)


class Voter:
    """One rater at the pages; remembers what was acknowledged."""

    def __init__(self, store: Store, study: StudyInfo, name: str = "somebody"):
        self.who = rater(store, study, name)
        set_practised(store.database, self.who.id, len(DRAWN))
        self.client = TestClient(create_app(store), raise_server_exceptions=False)
        self.link, self.acknowledged = f"/r/{personal_token(self.who)}", 0

    def form(self) -> dict[str, str]:
        page = self.client.get(self.link).text
        fields = re.findall(r'type="(hidden|radio)" name="([^"]*)" value="([^"]*)"', page)
        return {name: "left" if kind == "radio" else value for kind, name, value in fields}

    def send(self, form: dict[str, str]) -> Response:
        answer = self.client.post(f"{self.link}/vote", data=form, follow_redirects=False)
        self.acknowledged += answer.status_code == 303
        return answer


@pytest.fixture
def voter(store, study) -> Voter:
    return Voter(store, study)


def refused(answer: Response, status: int = 503) -> None:
    """A page that says so, as careful as any other."""
    assert answer.status_code == status
    assert SAFE in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def file_of(store: Store) -> Path:
    return Path(store.database.engine.url.database or "")


def stored(store: Store, study: StudyInfo) -> int:
    """Screens whose three answers are stored, each once."""
    votes = read_tables(store.database, study).votes
    assert not votes.duplicated(["assignment", "question"]).any()
    return votes["assignment"].nunique() if len(votes) else 0


def sent_again(store: Store, study: StudyInfo, voter: Voter, form: dict[str, str]) -> None:
    """The reload of a page that was refused, and one more, as impatient people do."""
    before = stored(store, study)
    assert [voter.send(form).status_code for _ in range(2)] == [303, 303]
    assert stored(store, study) == before + 1


def test_a_vote_on_a_locked_database_is_refused_and_stored_once_when_it_is_sent_again(store, study, voter, caplog):
    form = voter.form()
    with closing(sqlite3.connect(file_of(store), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused(voter.send(form))
        assert voter.client.get(voter.link).status_code == 200  # who only looks need not wait
        other.execute("ROLLBACK")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "The database failed (database is locked), so nothing was stored. Fix this, then try again."
    ]
    assert stored(store, study) == 0
    sent_again(store, study, voter, form)


def test_votes_that_wait_for_the_database_keep_nobody_else_waiting(store, study, voter, monkeypatch):
    """However few threads the server has."""
    unlocked = threading.Event()
    monkeypatch.setattr("study.web.session.cast", lambda *asked: unlocked.wait(20) and cast(*asked))
    form = voter.form()
    with TestClient(create_app(store)) as voter.client, ThreadPoolExecutor() as people:
        assert voter.client.portal.call(current_default_thread_limiter).total_tokens == 2
        votes = [people.submit(voter.send, form) for _ in range(4)]
        assert people.submit(voter.client.get, voter.link).result(timeout=10).status_code == 200
        unlocked.set()
        assert [vote.result(timeout=10).status_code for vote in votes] == [303] * 4
    assert stored(store, study) == 1


def test_statistics_after_a_last_answer_keep_nobody_waiting(store, study, monkeypatch):
    begun, done = threading.Event(), threading.Event()
    monkeypatch.setattr("study.web.turns.settle", lambda *_: (begun.set(), done.wait(20)))
    voters = [Voter(store, study, name) for name in ("Ann", "Bob", "Cem")]
    for voter in voters:
        vote_all(store, voter.who, limit=7)
    with TestClient(create_app(store)) as client, ThreadPoolExecutor() as people:
        for voter in voters:
            voter.client = client
        last = [people.submit(voter.send, voter.form()) for voter in voters]
        assert begun.wait(10)
        assert people.submit(client.get, voters[0].link).result(timeout=10).status_code == 200
        done.set()
        assert [vote.result(timeout=10).status_code for vote in last] == [303] * 3


def test_what_nobody_expected_is_such_a_page_too(store, study, voter, monkeypatch):
    form = voter.form()
    with monkeypatch.context() as broken:
        broken.setattr("study.web.session.cast", lambda *_: 1 / 0)
        refused(voter.send(form), 500)
    sent_again(store, study, voter, form)


def test_a_full_disk_loses_no_vote_that_was_acknowledged(store, study, voter):
    """SQLite's own limit of a file's size fails as a disk does that has no block left."""
    room = {"pages": 0}
    with closing(sqlite3.connect(file_of(store))) as opened:
        room["pages"] = opened.execute("PRAGMA page_count").fetchone()[0]

    @event.listens_for(store.database.engine, "checkout")
    def limit(connection, *_) -> None:
        connection.execute(f"PRAGMA max_page_count={room['pages']}")

    while (answer := voter.send(form := voter.form())).status_code == 303:
        assert voter.acknowledged < 8, "never full"
    refused(answer)
    assert stored(store, study) == voter.acknowledged > 0
    room["pages"] += 100
    sent_again(store, study, voter, form)


@pytest.mark.parametrize("broken", [slice(0, 100), slice(4096, None)], ids=["header", "pages"])
def test_a_broken_database_is_told_and_what_was_stored_is_there_when_it_is_mended(store, study, voter, broken):
    assert voter.send(voter.form()).status_code == 303
    form = voter.form()
    store.database.engine.dispose()
    file, whole = file_of(store), file_of(store).read_bytes()
    file.write_bytes(whole[: broken.start] + b"\xa5" * len(whole[broken]) + whole[broken.stop or len(whole) :])
    refused(voter.send(form))
    with pytest.raises(StudyError, match="The database cannot be opened"):
        open_database(file.parent, f"sqlite:///{file}")
    store.database.engine.dispose()
    file.write_bytes(whole)
    assert stored(store, study) == 1
    sent_again(store, study, voter, form)


def at_once(*works) -> None:
    """Each in a thread of its own; raises what any of them raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        for work in [pool.submit(work) for work in works]:
            work.result()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def test_two_servers_on_one_database_give_no_place_and_store_no_answer_twice(request, make_study, tmp_path, kind):
    store: Store = request.getfixturevalue(f"{kind}_store")
    url = store.database.engine.url.render_as_string(hide_password=False)
    other = Store.open(tmp_path / "data", url)
    study = make_study(store, checks=CheckShares(0, 0, 0, 0), raters_per_pair=3)
    names = [f"rater {i}" for i in range(6)]
    came: set[tuple[str, str]] = set()

    def take_part(server: Store, name: str) -> None:
        """Everybody comes by both servers at the same moment, and votes in both tabs."""
        who = enrol(server.database, study, Person("invite", name))
        came.add((name, who.id))
        deal(server.database, who)
        vote_all(server, who)

    at_once(*(lambda s=s, name=name: take_part(s, name) for name in names for s in (store, other)))
    assert len(came) == len(names)
    with store.database.read() as session:
        seats = Counter(session.scalars(select(Rater.seat).where(Rater.seat.is_not(None))))
    assert sorted(seats.items()) == [(seat, 1) for seat in range(6)]
    export_study(store, study, tmp_path / "out")
    found = verify_export(tmp_path / "out")
    assert (found.problems, found.votes, found.revisions) == ((), 72, 72 + 6)  # six have finished
    other.database.engine.dispose()
