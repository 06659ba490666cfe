"""The plan as a mathematical object: balance, no repeats but the planned ones, same seed same plan."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.errors import StudyError
from study.protocol.balanced import comparisons, part_of_quota, plan, quota, rater_count, rater_mode, slots
from study.protocol.parts import CheckShares, Question
from study.protocol.spec import StudySpec
from tests.study.specs import make_spec

specs = st.builds(
    make_spec,
    arms=st.integers(2, 5),
    prompts=st.integers(1, 12),
    copies=st.integers(1, 3),
    seed=st.integers(0, 2**31),
    raters_per_pair=st.integers(1, 4),
    pairs_per_rater=st.integers(1, 40),
    mode=st.sampled_from(["joint", "separate", "randomised"]),
)
quick = settings(max_examples=60, deadline=None)


def of_kind(assignments, kind):
    return [a for a in assignments if a.kind == kind]


def spread(counts: Counter, keys) -> int:
    return max(counts[key] for key in keys) - min(counts[key] for key in keys)


@quick
@given(specs)
def test_all_raters_together_show_every_pair_equally_often_and_on_both_sides(spec):
    shown, lefts = Counter(), Counter()
    for index in range(rater_count(spec)):
        for a in of_kind(plan(spec, index), "comparison"):
            shown[a.pair] += 1
            lefts[a.pair, a.left.arm] += 1
    assert set(shown.values()) == {spec.raters_per_pair}
    assert shown.keys() == {pair.id for pair in comparisons(spec)}
    for pair in comparisons(spec):
        assert abs(lefts[pair.id, pair.first.arm] - lefts[pair.id, pair.second.arm]) <= spec.raters_per_pair % 2


@quick
@given(specs, st.integers(0, 30))
def test_each_rater_sees_arm_pairs_prompts_and_sides_in_balance(spec, index):
    shown = of_kind(plan(spec, index), "comparison")
    assert len(shown) <= spec.pairs_per_rater
    pairs = Counter(tuple(sorted((a.left.arm, a.right.arm))) for a in shown)
    assert spread(pairs, spec.arm_pairs) <= 2
    for arms in spec.arm_pairs:
        lefts = Counter(a.left.arm for a in shown if {a.left.arm, a.right.arm} == set(arms))
        assert spread(lefts, arms) <= 1
    prompts = Counter(a.prompt for a in shown)
    assert spread(prompts, [prompt.text for prompt in spec.prompts]) <= len(spec.arm_pairs)
    if len(shown) <= len(spec.prompts) * len(spec.copies[spec.prompts[0].text, spec.arms[0]]):
        units = Counter((a.prompt, a.pair.split(":")[0]) for a in shown)
        assert max(units.values(), default=0) <= 1


@quick
@given(specs, st.integers(0, 30))
def test_nothing_is_shown_twice_but_the_planned_repeats(spec, index):
    assignments = plan(spec, index)
    assert [a.position for a in assignments] == list(range(len(assignments)))
    fresh = [a.pair for a in assignments if a.kind != "repeat"]
    assert len(fresh) == len(set(fresh))
    for a in of_kind(assignments, "repeat"):
        first = assignments[a.repeat_of]
        assert first.kind == "comparison"
        assert a.position > first.position
        assert (a.pair, a.left, a.right) == (first.pair, first.right, first.left)
    assert len({a.repeat_of for a in of_kind(assignments, "repeat")}) == len(of_kind(assignments, "repeat"))


@quick
@given(specs, st.integers(0, 30))
def test_the_checks_are_what_they_are_called(spec, index):
    assignments = plan(spec, index)
    assert all(a.left == a.right for a in of_kind(assignments, "identical"))
    for a in of_kind(assignments, "same_arm"):
        assert a.left.arm == a.right.arm
        assert a.left != a.right
    for a in of_kind(assignments, "gold"):
        assert (a.right if a.gold == "left" else a.left).arm == "degraded"
    assert all(a.gold == "" for a in assignments if a.kind != "gold")
    assert all(a.prompt == a.left.prompt == a.right.prompt for a in assignments)


@quick
@given(specs, st.integers(0, 30))
def test_the_same_seed_gives_the_same_plan(spec, index):
    again = StudySpec.from_json(spec.to_json())
    assert again == spec
    assert again.hash == spec.hash
    assert plan(again, index) == plan(spec, index)
    assert rater_mode(again, index) == rater_mode(spec, index)


def test_another_seed_gives_another_plan():
    assert plan(make_spec(seed=1), 0) != plan(make_spec(seed=2), 0)


def test_the_spec_alone_does_not_tell_the_sides():
    spec = make_spec(prompts=40)
    sides = [
        {a.pair: a.left.arm for a in of_kind(plan(spec, 0, secret=secret), "comparison")}
        for secret in ("", "one", "two")
    ]
    assert sides[0] != sides[1] != sides[2] != sides[0]
    assert plan(spec, 0, secret="one") == plan(spec, 0, secret="one")
    modes = [[rater_mode(make_spec(mode="randomised"), i, secret) for i in range(40)] for secret in ("one", "two")]
    assert modes[0] != modes[1]


@pytest.mark.parametrize(("arms", "prompts", "count"), [(12, 33, 4), (5, 10, 1), (6, 20, 15), (7, 11, 3)])
def test_a_sparse_design_asks_each_pair_of_arms_equally_often(arms, prompts, count):
    spec = make_spec(
        arms=arms, prompts=prompts, pairs_per_prompt=count, checks=CheckShares(0, 0, 0, 0), raters_per_pair=2
    )
    asked = comparisons(spec)
    assert len(asked) == prompts * count
    assert spread(Counter((pair.first.arm, pair.second.arm) for pair in asked), spec.arm_pairs) <= 1
    on_prompt = Counter((pair.first.prompt, arm) for pair in asked for arm in (pair.first.arm, pair.second.arm))
    for prompt in spec.prompts:
        assert spread(Counter({arm: on_prompt[prompt.text, arm] for arm in spec.arms}), spec.arms) <= 2
    shown = Counter(a.pair for index in range(rater_count(spec)) for a in plan(spec, index, secret="s"))
    assert shown == dict.fromkeys((pair.id for pair in asked), 2)


@pytest.mark.parametrize(("count", "told"), [(0, "choose 1 to 3"), (4, "choose 1 to 3"), (1, "choose 2 or more")])
def test_a_sparse_design_that_cannot_be_is_refused(count, told):
    with pytest.raises(StudyError, match=told):
        make_spec(arms=3, prompts=2, pairs_per_prompt=count)


def test_two_rounds_mirror_each_other():
    spec = make_spec(prompts=20, pairs_per_rater=10, checks=CheckShares(0, 0, 0, 0), raters_per_pair=2)
    first, second = plan(spec, 0), plan(spec, 2)
    assert [(a.pair, a.left, a.right) for a in first] == [(a.pair, a.right, a.left) for a in reversed(second)]


def test_modes_are_drawn_in_equal_numbers():
    modes = Counter(rater_mode(make_spec(mode="randomised"), index) for index in range(40))
    assert modes == {"joint": 20, "separate": 20}


def test_leftover_pairs_are_shown_instead_of_the_block():
    spec = make_spec()
    wanted = {pair.id for pair in comparisons(spec)[:4]}
    shown = of_kind(plan(spec, 7, wanted), "comparison")
    assert {a.pair for a in shown} == wanted
    assert Counter(a.left.arm for a in shown) == {"arm0": 2, "arm1": 2}


MANY = CheckShares(0.2, 0.3, 0.4, 0.5)


def drawn(assignments) -> list[tuple]:
    return [
        (a.position, a.pair, a.prompt, a.left.sha256, a.right.sha256, a.kind, a.repeat_of, a.gold, a.propensity)
        for a in assignments
    ]


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        (make_spec(), "7e63b888f0e94443"),
        (make_spec(copies=3, prompts=5, checks=MANY, mode="randomised", seed=5), "fb7920105824e2ce"),
        (make_spec(arms=3, prompts=7, pairs_per_rater=6, raters_per_pair=3, mode="separate"), "7efbe6d58bde48ac"),
        (make_spec(5, 9, 2, pairs_per_prompt=3, pairs_per_rater=8, checks=MANY), "f7f4f27dee664f39"),
        (make_spec(4, 6, pairs_per_prompt=2, design="adaptive", pairs_per_rater=5), "4bcfb0f027493b1a"),
        (make_spec(prompts=3, checks=CheckShares(0.01, 0, 0, 1.0), pairs_per_rater=2), "8c929d1b449f9736"),
    ],
)
def test_a_plan_that_was_drawn_once_is_drawn_so_for_ever(spec, kept):
    """An export of a closed study has its secret, and verifies where the same plan comes of it again."""
    units = [(pair.id, part_of_quota(spec, pair.id)) for pair in comparisons(spec)]
    found: list = [rater_count(spec), quota(spec), units]
    left = {pair.id: 0.25 for pair in comparisons(spec)[1:9]}
    for secret in ("", "secret"):
        for index in range(2 * rater_count(spec) + 1):
            found += [rater_mode(spec, index, secret), *drawn(plan(spec, index, secret=secret))]
        found += [*drawn(plan(spec, 3, left, secret)), *drawn(plan(spec, 4, [*left][:3], secret))]
        found += slots(spec, 1, secret)
    assert sha256(repr(found).encode()).hexdigest()[:16] == kept


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": ("arm0",)}, "at least two arms"),
        ({"arms": ("arm0", "degraded")}, "reserved one"),
        ({"arms": ("arm0", "arm1", "arm2")}, "the same number of images"),
        ({"name": "a b"}, "letters, digits"),
        ({"questions": ()}, "at least one question"),
        ({"questions": (Question("a", "x"), Question("a", "y"))}, "named 2 times"),
        ({"questions": (Question("a b", "x"),)}, "needs a key"),
        ({"raters_per_pair": 0}, "whole number from 1"),
        ({"seed": -1}, "whole number from 0"),
        ({"open_cap": -1}, "open_cap is -1: choose a whole number from 0"),
        ({"mode": "both"}, "choose joint"),
        ({"checks": CheckShares(same_arm=0.1)}, "two images of one prompt"),
        ({"degraded": (), "gold_of": ()}, "degraded copies"),
        ({"completion_url": "http://x"}, "https"),
    ],
)
def test_a_spec_that_cannot_be_says_why(changes, words):
    with pytest.raises(StudyError, match=words):
        replace(make_spec(), **changes)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share):
    with pytest.raises(StudyError, match="from 0 to 1"):
        CheckShares(gold=share)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}', '{"unknown": 1}'])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(StudyError, match="not a study spec"):
        StudySpec.from_json(text)


def test_the_hash_changes_with_the_spec():
    assert make_spec().hash != replace(make_spec(), seed=1).hash
