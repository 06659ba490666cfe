"""Versions of a study: one person takes part once in all of them, and those that are pooled differ in no science."""

import json

import pytest

from study.errors import StudyError
from study.protocol.parts import Question
from study.reporting.export import export_pooled
from study.reporting.report import read
from study.store.raters import Person, enrol
from study.store.studies import adjust_study, amend_study, find_study
from study.store.versions import deviations, pooled
from tests.study.voting import rater, vote_all


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


@pytest.fixture
def study(store, make_study):
    return make_study(store)


def test_nobody_takes_part_in_two_versions_but_who_has_only_agreed_may_begin_anew(store, study):
    voted, agreed = (rater(store, study, name) for name in ("voted", "agreed"))
    vote_all(store, voted, limit=1)
    second = amend_study(store, study.name, "more raters", raters_per_pair=4)
    again = rater(store, second, "voted")
    assert (again.id, again.study.version) == (voted.id, 1)
    fresh = rater(store, second, "agreed")
    assert (fresh.id != agreed.id, fresh.study.version) == (True, 2)
    vote_all(store, fresh)
    third = amend_study(store, study.name, "more raters still", raters_per_pair=5)
    assert enrol(store.database, third, Person("invite", "agreed")).id == fresh.id


def test_versions_are_pooled_where_nothing_that_was_asked_or_shown_differs(store, study, tmp_path):
    vote_all(store, rater(store, study, "early"))
    second = amend_study(store, study.name, "more raters", raters_per_pair=4)
    vote_all(store, rater(store, second, "late"))
    third = amend_study(store, study.name, "other words", questions=(Question("overall", "Better?"),))
    fourth = amend_study(store, study.name, "another seed", seed=7)
    versions = {one.version: [old.version for old in pooled(store.database, one)] for one in (second, third, fourth)}
    assert versions == {2: [1], 3: [], 4: [3]}
    changed = [(one["version"], one["reason"], one["changed"]) for one in deviations(store.database, fourth)]
    assert changed == [
        (2, "more raters", ["raters_per_pair: 2 to 4"]),
        (3, "other words", ["questions"]),
        (4, "another seed", ["seed: 0 to 7"]),
    ]
    (tmp_path / "versions" / "7").mkdir(parents=True)  # of an earlier report
    export_pooled(store, find_study(store.database, study.name, 2), tmp_path)
    together = read(tmp_path)
    assert (together.pooled, together.votes["rater"].nunique(), len(together.votes)) == ((1,), 2, 42)
    assert together.deviations == json.loads((tmp_path / "versions.json").read_text())


@pytest.mark.parametrize("changes", [{"seed": 3}, {"raters_per_pair": 9}, {"exclusions": None}])
def test_science_cannot_be_adjusted(store, study, changes):
    with pytest.raises(StudyError, match="needs an amendment"):
        adjust_study(store.database, study.name, **changes)
    assert find_study(store.database, study.name).spec == study.spec
