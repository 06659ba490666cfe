"""Votes on SQLite and PostgreSQL: never lost, never doubled, never overwritten, never another's."""

import json
import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, select, update
from sqlalchemy.exc import IntegrityError

from study.clock import now
from study.errors import StudyError
from study.protocol.columns import RATER_COLUMNS, VOTE_COLUMNS
from study.protocol.parts import CheckShares, Question
from study.reporting.export import export_study, read_export
from study.reporting.verify import verify_export
from study.store.frames import read_tables, read_votes
from study.store.leaving import drop
from study.store.raters import (
    Person,
    deal,
    enrol,
    find_rater,
    invite,
    personal_token,
    read_invitation,
    set_practised,
    welcome_back,
)
from study.store.store import Store
from study.store.studies import amend_study, close_study, create_study, find_study, progress
from study.store.tables import Base, Event, Rater, StoredAssignment, StoredPair, Vote
from study.store.votes import cast, finish, last_receipt, last_screen, next_screen, note
from tests.study.forging import forge
from tests.study.stores import open_store
from tests.study.voting import ballot, rater, vote_all


def add(store, row):
    with store.database.write() as session:
        session.add(row)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request) -> Store:
    """Here both are quick: what is never lost must be kept by either."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def study(store, make_study):
    return make_study(store)


def test_the_migrations_make_the_tables_that_the_models_name(store):
    with store.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_rater_answers_every_pair_once_and_is_through(store, study):
    who = rater(store, study)
    none = last_receipt(store.database, who)
    assert (none.number, none.hash) == (0, "")
    receipts = vote_all(store, who)
    assert len(receipts) == 7  # 4 comparisons, one check of each of three kinds
    assert [receipt.number for receipt in receipts] == [3 * i for i in range(1, 8)]
    assert last_receipt(store.database, who) == receipts[-1]
    tables = read_tables(store.database, study)
    assert tuple(tables.votes.columns) == VOTE_COLUMNS
    assert tuple(tables.raters.columns) == RATER_COLUMNS
    assert len(tables.votes) == 21
    assert not tables.votes.duplicated(["assignment", "question"]).any()
    assert list(tables.raters["status"]) == ["finished"]


def test_the_same_request_again_gets_the_same_receipt(store, study):
    who = rater(store, study)
    vote = ballot(next_screen(store.database, who))
    first = cast(store.database, who, vote)
    vote_all(store, who)
    assert cast(store.database, who, vote) == first
    assert len(read_tables(store.database, study).revisions) == 21 + 1  # and that the rater has finished
    with pytest.raises(match="another choice"):
        cast(store.database, who, replace(vote, answers=dict.fromkeys(vote.answers, "tie")))


def test_a_double_click_in_two_tabs_is_one_vote(store, study):
    who = rater(store, study)
    screen = next_screen(store.database, who)
    receipts = {cast(store.database, who, ballot(screen)) for _ in range(4)}
    assert len(receipts) == 1
    assert len(read_tables(store.database, study).revisions) == 3


def test_a_vote_holds_the_lock_for_few_queries(store, study):
    """While one is stored, all others wait; to build a query takes longer than to run it."""
    who, asked = rater(store, study), []
    vote_all(store, who, limit=1)
    event.listen(store.database.engine, "before_cursor_execute", lambda *event: asked.append(event[2]))
    screen = next_screen(store.database, who)
    asked.clear()
    cast(store.database, who, ballot(screen))
    assert len([query for query in asked if not query.startswith("BEGIN")]) <= 8, asked


def test_a_changed_answer_is_a_new_revision(store, study):
    who = rater(store, study)
    screen = next_screen(store.database, who)
    cast(store.database, who, ballot(screen, "left"))
    before = last_screen(store.database, who)
    assert before.assignment == screen.assignment
    assert set(before.answers.values()) == {"left"}
    changed = dict.fromkeys(before.answers, "left") | {"overall": "tie"}
    cast(store.database, who, ballot(before, answers=changed))
    tables = read_tables(store.database, study)
    assert [(r["question"], r["answer"], r["revision"]) for r in tables.revisions] == [
        ("overall", "left", 1),
        ("aesthetic", "left", 1),
        ("alignment", "left", 1),
        ("overall", "tie", 2),
    ]
    assert dict(zip(tables.votes["question"], tables.votes["answer"], strict=True)) == changed
    assert next_screen(store.database, who).assignment != screen.assignment


def test_a_vote_must_be_ones_own_complete_and_in_turn(store, study):
    mine, other = rater(store, study, "me"), rater(store, study, "other")
    screen, theirs = next_screen(store.database, mine), next_screen(store.database, other)
    with pytest.raises(match="not yours"):
        cast(store.database, mine, ballot(theirs))
    with pytest.raises(match="not yours"):
        cast(store.database, mine, ballot(screen, answers={"overall": "left"}))
    with pytest.raises(match="not yours"):
        cast(store.database, mine, ballot(screen, assignment="0" * 16))
    for changes in ({"answers": {"overall": "both"}}, {"request": "x"}):
        with pytest.raises(StudyError):
            ballot(screen, **changes)
    with store.database.read() as session:
        later = session.scalars(
            select(StoredAssignment)
            .where(StoredAssignment.rater_id == mine.id)
            .order_by(StoredAssignment.position.desc())
        ).first()
    with pytest.raises(match="not yours"):
        cast(store.database, mine, ballot(replace(screen, assignment=later.id)))
    assert read_tables(store.database, study).votes.empty


@pytest.mark.parametrize(
    "wrong",
    [
        {"answer": "both"},
        {"rater_id": "other"},
        {"revision": 1},
        {"number": 1},
        {"clock": "sun"},
        {"response_ms": -1},
        {"question": "overall", "is_current": True},
    ],
)
def test_the_database_itself_refuses_what_must_not_be(store, study, wrong):
    who, other = rater(store, study), rater(store, study, "other")
    cast(store.database, who, ballot(next_screen(store.database, who)))
    if wrong == {"rater_id": "other"}:
        wrong = {"rater_id": other.id}
    with store.database.read() as session:
        vote = session.scalars(select(Vote).where(Vote.question == "overall")).one()
        values = {c.name: getattr(vote, c.name) for c in Vote.__table__.columns if c.name != "id"}
    values |= {"request": "1" * 32, "number": 99, "revision": 2, "is_current": False} | wrong
    with pytest.raises(IntegrityError):
        add(store, Vote(**values))


def test_separate_mode_asks_one_question_in_each_pass(store, make_study):
    study = make_study(store, mode="separate")
    who = rater(store, study)
    asked = []
    vote_all(store, who, lambda screen: asked.append((screen.questions[0].key, screen.assignment)) or "right")
    assert [key for key, _ in asked] == ["overall"] * 7 + ["aesthetic"] * 7 + ["alignment"] * 7
    votes = read_tables(store.database, study).votes
    assert sorted(votes["position"]) == list(range(21))
    assert set(votes["mode"]) == {"separate"}


def test_one_person_takes_part_once(store, study):
    first = rater(store, study)
    assert rater(store, study).id == first.id
    with store.database.read() as session:
        row = session.get(Rater, first.id)
        values = {c.name: getattr(row, c.name) for c in Rater.__table__.columns}
    with pytest.raises(IntegrityError):
        add(store, Rater(**(values | {"id": "x", "number": 77})))


def test_who_comes_back_to_find_nothing_left_is_through_once(store, study):
    who = rater(store, study)
    vote_all(store, who, limit=1)
    for _ in range(2):
        finish(store.database, who)
    tables = read_tables(store.database, study)
    (row,) = tables.raters.to_dict("records")
    ended = [(e["entry"], e["rater"], e["time"]) for e in tables.revisions if "entry" in e]
    assert ended == [("finished", who.id, row["finished"])]
    assert row["status"] == "finished"
    vote_all(store, who)
    assert len([e for e in read_tables(store.database, study).revisions if "entry" in e]) == 1


def test_what_a_rater_does_besides_voting_is_noted(store, study):
    who, before = rater(store, study), now()
    for note_ in (("undo", "a1"), ("practice",)):
        note(store.database, who, *note_)
    with store.database.read() as session:
        events = session.query(Event).filter(Event.name.in_(["undo", "practice"])).order_by(Event.id).all()
    assert [(e.study_id, e.rater_id, e.name, e.detail) for e in events] == [
        (study.id, who.id, "undo", "a1"),
        (study.id, who.id, "practice", ""),
    ]
    assert all(before <= event.time <= now() for event in events)


def test_the_answers_of_one_rater_are_those_in_the_table_of_all(store, make_study):
    study = make_study(store, mode="separate")
    who, other = rater(store, study), rater(store, study, "other")
    vote_all(store, other, limit=3)
    vote_all(store, who)
    votes = read_tables(store.database, study).votes
    for one, count in ((who, 21), (other, 3)):
        own = votes[votes["rater"] == one.id].reset_index(drop=True)
        assert len(own) == count
        pd.testing.assert_frame_equal(read_votes(store.database, study, one.id), own)


def test_a_screen_shows_a_raters_own_pairs_in_turn_and_fetches_the_next_ones(store, make_study):
    study = make_study(store, mode="separate", questions=(Question("one", "One?"), Question("two", "Two?")))
    who = rater(store, study)
    with store.database.read() as session:
        own = session.query(StoredAssignment).filter_by(rater_id=who.id).order_by(StoredAssignment.position).all()
        prompts = {pair.id: pair.prompt for pair in session.query(StoredPair)}
    ids, asked = [a.id for a in own], study.spec.questions
    assert last_screen(store.database, who) is None
    for step in range(2 * len(own)):
        screen, a = next_screen(store.database, who), own[step % len(own)]
        shown = (screen.assignment, screen.left, screen.right, screen.prompt)
        assert shown == (a.id, a.left_token, a.right_token, prompts[a.pair_id])
        assert (screen.step, screen.steps) == (step, 2 * len(own))
        assert screen.questions == (asked[step // len(own)],)
        assert screen.answers == {}
        later = own[(step + 1) % len(own)] if step + 1 < 2 * len(own) else None
        assert screen.ahead == ((later.left_token, later.right_token) if later else ())
        receipt = cast(store.database, who, ballot(screen, "tie" if step % 2 else "right"))
        assert receipt.through == (step + 1 == 2 * len(own))
        done = last_screen(store.database, who)
        assert (done.assignment, done.step, done.ahead) == (ids[step % len(own)], step, ())
        assert done.answers == {asked[step // len(own)].key: "tie" if step % 2 else "right"}
    assert next_screen(store.database, who) is None


def test_a_vote_keeps_all_that_the_page_says_and_no_time_that_cannot_be(store, study):
    who = rater(store, study)
    measured = {"overall": -5, "aesthetic": 2**40}
    vote = ballot(
        next_screen(store.database, who), response_ms=measured, server_ms=7, decode_ms=3, clock="server", viewport="v"
    )
    receipt, before = cast(store.database, who, vote), now()
    entries = read_tables(store.database, study).revisions
    assert [entry["response_ms"] for entry in entries] == [0, 2**31 - 1, 0]
    said = ("rater", "request", "clock", "server_ms", "decode_ms", "viewport", "revision", "assignment")
    wanted = (who.id, vote.request, "server", 7, 3, "v", 1, vote.assignment)
    assert all(tuple(entry[name] for name in said) == wanted for entry in entries)
    assert [entry["number"] for entry in entries] == [1, 2, 3]
    assert [entry["previous"] for entry in entries] == ["", entries[0]["hash"], entries[1]["hash"]]
    assert (receipt.number, receipt.hash, receipt.through) == (3, entries[2]["hash"], False)
    assert len({entry["time"] for entry in entries}) == 1
    with store.database.read() as session:
        assert session.get(Rater, who.id).last_seen <= before


def test_a_rater_is_active_until_the_last_answer_and_stays_through_after_a_change(store, study):
    who = rater(store, study)
    away(store, who)
    receipts = vote_all(store, who)
    assert [receipt.through for receipt in receipts] == [False] * 6 + [True]
    (row,) = read_tables(store.database, study).raters.to_dict("records")
    with store.database.read() as session:
        assert now() - session.get(Rater, who.id).last_seen < timedelta(minutes=5)
    last = last_screen(store.database, who)
    unchanged = cast(store.database, who, ballot(last, "left"))
    assert (unchanged, unchanged.through) == (receipts[-1], True)
    changed = cast(store.database, who, ballot(last, "right"))
    assert (changed.number, changed.through) == (25, True)  # 21 answers, the end, 3 changed answers
    again = cast(store.database, who, ballot(last_screen(store.database, who), "tie"))
    assert again.number == 28
    tables = read_tables(store.database, study)
    assert tables.raters.to_dict("records") == [row]
    assert [entry["revision"] for entry in tables.revisions[-6:]] == [2] * 3 + [3] * 3
    assert tables.votes["answer"].tolist() == ["left"] * 18 + ["tie"] * 3


def test_whoever_withdrew_is_asked_nothing_more(store, study):
    who = rater(store, study)
    screen = next_screen(store.database, who)
    drop(store.database, study, who.id, "asked")
    with pytest.raises(StudyError, match="withdrawn") as told:
        cast(store.database, who, ballot(screen))
    assert told.value.status == 403


def test_personal_links_are_signed(store, study):
    who = rater(store, study)
    token = personal_token(who)
    assert find_rater(store.database, token).id == who.id
    for forged in (token[:-1], token + "x", who.id, "", f"{who.id}.", "a.b", token.replace(who.id, "0" * 16), "ü.ü"):
        with pytest.raises(StudyError):
            find_rater(store.database, forged)
    assert read_invitation(study, invite(study, "ann")) == Person("invite", "ann")
    with pytest.raises(StudyError):
        read_invitation(study, invite(replace(study, secret="other"), "ann"))


def test_a_pair_is_handed_out_until_it_has_its_raters(store, study):
    for i in range(4):  # 8 pairs, 4 a rater, 2 raters a pair
        vote_all(store, rater(store, study, f"r{i}"))
    with pytest.raises(match="all the raters it needs"):
        rater(store, study, "late")
    found = progress(store.database, study)
    assert (found.pairs, found.pairs_complete, found.raters["finished"]) == (8, 8, 4)


def away(store, who, minutes=500):
    with store.database.write() as session:
        session.execute(update(Rater).where(Rater.id == who.id).values(last_seen=now() - timedelta(minutes=minutes)))


def test_what_an_abandoned_rater_left_goes_to_another_and_their_votes_stay(store, make_study):
    study = make_study(store, checks=CheckShares(0, 0, 0, 0))
    lazy = rater(store, study, "lazy")
    vote_all(store, lazy, limit=1)
    for i in range(3):
        vote_all(store, rater(store, study, f"r{i}"))
    with pytest.raises(StudyError):
        rater(store, study, "too early")
    away(store, lazy)
    heir = rater(store, study, "heir")
    assert len(vote_all(store, heir)) == 3
    found = progress(store.database, study)
    assert (found.pairs_complete, found.raters) == (
        8,
        {"started": 5, "active": 0, "silent": 1, "finished": 4, "dropped": 0, "excluded": 0},
    )
    votes = read_tables(store.database, study).votes
    assert len(votes[votes["rater"] == lazy.id]) == 3
    welcome_back(store.database, lazy)  # to find that the heir has done it all
    assert next_screen(store.database, lazy) is None


def test_an_abandoned_rater_who_comes_back_in_time_goes_on(store, study):
    who = rater(store, study)
    vote_all(store, who, limit=2)
    away(store, who)
    rater(store, study, "next")
    token = personal_token(who)
    assert find_rater(store.database, token).status == "abandoned"
    welcome_back(store.database, who)
    assert find_rater(store.database, token).status == "active"
    assert len(vote_all(store, who)) == 5


def test_the_open_link_has_a_cap_and_a_closed_study_takes_nobody(store, make_study):
    study = make_study(store, open_cap=1)
    first = enrol(store.database, study, Person("open", "a"))
    enrol(store.database, study, Person("open", "ghost"))
    deal(store.database, first)
    vote_all(store, first, limit=1)
    with pytest.raises(match="through this link"):
        enrol(store.database, study, Person("open", "b"))
    enrol(store.database, study, Person("prolific", "b"))
    drop(store.database, study, first.id, "withdrew")  # which frees their place
    enrol(store.database, study, Person("open", "b"))
    close_study(store, study.name)
    with pytest.raises(match="closed"):
        enrol(store.database, study, Person("prolific", "c"))
    assert enrol(store.database, study, Person("prolific", "b")).status == "active"


def test_an_amendment_is_a_new_version_with_a_reason(store, study):
    vote_all(store, rater(store, study))
    with pytest.raises(StudyError, match="reason"):
        amend_study(store, study.name, " ", seed=1)
    with pytest.raises(StudyError, match="changes nothing"):
        amend_study(store, study.name, "why not", seed=0)
    second = amend_study(store, study.name, "a typing error", questions=(Question("overall", "Better?"),))
    assert (second.version, second.reason) == (2, "a typing error")
    assert find_study(store.database, study.name) == second
    old = find_study(store.database, study.name, 1)
    assert old.closed
    assert old.spec == study.spec
    assert len(read_tables(store.database, old).votes) == 21
    assert read_tables(store.database, second).votes.empty
    with pytest.raises(StudyError, match="already"):
        create_study(store.database, study.spec)


def test_practice_goes_on_where_it_stopped(store, study):
    who = rater(store, study)
    for practised in (0, 2, 1):
        set_practised(store.database, who.id, practised)
    assert find_rater(store.database, personal_token(who)).practised == 2


def test_raters_at_the_same_time_make_one_chain(store, make_study, tmp_path):
    study = make_study(store, raters_per_pair=4)
    errors = []

    def vote(i: int) -> None:
        try:
            vote_all(store, rater(store, study, f"r{i}"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=vote, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    export_study(store, study, tmp_path / "out")
    found = verify_export(tmp_path / "out")
    assert (found.problems, found.votes) == ((), 8 * 21)


def test_an_export_verifies_from_its_files_alone(store, study, tmp_path):
    who = rater(store, study)
    vote_all(store, who, lambda screen: "tie")
    cast(store.database, who, ballot(last_screen(store.database, who), "right"))
    out = tmp_path / "out"
    written = export_study(store, study, out)
    found = verify_export(out)
    assert found.problems == ()
    assert (found.revisions, found.votes, found.images) == (24 + 1, 21, 24)
    assert found.head == last_receipt(store.database, who).hash
    again = read_export(out)
    pd.testing.assert_frame_equal(again.votes, written.votes)
    assert all((out / file).is_file() for file in again.votes["image_left"])
    assert "somebody" not in "".join(f.read_text() for f in out.glob("*.json*"))


@pytest.fixture(scope="module")
def exported(make_study, tmp_path_factory) -> Path:
    """The export of a study with one rater, who has answered everything."""
    folder = tmp_path_factory.mktemp("exported")
    store = open_store(folder / "data")
    study = make_study(store)
    vote_all(store, rater(store, study))
    export_study(store, study, folder / "out")
    store.database.engine.dispose()
    return folder / "out"


@pytest.mark.parametrize(
    "spoil",
    [
        "answer",
        "order",
        "drop",
        "table",
        "image",
        "spec",
        "arm",
        "gold",
        "mode",
        "category",
        "repeat",
        "prompt",
        "time",
        "position",
        "rater",
    ],
)
def test_verification_finds_what_was_changed_afterwards(exported, tmp_path, spoil):
    out = shutil.copytree(exported, tmp_path / "out")
    lines = (out / "revisions.jsonl").read_text().splitlines()
    votes = pd.read_parquet(out / "votes.parquet")
    if spoil == "answer":
        lines[3] = json.dumps(json.loads(lines[3]) | {"answer": "right"})
    elif spoil == "order":
        lines[3], lines[4] = lines[4], lines[3]
    elif spoil == "drop":
        lines.pop()
    elif spoil == "table":
        votes.loc[2, "answer"] = "right"
    elif spoil == "arm":
        votes["left"], votes["right"] = votes["right"].copy(), votes["left"].copy()
    elif spoil == "gold":
        votes["gold"] = votes["gold"].replace({"left": "right", "right": "left"})
    elif spoil == "mode":
        votes.loc[0, "mode"] = "separate"
    elif spoil == "position":
        votes["position"] = votes["position"].max() - votes["position"]
    elif spoil == "rater":
        forge(out, raters=pd.read_parquet(out / "raters.parquet")[:0])
    elif spoil == "time":
        votes.loc[0, "answer_ms"] += 1000
    elif spoil == "category":
        votes.loc[0, "category"] = "another"
    elif spoil == "prompt":
        votes.loc[0, "prompt"] = "another"
    elif spoil == "repeat":
        repeats = votes["kind"] == "repeat"
        votes.loc[repeats, "repeat_of"] = votes.loc[votes["kind"] == "gold", "assignment"].iloc[0]
    elif spoil == "image":
        next((out / "images").iterdir()).write_bytes(b"")
    else:
        (out / "spec.json").write_text(replace(read_export(out).spec, seed=9).to_json())
    (out / "revisions.jsonl").write_text("\n".join(lines))
    forge(out, votes=votes)
    assert verify_export(out).problems
