"""What `study verify` says of each single change of the tables: that, of that answer, and nothing of the others."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from study.protocol.parts import CheckShares
from study.reporting.verify import _chain_problems, _position_problems, _rater_problems, _vote_problems
from study.store.chain import chain_hash
from study.store.frames import Tables, read_tables
from study.store.leaving import drop
from study.store.votes import cast, last_screen
from tests.study.stores import open_store
from tests.study.voting import ballot, rater, vote_all

SAYS = "The answer to {question!r} of assignment {assignment} is not what its revisions say."
MISSING = "The answer to {question!r} of assignment {assignment} is missing from the votes."
STOOD = "The answer to {question!r} of assignment {assignment} stood at another position."
ARM = "Assignment {assignment} names an arm that its images are not of."
PARTS = "Assignment {assignment} has another category, mode, expected answer or first showing than it had."
MODES = "The votes and the table of raters name different modes."
ORDER = "The positions of rater {rater} do not follow the order of the answers."
LACKS = "The table of raters lacks 1 who answered: {rater}."
WITHDRAWN = "The table of raters names other withdrawals than the chain."


@pytest.fixture(scope="module")
def tables(make_study, tmp_path_factory) -> Tables:
    """Of four raters: one is through, two withdrew, of whom one is erased, and one has changed an answer."""
    store = open_store(tmp_path_factory.mktemp("tampering"))
    study = make_study(store, mode="randomised")
    through, withdrew, erased, active = (rater(store, study, name) for name in "abcd")
    for who in (through, withdrew, erased):
        vote_all(store, who, lambda screen: "right")
    vote_all(store, active, limit=2)
    cast(store.database, active, ballot(last_screen(store.database, active), "tie"))
    drop(store.database, study, withdrew.id, "asked")
    drop(store.database, study, erased.id, "asked", erase=True)
    read = read_tables(store.database, study)
    store.database.engine.dispose()
    return read


def found(tables: Tables) -> list[str]:
    checks = (_chain_problems, _vote_problems, _rater_problems, _position_problems)
    return [problem for check in checks for problem in check(tables)]


def changed(table: pd.DataFrame, row: int, **cells: Any) -> pd.DataFrame:
    table = table.copy()
    for column, value in cells.items():
        table.loc[row, column] = value
    return table


def first_of(tables: Tables, kind: str) -> int:
    return int(tables.votes.index[tables.votes["kind"] == kind][0])


def test_what_the_store_says_has_no_problem(tables):
    assert found(tables) == []
    assert any("erased" in entry for entry in tables.revisions)
    shuffled = tables.votes.sample(frac=1, random_state=0, ignore_index=True)
    assert found(replace(tables, votes=shuffled)) == []
    assert found(replace(tables, votes=tables.votes.drop(columns="answer_ms"))) == []  # an earlier version's


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("rater", "other", [SAYS, MODES]),
        ("assignment", "other", [SAYS, MISSING, STOOD, ORDER]),
        ("pair", "other", [SAYS]),
        ("prompt", "other", [ARM]),
        ("category", "other", [PARTS]),
        ("left", "other", [ARM]),
        ("right", "other", [ARM]),
        ("kind", "same_arm", [SAYS]),
        ("repeat_of", "other", [PARTS]),
        ("question", "other", [SAYS, MISSING, STOOD, ORDER]),
        ("answer", "tie", [SAYS]),
        ("position", 99, [STOOD, ORDER]),
        ("response_ms", 1.0, [SAYS]),
        ("answer_ms", 1.0, [SAYS]),
        ("gold", "left", [PARTS]),
        ("image_left", "other", [SAYS, ARM]),
        ("image_right", "other", [SAYS, ARM]),
        ("time", "2026-01-01", [SAYS]),
        ("mode", "neither", [SAYS, PARTS, MODES]),
    ],
)
def test_a_changed_cell_of_the_votes_is_told(tables, column, value, told):
    row = first_of(tables, "comparison")
    votes = changed(tables.votes, row, **{column: value})
    now, before = votes.loc[row], tables.votes.loc[row]
    expected = [text.format(**(before if text in (MISSING, ORDER) else now)) for text in told]
    assert found(replace(tables, votes=votes)) == expected


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("gold", {"gold": ""}),
        ("gold", {"gold": "tie"}),
        ("repeat", {"repeat_of": ""}),
        ("repeat", {"repeat_of": "other"}),
        ("repeat", {"gold": "left"}),
    ],
)
def test_what_follows_from_the_spec_and_the_first_showing_must(tables, kind, cells):
    row = first_of(tables, kind)
    votes = changed(tables.votes, row, **cells)
    assert found(replace(tables, votes=votes)) == [PARTS.format(**votes.loc[row])]


def test_a_repeat_is_one_of_the_raters_own_pair(tables):
    row = first_of(tables, "repeat")
    pair, own = tables.votes.loc[row, "pair"], tables.votes.loc[row, "rater"]
    for other in tables.votes.itertuples():
        told = found(replace(tables, votes=changed(tables.votes, row, repeat_of=other.assignment)))
        assert bool(told) != (other.rater == own and other.pair == pair)


def test_a_mode_that_the_spec_does_not_have_is_told(tables):
    """Though votes, raters and chain agree on it."""
    joint = replace(tables.spec, mode="joint")
    told = [problem for problem in _vote_problems(replace(tables, spec=joint)) if "another category" in problem]
    separate = tables.votes[tables.votes["mode"] == "separate"]
    assert told == [PARTS.format(assignment=assignment) for assignment in separate["assignment"]]


def test_an_answer_that_is_gone_or_there_twice_is_told(tables):
    gone = tables.votes.loc[0]
    assert found(replace(tables, votes=tables.votes[1:])) == [MISSING.format(**gone)]
    doubled = pd.concat([tables.votes[:1], tables.votes], ignore_index=True)
    assert found(replace(tables, votes=doubled)) == [SAYS.format(**gone)]


def test_answers_of_somebody_who_withdrew_do_not_count(tables):
    entry = next(e for e in tables.revisions if "answer" in e and e["rater"] not in set(tables.votes["rater"]))
    row = tables.votes.iloc[0].to_dict() | {name: entry[name] for name in ("rater", "assignment", "question", "answer")}
    votes = pd.concat([tables.votes, pd.DataFrame([row])], ignore_index=True)
    assert SAYS.format(**row) in found(replace(tables, votes=votes))


@pytest.mark.parametrize(
    ("row", "column", "value", "told"),
    [
        (0, "rater", "other", [LACKS, MODES]),
        (1, "rater", "other", [LACKS, WITHDRAWN]),
        (0, "mode", "other", [MODES]),
        (1, "status", "finished", [WITHDRAWN]),
        (0, "status", "dropped", [WITHDRAWN]),
        (0, "withdrawn", "asked", [WITHDRAWN]),
        (1, "withdrawn", "other", [WITHDRAWN]),
        (2, "withdrawn", "", [WITHDRAWN]),
    ],
)
def test_a_changed_cell_of_the_raters_is_told(tables, row, column, value, told):
    raters = changed(tables.raters, row, **{column: value})
    assert found(replace(tables, raters=raters)) == [text.format(**tables.raters.loc[row]) for text in told]


def test_a_table_of_raters_from_before_withdrawals_names_none(tables):
    raters = tables.raters.drop(columns="withdrawn")
    assert found(replace(tables, raters=raters)) == []
    told = found(replace(tables, raters=raters[2:]))
    assert told[0] == "The table of raters lacks 2 who answered: " + ", ".join(sorted(raters["rater"][:2])) + "."


HASH = "Entry 1 is not what was written: its hash differs."
BROKEN = "Entry {} does not follow the one before: the chain is broken."


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("clock", "server", [HASH]),
        ("viewport", "other", [HASH]),
        ("answer", "tie", [HASH, SAYS]),
        ("spec", "other", [HASH, "Entry 1 was given for another spec."]),
        ("previous", "other", [BROKEN.format(1), HASH]),
        ("number", 0, [BROKEN.format(1), HASH]),
        ("hash", "other", [HASH, BROKEN.format(2)]),
        ("position", 99, [HASH, STOOD]),
    ],
)
def test_a_changed_entry_of_the_chain_is_told(tables, name, value, told):
    first, *rest = tables.revisions
    expected = [text.format(**first) for text in told]
    assert found(replace(tables, revisions=(first | {name: value}, *rest))) == expected


def test_only_entries_of_whoever_withdrew_are_erased_and_those_without_their_answer(tables):
    erased = next(i for i, entry in enumerate(tables.revisions) if "erased" in entry)
    entries = list(tables.revisions)
    told = f"Entry {erased + 1} is said to be erased, and its rater did not withdraw."
    for changes in ({"answer": "left", "assignment": "a", "question": "q"}, {"rater": tables.votes["rater"][0]}):
        entries[erased] = tables.revisions[erased] | changes
        assert told in list(_chain_problems(replace(tables, revisions=tuple(entries))))


def test_without_a_commitment_positions_follow_the_order_of_the_answers_whatever_that_of_the_rows(make_study, tmp_path):
    store = open_store(tmp_path)
    study = make_study(store, mode="joint", checks=CheckShares(0, 0, 0, 0))
    for name in "ab":
        vote_all(store, rater(store, study, name))
    read = read_tables(store.database, study)
    store.database.engine.dispose()
    early = replace(read, spec=replace(read.spec, commitment=""))
    assert list(_position_problems(early)) == []
    swapped = read.votes.assign(position=read.votes["position"].max() - read.votes["position"])
    sorted_ = swapped.sort_values("position", kind="stable", ignore_index=True)
    told = [ORDER.format(rater=name) for name in sorted(set(read.votes["rater"]))]
    assert list(_position_problems(replace(early, votes=sorted_))) == told


def test_a_first_entry_that_was_made_up_is_told(tables):
    """With a right hash of its own, and one that follows nothing."""
    first = {name: value for name, value in tables.revisions[0].items() if name != "hash"} | {"viewport": "1x1@1"}
    forged = (first | {"hash": chain_hash(first)}, *tables.revisions[1:])
    assert found(replace(tables, revisions=forged)) == [BROKEN.format(2)]
