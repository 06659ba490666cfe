"""Simulated raters on the real pages: they leave nothing behind, and the pilot says what they did."""

import json
import tempfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from study.errors import StudyError
from study.protocol.parts import DEFAULT_QUESTIONS, DEGRADED, CheckShares, Exclusions, Page, Stimulus
from study.rehearsal import rehearse
from study.rehearsal.people import KINDS, Careful, Crowd, Shown
from study.rehearsal.pilot import pilot
from study.rehearsal.visit import Visit
from study.rehearsal.waiting import run
from study.simulation.crowd import World
from study.simulation.power import simulate, strengths
from tests.study.specs import make_spec
from tests.study.voting import rater, vote_all

NOBODY = [f"--{kind.replace('_', '-')}=0" for kind in KINDS]
CHECKED = {"checks": CheckShares(0.25, 0, 0.25, 1.0), "exclusions": Exclusions(max_side_run=6)}


@pytest.fixture
def store(default_store, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "for-a-time"))
    (tmp_path / "for-a-time").mkdir()
    return default_store


def rows(store) -> list[str]:
    with store.database.engine.connect() as connection:
        return list(connection.connection.dbapi_connection.iterdump())


def test_everybody_goes_through_and_the_study_is_as_it_was(store, make_study, tmp_path):
    study = make_study(store, raters_per_pair=1, **CHECKED)
    vote_all(store, rater(store, study), limit=1)
    before = rows(store)
    crowd = rehearse.People(1, 0, 2, 1, 0, 0)
    found, stopped = rehearse.rehearsed(store, study, rehearse.Rehearse("toy", people=crowd, studies=2), tmp_path)
    assert rows(store) == before
    kinds = {kind.name: kind for kind in found.kinds}
    came = {name: (kind.came, kind.finished) for name, kind in kinds.items()}
    assert came == {"careful": (1, 1), "left_clickers": (2, 2), "speeders": (1, 1)}
    assert kinds["left_clickers"].left_out == kinds["left_clickers"].rules["max_side_run"] == 2
    assert kinds["speeders"].rules["min_median_pace_ms"] == 1
    assert vars(kinds["left_clickers"].interval) == pytest.approx({"low": 0.025**0.5, "high": 1.0})
    assert 1 < found.minutes[1] < 20  # though all of it took seconds
    assert (found.messages, stopped) == ({}, False)
    assert all(0 <= power <= 1 for power in found.power)


def test_cost_and_power_are_of_the_raters_whom_the_rules_let_through():
    """8 of 10 who finished in 6 minutes count, 2 of them although they did not look: a place takes 10 / 8 people."""
    spec = make_spec(prompts=10, raters_per_pair=6, pairs_per_rater=10)
    kinds = ["careful"] * 6 + ["speeders"] * 4
    visits = [Visit(kind, None, 0.0, 360.0, True, f"r{i}") for i, kind in enumerate(kinds)]
    visits.append(Visit("careful", None, 0.0, 60.0, False, "gone", Counter({"There is no place.": 1})))
    world = replace(World(), strengths=strengths(spec.arms, (0.8,), World()))
    excluded = {"r8": "min_median_pace_ms", "r9": "min_attention, min_median_pace_ms"}
    found = pilot("toy", spec, visits, excluded, world, hourly=15, fee=0.5, studies=60)
    assert found.raters_needed == 8  # for 6 places
    assert found.cost == pytest.approx(8 * 0.1 * 15 * 1.5)
    assert found.minutes == pytest.approx((6, 6, 6))
    assert found.messages == {"There is no place.": 1}
    careful, real = found.power
    assert careful > real > 0
    spoilt = simulate(spec, replace(world, spammers=2 / 8), 6, 60)
    assert real == min(spoilt.power)


@pytest.mark.slow
def test_late_comers_are_turned_away_where_the_study_has_its_places_only(store, make_study, tmp_path):
    make_study(store, raters_per_pair=1, checks=CheckShares(0, 0, 0, 0))
    people = ["--careful=4", *NOBODY[1:], "--studies=0", "--every=2000"]
    rehearse.main(["toy", *people, "--as-planned", "--out", str(tmp_path / "out")])
    found = json.loads((tmp_path / "out" / "pilot.json").read_text())
    assert [(kind["came"], kind["finished"]) for kind in found["kinds"]] == [(4, 2)]
    assert list(found["told"].values()) == [2]
    assert "has all the raters it needs" in next(iter(found["told"]))
    assert found["power"] is None
    votes = [json.loads(line) for line in (tmp_path / "out" / "revisions.jsonl").read_text().splitlines()]
    assert all(vote["server_ms"] >= vote["response_ms"] for vote in votes if "answer" in vote)


def test_whoever_stops_a_rehearsal_sees_what_it_has_shown(store, make_study, monkeypatch, tmp_path, capsys):
    make_study(store, raters_per_pair=1, checks=CheckShares(0, 0, 0, 0))
    whole = rehearse.send

    async def stopped(copy, study, visits, finished):
        await whole(copy, study, visits[:1], finished)
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearse, "send", stopped)
    with pytest.raises(SystemExit) as stop:
        rehearse.main(["toy", "--careful=2", *NOBODY[1:]])
    assert stop.value.code == 130
    said = capsys.readouterr().out
    assert "Interrupted" in said
    assert "A session takes" in said
    assert list((tmp_path / "for-a-time").iterdir()) == []


def test_a_picture_that_is_missing_is_found_before_a_rater_misses_it(store, make_study, tmp_path):
    study = make_study(store, raters_per_pair=1, checks=CheckShares(0, 0, 0, 0), page=Page(practice=()))
    for stimulus in study.spec.stimuli:
        store.library.path(stimulus.sha256).unlink()
    with pytest.raises(StudyError, match=r"did not load .* data folder"):
        rehearse.rehearsed(store, study, rehearse.Rehearse("toy", people=rehearse.People(1, 0, 0, 0, 0, 0)), tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (NOBODY, "at least one rater"),
        (["--careful=-1"], "at least one rater"),
        (["--careful=5000"], "at most 2000"),
        (["--win-rate=1"], "win rate"),
        (["--hourly=-1"], "cannot be negative"),
    ],
)
def test_a_crowd_that_cannot_be_is_one_sentence(options, told):
    with pytest.raises(StudyError, match=told):
        rehearse.main(["toy", *options])


def people(kind: str, count: int = 1) -> list[Careful]:
    crowd = Crowd(World({"one": 1.0, "two": 0.0}), np.random.default_rng(0))
    return [person for _ in range(count) for person in KINDS[kind](crowd)]


def pair(left: str, right: str, prompt: str = "p") -> Shown:
    return Shown(Stimulus(prompt, left, "", left), Stimulus(prompt, right, "", right), DEFAULT_QUESTIONS)


def test_each_kind_answers_as_it_is_called():
    shown, gold = pair("one", "two"), pair("one", DEGRADED)
    assert set(people("left_clickers")[0].answers(shown).values()) == {"left"}
    careful, lapsing = people("careful", 60), people("lapsing", 60)
    hits = [np.mean([who.answers(gold)["overall"] == "left" for who in kind]) for kind in (careful, lapsing)]
    assert hits[0] > 0.95 > 0.9 > hits[1]
    assert all(len(set(who.answers(shown).values())) == 1 for who in people("copiers", 20))
    assert any(len(set(who.answers(shown).values())) > 1 for who in careful[:20])
    times = [np.mean([who.seconds(3)[0] for who in people(kind, 60)]) for kind in ("careful", "speeders")]
    assert times[0] > 2.5 > 0.5 > times[1]
    assert (np.diff(careful[0].seconds(3)) > 0).all()


def test_the_second_colluder_clicks_what_the_first_told_and_guesses_the_rest():
    first, second = people("colluding_pairs")
    told = [first.answers(pair("one", "two", f"p{i}")) for i in range(20)]
    assert [second.answers(pair("two", "one", f"p{i}")) for i in range(20)] == told
    guessed = {second.answers(pair("one", "two", "never seen"))["overall"] for _ in range(30)}
    assert guessed == {"left", "tie", "right"}


def test_prompts_suit_arms_alike_for_all():
    crowd = Crowd(World({"one": 0.0, "two": 0.0}), np.random.default_rng(0))
    one = Stimulus("p", "one", "", "x")
    assert crowd.suit(one) == crowd.suit(one) != 0
    assert crowd.suit(Stimulus("p", DEGRADED, "", "y")) == 0


def test_a_rehearsal_can_be_called_within_a_running_event_loop():
    async def inner() -> int:
        return 7

    async def outer() -> int:
        return run(inner())

    assert run(outer()) == 7
