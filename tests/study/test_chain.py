"""What the hashes of a chain cover: pinned, since an export that was made before must verify for ever."""

from datetime import UTC, datetime
from types import SimpleNamespace

from study.store.chain import (
    _last,
    _shown_query,
    chain_hash,
    payload_of,
    payload_of_entry,
    payload_of_withdrawal,
    remains_of,
    shown_of,
    tail,
)
from study.store.leaving import drop
from study.store.tables import Entry, Rater, StoredAssignment, StoredPair, StoredStimulus, Vote, Withdrawal
from tests.study.specs import make_spec
from tests.study.voting import rater, vote_all

TIME = datetime(2026, 5, 1, 9, 0, 0, 1500, UTC)
SHOWN = ("assignment", "0.0:a:b", "comparison", "left", "right", 4, "joint", 0.25)
VOTE = {
    "number": 7,
    "rater_id": "r",
    "assignment_id": "a",
    "question": "overall",
    "answer": "left",
    "revision": 1,
    "request": "q",
    "response_ms": 900,
    "clock": "client",
    "decode_ms": 12,
    "viewport": "1440x900@1",
    "time": TIME,
    "previous": "p",
    "server_ms": None,
}
ENTRY = SimpleNamespace(
    number=8, kind="closed", reason="asked", rater_id="r", detail="by hand", time=TIME, previous="p"
)


def test_the_hash_of_a_vote_covers_what_was_answered_and_shown():
    shown = shown_of(SHOWN, make_spec(commitment="c"))
    assert shown == dict(zip(("pair", "kind", "left", "right", "position", "mode"), SHOWN[1:], strict=False))
    payload = payload_of(VOTE, shown, "s")
    assert payload["time"] == "2026-05-01T09:00:00.001500+00:00"
    assert "server_ms" not in payload
    assert chain_hash(payload) == "8a95245f626f4617a8098d520767a7f487ed38b9b52b0025147343d41878ccdd"
    measured = payload_of(VOTE | {"server_ms": 0}, shown, "s")
    assert chain_hash(measured) == "7118abbe44a7e8a2c9030ab507fb4fc541d360aafab19b37cecc4ef9b480d16f"


def test_what_was_shown_is_covered_as_far_as_the_study_promised():
    early = {"pair": SHOWN[1], "kind": SHOWN[2], "left": "left", "right": "right"}
    assert shown_of(SHOWN, make_spec()) == early
    chosen = shown_of(SHOWN, make_spec(arms=3, design="adaptive", commitment="c"))
    assert chosen == early | {"position": 4, "mode": "joint", "propensity": 0.25}


def test_the_hashes_of_other_entries_cover_who_what_and_when():
    entry, withdrawal = payload_of_entry(ENTRY, "s"), payload_of_withdrawal(ENTRY, "s")
    assert chain_hash(entry) == "7f457a414a6848761990167ffa0dcfd92174aceca42e0cf35cee469887fb4802"
    assert chain_hash(withdrawal) == "ff838f7f1a7339b8c68b5999c1da2e423bdcb44874eb6905709cece016c40af8"
    assert payload_of_entry(SimpleNamespace(**vars(ENTRY) | {"rater_id": None}), "s")["rater"] == ""


def test_of_whoever_is_erased_the_place_in_the_chain_remains():
    remains = remains_of(payload_of(VOTE, {}, "s"))
    assert remains == {"spec": "s", "number": 7, "rater": "r", "previous": "p", "erased": True}


def test_what_is_read_of_an_assignment_is_what_it_showed(sqlite_store, make_study):
    """The query is made once, when the module is imported; here it is made anew."""
    study = make_study(sqlite_store, mode="randomised")
    for name in "ab":
        rater(sqlite_store, study, name)
    with sqlite_store.database.read() as session:
        rows = {row[0]: tuple(row[1:]) for row in session.execute(_shown_query())}
        assert len(rows) == 14
        for one in session.query(StoredAssignment):
            sides = (session.get_one(StoredStimulus, side).sha256 for side in (one.left_id, one.right_id))
            pair, mode = session.get_one(StoredPair, one.pair_id), session.get_one(Rater, one.rater_id).mode
            assert rows[one.id] == (pair.key, one.kind, *sides, one.position, mode, one.propensity)


def test_a_chain_ends_with_its_last_entry_of_any_kind_and_other_studies_have_their_own(sqlite_store, make_study):
    first, second = (make_study(sqlite_store, name) for name in ("first", "second"))
    for study in (first, second, second):
        who = rater(sqlite_store, study, f"{study.name} {study.id}")
    vote_all(sqlite_store, who)
    vote_all(sqlite_store, rater(sqlite_store, first, "other"), limit=2)
    drop(sqlite_store.database, second, who.id, "asked")
    with sqlite_store.database.read() as session:
        for study, ends in ((first, (6, 0, 0)), (second, (21, 23, 22))):  # votes, withdrawn, finished
            for kind, number in zip((Vote, Withdrawal, Entry), ends, strict=True):
                end = session.execute(_last(kind), {"study": study.id}).first()
                wanted = session.query(kind.number, kind.hash).filter_by(study_id=study.id, number=number).first()
                assert end == wanted
            assert tail(session, study.id)[0] == max(ends)
