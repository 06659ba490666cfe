"""Simulated raters answer as their world says, and the planning command finds what it should."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from study.errors import StudyError
from study.simulation.chosen import places
from study.simulation.crowd import World, answer, shown, truth
from study.simulation.power import Power, Simulate, design, main, needed, planned, promise, simulate, strengths, verdict
from study.stats.preference import preference
from tests.study.specs import make_spec

WORLD = World({"A": 0.5, "B": 0.0}, tie=-0.5, side=0.3, lapse=0.05)


def many(left: str, right: str, n: int = 40_000) -> pd.DataFrame:
    """Each showing has a rater and a prompt of its own: what is left is the population."""
    names = [f"{i}" for i in range(n)]
    return pd.DataFrame(
        {
            "rater": names,
            "assignment": names,
            "prompt": names,
            "left": left,
            "right": right,
            "question": "overall",
            "mode": "joint",
        }
    )


@pytest.mark.parametrize(("left", "right"), [("A", "B"), ("B", "A")])
def test_the_truth_is_what_many_raters_say(left, right):
    answers = answer(many(left, right), WORLD, np.random.default_rng(0))["answer"]
    said = np.array([(answers == label).mean() for label in ("left", "tie", "right")])
    error = np.sqrt(said * (1 - said) / len(answers))
    assert (np.abs(said - shown(WORLD, left, right)) < 4 * error).all()


def test_the_truth_weighs_both_sides_alike_and_mirrors():
    there, back = truth(WORLD, "A", "B"), truth(WORLD, "B", "A")
    assert there.sum() == pytest.approx(1)
    assert there == pytest.approx(back[::-1])
    assert there == pytest.approx((shown(WORLD, "A", "B") + shown(WORLD, "B", "A")[::-1]) / 2)


@pytest.mark.parametrize("rate", [0.5, 0.6, 0.9])
def test_strengths_give_the_wanted_win_rate(rate):
    found = strengths(("A", "B"), (rate,), WORLD)
    won, _, lost = truth(replace(WORLD, strengths=found), "A", "B")
    assert won / (won + lost) == pytest.approx(rate, abs=1e-6)


def test_a_win_rate_that_lapses_forbid_is_refused():
    with pytest.raises(StudyError, match="lapses"):
        strengths(("A", "B"), (0.99,), replace(WORLD, lapse=0.5))


def test_halo_copies_answers_on_one_screen_only():
    table = many("A", "B", 4000)
    asked = pd.concat([table, table.assign(question="aesthetic")]).sort_values("assignment", kind="stable")
    world = replace(WORLD, halo=0.9)

    def same(mode: str) -> float:
        said = answer(asked.assign(mode=mode), world, np.random.default_rng(1))
        return said.groupby("assignment")["answer"].nunique().eq(1).mean()

    assert same("joint") > 0.9
    assert same("separate") < 0.6


def test_spammers_are_fast_and_blind():
    spec = make_spec(prompts=20, pairs_per_rater=20)
    world = World({"arm0": 5.0, "arm1": 0.0}, spammers=0.5, rater_sd=0, prompt_sd=0)
    said = answer(design(spec, 40), world, np.random.default_rng(2))
    pace = said.groupby("rater")["response_ms"].median()
    fast = pace.index[pace < 800]
    assert 8 < len(fast) < 32
    gold = said[said["kind"] == "gold"]
    passed = (gold["answer"] == gold["gold"]).groupby(gold["rater"].isin(fast)).mean()
    assert passed[False] > 0.9 > 0.75 > passed[True]


def test_power_is_the_share_of_studies_that_find_it():
    spec = planned(Simulate((0.6,), prompts=30, pairs_per_rater=15))
    none = simulate(spec, World({"A": 0.0, "B": 0.0}), raters=12, studies=150)
    much = simulate(spec, World({"A": 1.5, "B": 0.0}), raters=12, studies=40)
    assert none.truth == pytest.approx((0.0,), abs=1e-9)
    assert none.power[0] + none.wrong < 0.12  # 5% two-sided, and 150 studies
    assert much.power[0] > 0.95
    assert much.wrong == 0
    assert none.answers == 12 * 15
    assert simulate(spec, WORLD, 6, 3, seed=1) == simulate(spec, WORLD, 6, 3, seed=1)


def test_more_raters_narrow_the_interval():
    spec = planned(Simulate((0.6,), prompts=60, pairs_per_rater=20))
    few, more = (simulate(spec, WORLD, raters, 20) for raters in (6, 24))
    assert more.width[0] < few.width[0]


def test_the_search_ends_at_enough_raters_or_says_that_prompts_are_too_few():
    spec = planned(Simulate((0.7,), prompts=60, pairs_per_rater=20))
    world = replace(WORLD, strengths=strengths(("A", "B"), (0.7,), WORLD))
    tried = needed(spec, world, 0.8, studies=40)
    assert tried[-1].power[0] >= 0.8
    assert all(p.power[0] < 0.8 for p in tried if p.raters < tried[-1].raters)
    assert "are enough for a power of 80%" in verdict(tried[-1], 0.8)
    assert "use more prompts" in verdict(replace(tried[0], power=(0.2,)), 0.8)


def test_three_arms_are_searched_for_the_weakest_difference(tmp_path, capsys):
    file = tmp_path / "power.json"
    main(["--win-rate", "0.9", "0.7", "--prompts", "30", "--raters", "12", "--studies", "10", "--json", str(file)])
    written = json.loads(file.read_text())
    (result,) = written["results"]
    assert result["arms"] == ["A", "B", "C"]
    assert result["truth"][0] > result["truth"][1] > 0
    assert result["power"][0] >= result["power"][1]
    assert "12 raters" in capsys.readouterr().out


def test_the_design_is_the_plan_of_the_study():
    spec = make_spec(arms=3, prompts=6, mode="randomised")
    table = design(spec, 4)
    assert set(table["question"]) == {q.key for q in spec.questions}
    assert not table.duplicated(["assignment", "question"]).any()
    assert preference(table[table["question"] == "overall"].assign(answer="left"), "arm0", "arm1", 0).net.n > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"win_rate": (0.4,)}, "better arm first"),
        ({"win_rate": (1.0,)}, "less than 1"),
        ({"power": 1.0}, "between"),
        ({"prompts": 0}, "at least 1"),
        ({"raters": 9999}, "2000"),
    ],
)
def test_a_plan_that_cannot_be_says_why(changes, words):
    with pytest.raises(StudyError, match=words):
        Simulate(**changes)


@pytest.mark.parametrize("changes", [{"strengths": {"A": 0.0}}, {"lapse": 1.0}, {"rater_sd": -1.0}])
def test_a_world_that_cannot_be_says_why(changes):
    with pytest.raises(StudyError):
        World(**changes)


def test_power_without_a_goal_is_told_as_a_chance():
    found = Power(20, 600, 100, ("A", "B"), (0.2,), (0.5,), (0.1,), 0.0)
    assert verdict(found, None) == "With 20 raters the study finds the difference with a chance of 50%."


def test_an_adaptive_study_chooses_its_pairs_in_each_simulation():
    """Each place of the plan has one pair; the arm that is clearly the best is asked about less and less."""
    spec = make_spec(arms=4, prompts=10, design="adaptive", pairs_per_prompt=3, pairs_per_rater=30, raters_per_pair=8)
    may_be, world = places(spec, 8), World({"arm0": 4.0, "arm1": 0.2, "arm2": 0.0, "arm3": 0.1})
    studies = [may_be.answered(world, np.random.default_rng(seed)) for seed in range(2)]
    for one in studies:
        assert len(one) == may_be.comparisons == 8 * 30
        assert not one.duplicated("assignment").any()
        assert set(one["prompt"].value_counts()) == {24}
        assert one["propensity"].between(0.2 / 6 - 1e-6, 1).all()
    best = pd.concat(studies)[["left", "right"]].eq("arm0").any(axis=1).groupby(pd.concat(studies)["rater"]).mean()
    assert best.iloc[0] > 0.3 > 0.2 > best.iloc[-3:].mean()
    found = simulate(spec, world, 8, 3)
    assert found.answers == 240
    assert min(found.power) == 1
    assert found != simulate(replace(spec, design="balanced"), world, 8, 3)


def test_a_new_study_says_what_it_will_find():
    few, many = (promise(make_spec(prompts=20, raters_per_pair=n)) for n in (3, 24))
    chance = [int(re.search(r"chance of (\d+)%", said)[1]) for said in (few, many)]
    assert chance[0] < 40 < chance[1]
    assert "each of the others 60%" in promise(make_spec(arms=3), studies=5)
    assert "study simulate" in promise(make_spec(prompts=20, raters_per_pair=2000))
