"""A place in the plan is taken by a vote: who only agrees, falls silent, leaves or clicks blindly holds none."""

import html
import json
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from study.clock import now
from study.errors import StudyError
from study.protocol.parts import CheckShares, Exclusions
from study.reporting.export import export_study
from study.reporting.report import build
from study.reporting.verify import verify_export
from study.stopping import settle
from study.store.frames import read_tables
from study.store.leaving import drop, find_named, release
from study.store.raters import ENTERED, Person, deal, enrol, find_rater, invite, people, personal_token, set_practised
from study.store.studies import patience, progress
from study.store.tables import Entry, Event, Rater, Vote
from study.store.votes import cast, last_screen, next_screen, note
from study.web import create_app
from tests.study.forging import forge
from tests.study.stores import open_store
from tests.study.voting import ballot, rater, vote_all

KEPT = ("spec", "number", "rater", "previous", "hash")  # of an entry that is erased
BARE = CheckShares(0, 0, 0, 0)
FULL = "https://app.prolific.com/submissions/complete?cc=FULL"


@pytest.fixture
def study(store, make_study):
    """8 pairs, 4 a rater, 1 rater a pair: two places."""
    return make_study(store, checks=BARE, raters_per_pair=1, full_url=FULL)


def quiet(store, who, **time) -> None:
    with store.database.write() as session:
        session.execute(update(Rater).where(Rater.id == who.id).values(last_seen=now() - timedelta(**time)))


def test_who_agrees_and_practises_but_never_votes_takes_no_place(store, study):
    for i in range(9):
        rater(store, study, f"returned {i}")
    for i in range(2):
        assert len(vote_all(store, rater(store, study, f"P{i}"))) == 4
    found = progress(store.database, study)
    assert (found.pairs_complete, found.raters["finished"]) == (8, 2)
    with pytest.raises(StudyError, match="all the raters it needs"):
        enrol(store.database, study, Person("open", "late"))


def test_who_has_agreed_is_not_sent_away_when_others_were_faster(store, study):
    slow = enrol(store.database, study, Person("open", "slow"))
    for i in range(2):
        vote_all(store, rater(store, study, f"r{i}"))
    deal(store.database, slow)
    assert len(vote_all(store, slow)) == 4


def test_two_at_the_same_time_get_places_of_their_own(store, study):
    first, second = rater(store, study, "a"), rater(store, study, "b")
    vote_all(store, first)
    vote_all(store, second)
    assert progress(store.database, study).pairs_complete == 8


def test_the_last_place_is_taken_once_and_the_slower_one_gets_what_is_needed(store, study):
    """Three people were handed the two places: whose was taken meanwhile is told so, and goes on with another."""
    vote_all(store, rater(store, study, "first"), limit=1)  # takes a place, and leaves the rest of it
    faster, slower = rater(store, study, "faster"), rater(store, study, "slower")
    late = ballot(next_screen(store.database, slower))
    vote_all(store, faster)
    release(store.database, study, find_named(store.database, study, "first"))
    client = TestClient(create_app(store))
    set_practised(store.database, slower.id, 9)
    place = f"/r/{personal_token(slower)}"
    sent = re.search(r'name="sent" value="([^"]*)"', client.get(place).text)[1]
    answers = {f"q-{key}": answer for key, answer in late.answers.items()}
    page = client.post(
        f"{place}/vote", data={"assignment": late.assignment, "request": late.request, "sent": sent} | answers
    )
    assert page.status_code == 409
    assert "Somebody else was faster" in page.text
    assert place.split("/")[-1] in re.search(r'<a class="primary" href="([^"]*)"', page.text)[1]
    assert len(vote_all(store, slower)) == 3  # what the first one left
    assert progress(store.database, study).pairs_complete == 8


def test_what_somebody_left_can_be_answered_with_checks_in_between(store, make_study):
    """No quota needs a check: for those, each first answer was refused, for ever."""
    study = make_study(store, raters_per_pair=1, pairs_per_rater=8)
    gone = rater(store, study, "gone")
    vote_all(store, gone, limit=4)
    release(store.database, study, gone.id)
    heir = rater(store, study, "heir")
    assert vote_all(store, heir)
    assert progress(store.database, study).pairs_complete == 8


def test_two_who_were_handed_the_same_leftovers_do_not_both_answer_them(store, make_study):
    study = make_study(store, checks=BARE, raters_per_pair=1, pairs_per_rater=8)
    vote_all(store, gone := rater(store, study, "gone"), limit=2)
    release(store.database, study, gone.id)
    faster, slower = rater(store, study, "faster"), rater(store, study, "slower")
    vote_all(store, faster, limit=5)
    release(store.database, study, faster.id)
    with pytest.raises(StudyError, match="Somebody else was faster"):
        cast(store.database, slower, ballot(next_screen(store.database, slower)))
    assert len(vote_all(store, slower)) == 1


@pytest.mark.parametrize("entry", ["open", "prolific", "invite"])
def test_the_refusal_comes_before_the_consent_and_leads_back(store, study, entry):
    for i in range(2):
        vote_all(store, rater(store, study, f"r{i}"))
    link = {
        "open": f"/join/{study.token}",
        "prolific": f"/join/{study.token}?PROLIFIC_PID={'a' * 24}",
        "invite": f"/invite/{study.token}/{invite(study, 'ann')}",
    }[entry]
    client = TestClient(create_app(store))
    for page in (client.get(link), client.post(link)):
        assert page.status_code == 403
        assert "all the raters it needs" in page.text
        assert f'href="{FULL}"' in page.text
        assert "<form" not in page.text
    assert progress(store.database, study).raters["started"] == 2


def test_a_double_click_on_the_consent_is_one_participation(store, study):
    """Both presses leave before the first cookie arrives."""
    page = TestClient(create_app(store)).get(f"/join/{study.token}").text
    fields = {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page)}
    arrived = {
        TestClient(create_app(store)).post(f"/join/{study.token}", data=fields).url.path.split("/")[2] for _ in range(3)
    }
    assert len(arrived) == 1
    assert progress(store.database, study).raters["started"] == 1


def test_who_falls_silent_frees_the_rest_for_whoever_waits(store, make_study):
    study = make_study(store, checks=BARE, raters_per_pair=1)
    lazy = rater(store, study, "lazy")
    vote_all(store, lazy, limit=1)
    vote_all(store, rater(store, study, "other"))
    quiet(store, lazy, minutes=4)
    with pytest.raises(StudyError, match="all the raters it needs"):
        rater(store, study, "too early")
    quiet(store, lazy, minutes=6)
    assert progress(store.database, study).raters["silent"] == 1
    assert len(vote_all(store, rater(store, study, "heir"))) == 3
    assert find_rater(store.database, personal_token(lazy)).status == "abandoned"


def test_patience_is_twice_the_median_session_within_limits(store, make_study):
    study = make_study(store, checks=BARE, abandoned_after_minutes=60)

    def minutes_after(*sessions: int) -> float:
        for i, session in enumerate(sessions):
            who = rater(store, study, f"{session} {i}")
            with store.database.write() as write:
                times = {"started": now() - timedelta(minutes=session), "finished": now()}
                write.execute(update(Rater).where(Rater.id == who.id).values(**times))
        with store.database.read() as read:
            return round(patience(read, study) / timedelta(minutes=1), 1)

    assert minutes_after() == 5.0  # 4 screens of 20 s, twice, are less than anybody should be given
    assert minutes_after(10, 14, 90) == 28.0
    assert minutes_after(90, 90, 90) == 60.0


def test_a_released_rater_frees_the_rest_at_once(store, study):
    who = rater(store, study, "somebody")
    vote_all(store, who, limit=1)
    release(store.database, study, find_named(store.database, study, "somebody"))
    vote_all(store, rater(store, study, "a"))
    assert len(vote_all(store, rater(store, study, "b"))) == 3
    assert progress(store.database, study).pairs_complete == 8


def test_a_rater_is_found_by_id_code_label_and_full_name_only(store, study):
    who = rater(store, study, "somebody")
    assert {find_named(store.database, study, name) for name in (who.id, who.code, "somebody", "invite:somebody")} == {
        who.id
    }
    for name in ("some", "", "open:somebody"):
        with pytest.raises(StudyError, match="no rater"):
            find_named(store.database, study, name)


def withdrawal(store, make_study, out):
    """Study, the rater who withdrew, and an export."""
    study = make_study(store, checks=BARE, raters_per_pair=2)
    who = rater(store, study, "gone")
    vote_all(store, who)
    vote_all(store, rater(store, study, "a"))
    drop(store.database, study, who.id, "asked to be left out")
    vote_all(store, rater(store, study, "b"))
    export_study(store, study, out)
    return study, who, out


@pytest.fixture
def dropped(store, make_study, tmp_path):
    return withdrawal(store, make_study, tmp_path / "out")


@pytest.fixture(scope="module")
def once_dropped(make_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dropped")
    store = open_store(folder / "data")
    _, who, out = withdrawal(store, make_study, folder / "out")
    store.database.engine.dispose()
    return who.id, out


def test_withdrawn_answers_count_nowhere_but_stay_in_the_chain(store, dropped):
    study, who, out = dropped
    build(out, out)
    assert who.id not in set(pd.read_parquet(out / "votes.parquet")["rater"])
    chain = [json.loads(line) for line in (out / "revisions.jsonl").read_text().splitlines()]
    assert sum(entry["rater"] == who.id for entry in chain) == 4 * 3 + 1 + 1
    assert verify_export(out).problems == ()
    assert "asked to be left out" in (out / "report.html").read_text()
    assert json.loads((out / "results.json").read_text())["withdrawn"] == ["asked to be left out"]
    found = progress(store.database, study)
    assert (found.raters["dropped"], found.votes) == (1, 2 * 4 * 3)


def test_a_withdrawn_rater_is_asked_no_more_and_somebody_else_is(store, dropped):
    study, who, _ = dropped
    page = TestClient(create_app(store)).get(f"/r/{personal_token(who)}")
    assert page.status_code == 403
    assert "withdrawn" in page.text
    with pytest.raises(StudyError, match="withdrawn"):  # while a vote was under way
        cast(store.database, who, ballot(last_screen(store.database, who), "right"))
    for i in range(2):  # of four places two are taken by those who stayed
        vote_all(store, rater(store, study, f"more {i}"))
    assert progress(store.database, study).pairs_complete == 8


@pytest.mark.parametrize("spoil", ["status", "reason", "answers", "entry", "erased"])
def test_a_withdrawal_cannot_be_undone_in_the_export(once_dropped, tmp_path, spoil):
    who, whole = once_dropped
    out = shutil.copytree(whole, tmp_path / "out")
    assert verify_export(out).problems == ()
    raters, lines = pd.read_parquet(out / "raters.parquet"), (out / "revisions.jsonl").read_text().splitlines()
    if spoil == "status":
        raters["status"] = "finished"
    elif spoil == "reason":
        raters["withdrawn"] = raters["withdrawn"].replace("asked to be left out", "clicked blindly")
    elif spoil == "answers":
        votes = pd.read_parquet(out / "votes.parquet")
        votes.loc[0, "rater"] = who
        forge(out, votes=votes)
    elif spoil == "erased":  # of somebody who did not withdraw
        lines[-2] = json.dumps({k: v for k, v in json.loads(lines[-2]).items() if k in KEPT} | {"erased": True})
    else:
        lines = [line for line in lines if '"withdrawn"' not in line]
    (out / "revisions.jsonl").write_text("\n".join(lines) + "\n")
    forge(out, raters=raters)
    assert verify_export(out).problems


def test_erasing_removes_the_person_and_keeps_the_chain(store, dropped, tmp_path):
    study, who, out = dropped
    note(store.database, who, ENTERED, "SESSION_ID=itsme")
    (entry,) = (e for e in people(store.database, study) if "invite:gone" in e)
    known = {*entry[:1], entry[2], "itsme", "1280x800@2"} | set(
        pd.read_parquet(out / "raters.parquet").set_index("rater").loc[who.id, ["started", "finished"]]
    )
    chained = [json.loads(line) for line in (out / "revisions.jsonl").read_text().splitlines()]
    known |= {e["time"] for e in chained if e["rater"] == who.id and "withdrawn" not in e}
    drop(store.database, study, who.id, "asked", erase=True)
    left = " ".join(map(str, people(store.database, study)))
    with store.database.read() as session:
        for table in (Rater, Vote, Event, Entry):
            of_rater = table.id if table is Rater else table.rater_id
            left += str([vars(row) for row in session.scalars(select(table).where(of_rater == who.id))])
    export_study(store, study, again := tmp_path / "again")
    assert verify_export(again).problems == ()
    left += "".join(line for line in (again / "revisions.jsonl").read_text().splitlines() if who.id in line)
    left += str(pd.read_parquet(again / "raters.parquet").set_index("rater").loc[who.id].to_dict())
    assert [one for one in known if one in left] == []
    if store.database.engine.dialect.name == "sqlite":
        files = b"".join(
            file.read_bytes() for file in Path(store.database.engine.url.database).parent.glob("study.db*")
        )
        assert b"itsme" not in files
        assert b"invite:gone" not in files
    with pytest.raises(StudyError, match="Say why"):
        drop(store.database, study, who.id, "  ")
    with pytest.raises(StudyError, match="withdrawn"):
        cast(store.database, who, ballot(next_screen(store.database, rater(store, study, "x"))))


def test_a_rater_whom_the_rules_leave_out_fills_no_quota(store, make_study):
    study = make_study(store, checks=CheckShares(0, 0, 0, 0.5), raters_per_pair=1, exclusions=Exclusions())
    blind = rater(store, study, "blind")
    vote_all(store, blind, lambda screen: "tie")
    settle(store, blind)
    assert progress(store.database, study).raters["excluded"] == 1
    assert read_tables(store.database, study).votes["rater"].eq(blind.id).any()
    assert next_screen(store.database, rater(store, study, "next")) is not None
    found = progress(store.database, study)
    assert (found.pairs_complete, found.raters["finished"]) == (0, 0)
