"""Pairs that the answers so far choose: which, with what chance, and that nobody else chose them."""

import json
import random
from collections import Counter
from hashlib import sha256
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.study_adaptive import Options, judged, marginal
from benchmarks.study_adaptive import study as simulated
from study.errors import StudyError
from study.images.sources import Source
from study.protocol.adaptive import DIGITS, EXPLORED, believed, chosen, draw, gains
from study.protocol.balanced import comparisons, quota, rater_count, slots
from study.protocol.choices import Plan
from study.protocol.parts import ANSWERS, CheckShares, Exclusions, Hypothesis, Page, Question, Stopping
from study.reporting.closing import plan_problems
from study.reporting.export import export_study, read_export
from study.reporting.report import build
from study.reporting.verify import verify_export
from study.stats.davidson import fit, ranking
from study.store.creating import make_study
from study.store.leaving import drop, release
from study.store.raters import refusal
from study.store.studies import close_study, find_study, progress
from study.store.tables import StoredAssignment
from tests.study.specs import make_spec
from tests.study.voting import rater, vote_all

PAIRS = list(combinations(range(4), 2))


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


@pytest.fixture
def study(store, tmp_path):
    """4 arms, 6 prompts, 2 pairs of arms a prompt and rater: 24 comparisons, 4 raters of 6."""
    sources = []
    for number, (prompt, arm) in enumerate((p, a) for p in range(6) for a in "abcd"):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (16, 16), (number, 9 * number, 255 - number)).save(file)
        sources.append(Source(f"prompt {prompt}", arm, file, ""))
    return make_study(
        store,
        "chosen",
        sources,
        design="adaptive",
        pairs_per_prompt=2,
        pairs_per_rater=6,
        raters_per_pair=2,
        questions=(Question("overall", "Which?"), Question("other", "Which else?")),
        checks=CheckShares(0.2, 0, 0.2, 0.2),
        exclusions=Exclusions.none(),
        page=Page(practice=()),
    )


def lopsided() -> np.ndarray:
    """The first arm beats all; the last two were compared once."""
    counts = np.zeros((4, 4, 3))
    counts[0, 1:, 0], counts[1:, 0, 2] = 20, 20
    counts[2, 3], counts[1, 2] = (1, 0, 0), (6, 2, 6)
    return counts


def test_what_is_believed_is_the_most_likely_where_there_are_many_answers():
    counts = np.random.default_rng(0).integers(200, 900, (4, 4, 3)) * (1 - np.eye(4))[..., None]
    mode, information = believed(counts)
    found = fit(counts, ("a", "b", "c", "d"))
    np.testing.assert_allclose(mode[:4] - mode[:4].mean(), found.strengths, atol=2e-3)
    np.testing.assert_allclose(mode[4:], (found.tie, found.side), atol=2e-3)
    assert np.linalg.eigvalsh(information).min() > 0


def test_a_gain_is_what_an_answer_says_of_who_is_better():
    """By brute force, and in its order: nothing of a clear pair, most of a close one of which little is known."""
    gap, spread, tie = 0.3, 0.7, -0.7
    values = np.linspace(gap - 6 * spread, gap + 6 * spread, 20001)
    weight = np.exp(-(((values - gap) / spread) ** 2) / 2)
    odds = np.exp(np.stack([values / 2, np.full_like(values, tie), -values / 2], 1))
    joint = np.stack(
        [((odds / odds.sum(1, keepdims=True)) * (weight * side)[:, None]).sum(0) for side in (values > 0, values <= 0)]
    )
    joint /= joint.sum()
    wanted = (joint * np.log(joint / (joint.sum(0) * joint.sum(1, keepdims=True)))).sum()
    found = gains(np.array([gap, 3.0, 0.0, 0.0]), np.array([spread, 0.5, 0.2, 0.9]), tie)
    assert found[0] == pytest.approx(wanted, rel=0.1)
    assert found[1] < 1e-3 < found[2] < found[3]


def test_a_propensity_is_the_chance_of_the_pair_and_every_pair_has_some():
    drawn = [draw(lopsided(), PAIRS, ["0.0"], random.Random(seed))[0] for seed in range(150)]
    chance = {pair: p for _, pair, p in drawn}
    counts = Counter(pair for _, pair, _ in drawn)
    for pair, p in chance.items():
        assert abs(counts[pair] / 150 - p) < 4 * (p * (1 - p) / 150) ** 0.5
    assert all(p == round(p, 6) for p in chance.values())  # exports that were made before have six digits
    assert min(chance.values()) >= round(EXPLORED / len(PAIRS), DIGITS)
    assert 3 in max(chance, key=chance.get)  # of which least is known
    assert 0 not in max(chance, key=chance.get)


def test_what_a_drawn_pair_will_teach_counts_for_the_next_ones():
    drawn = draw(lopsided(), PAIRS, [f"{i}.0" for i in range(30)], random.Random(0))
    often = Counter(pair for _, pair, _ in drawn).most_common(1)[0][0]
    chances = [p for _, pair, p in drawn if pair == often]
    assert chances[-1] < chances[0]
    twice = draw(lopsided(), PAIRS, ["0.0"] * 6, random.Random(0))
    assert len({pair for _, pair, _ in twice}) == 6  # no pair twice on one prompt


@pytest.mark.parametrize(
    ("arms", "changes", "told"),
    [
        (2, {}, "two arms make only one pair"),
        (2, {"stopping": Stopping("e-value")}, "cannot stop on an e-value"),
        (3, {"hypotheses": (Hypothesis("arm0", "arm1", "overall"),)}, "cannot answer registered hypotheses"),
        (3, {"design": "clever"}, "choose balanced or adaptive"),
    ],
)
def test_rules_that_chosen_pairs_would_break_are_refused(arms, changes, told):
    with pytest.raises(StudyError, match=told):
        make_spec(arms=arms, **({"design": "adaptive"} | changes))


def test_every_prompt_has_its_quota_and_all_of_it_verifies(store, study, tmp_path):
    spec = study.spec
    assert set(quota(spec).values()) == {4}
    assert rater_count(spec) == 4
    assert len(comparisons(spec)) == 36  # any pair of arms may be asked about
    for number in range(rater_count(spec)):
        vote_all(store, rater(store, study, f"rater {number}"), lambda screen: random.choice(["left", "right"]))
        assert progress(store.database, study).pairs == 6
    assert progress(store.database, study).pairs_complete == 6
    assert refusal(store.database, study, None)
    close_study(store, "chosen")
    folder = tmp_path / "export"
    tables = export_study(store, find_study(store.database, "chosen"), folder)
    assert not verify_export(folder).problems
    asked = tables.votes[tables.votes["kind"] == "comparison"]
    assert set(asked.groupby("prompt")["assignment"].nunique()) == {4}
    assert asked["propensity"].between(EXPLORED / 6 - 1e-6, 1, inclusive="left").all()
    assert (tables.votes.loc[tables.votes["kind"] != "comparison", "propensity"] == 1).all()
    assert {entry["propensity"] for entry in tables.revisions if "answer" in entry} == set(tables.votes["propensity"])
    page = build(folder, tmp_path / "report").read_text()
    assert "Earlier answers decided which arms were compared" in page
    assert "Interim" not in page
    _other_propensities_are_found(folder, tables.votes)
    _other_choices_are_found(folder)


def _other_propensities_are_found(folder, votes: pd.DataFrame) -> None:
    votes.assign(propensity=votes["propensity"] / 2).to_parquet(folder / "votes.parquet")
    assert any("is not what its revisions say" in told for told in verify_export(folder).problems)
    votes.to_parquet(folder / "votes.parquet")


def _other_choices_are_found(folder) -> None:
    """Whoever wants other pairs asked about would have to say so in the plan."""
    file = folder / "plan.json"
    written = json.loads(file.read_text())
    handed = max(written["raters"].values(), key=lambda one: one["after"])
    assert handed["after"] > 0
    for changes in ({"pairs": {pair: 0.5 for pair in handed["pairs"]}}, {"after": 0}):
        handed |= changes
        file.write_text(json.dumps(written))
        assert any("had chosen" in told for told in plan_problems(folder, read_export(folder)))


def test_what_somebody_left_and_whose_answers_do_not_count_is_asked_again(store, study):
    for number in range(3):
        vote_all(store, rater(store, study, f"rater {number}"))
    gone = rater(store, study, "gone")
    vote_all(store, gone, limit=4)
    release(store.database, study, gone.id)
    assert not refusal(store.database, study, None)
    heir = rater(store, study, "heir")
    vote_all(store, heir)
    assert progress(store.database, study).pairs_complete == 6
    with store.database.read() as session:
        asked = [row for row in session.query(StoredAssignment).filter_by(rater_id=heir.id) if row.kind == "comparison"]
    assert 0 < len(asked) < 6
    drop(store.database, study, heir.id, "withdrew")
    assert progress(store.database, study).pairs_complete < 6
    vote_all(store, rater(store, study, "last"))
    assert progress(store.database, study).pairs_complete == 6


def test_answers_move_the_choice_and_the_secret_draws_it():
    changes = Plan(design="adaptive", pairs_per_prompt=3).changes()
    spec = make_spec(arms=4, prompts=10, design=changes["design"], pairs_per_prompt=3, pairs_per_rater=30)
    units = slots(spec, 0, "secret")
    assert Counter(units) == dict.fromkeys(quota(spec), 3)
    first = chosen(spec, units, [], 0, "secret")
    assert first == chosen(spec, units, [], 0, "secret") != chosen(spec, units, [], 0, "other")
    clear = [(p.id, p.first.sha256, "left") for p in comparisons(spec) if p.first.arm == "arm0" for _ in range(4)]
    after = Counter(pair.split(":")[1] for pair in chosen(spec, units, clear, 0, "secret"))
    assert after["arm0"] < Counter(pair.split(":")[1] for pair in first)["arm0"] / 2


def test_pairs_that_were_chosen_once_are_chosen_so_for_ever():
    """An export of a closed study verifies where its answers and its secret choose the same pairs again."""
    spec = make_spec(arms=4, prompts=6, copies=2, design="adaptive", pairs_per_prompt=2, pairs_per_rater=8)
    rng, past = random.Random(1), []
    for _ in range(40):
        pair = rng.choice(comparisons(spec))
        past.append((pair.id, rng.choice([pair.first, pair.second]).sha256, rng.choice(ANSWERS[:2] + ANSWERS)))
    drawn = [chosen(spec, slots(spec, index), past[: 10 * index], index, "secret") for index in range(5)]
    assert sha256(json.dumps(drawn).encode()).hexdigest()[:16] == "91988f393e52f5c8"


@pytest.mark.slow
def test_the_intervals_of_a_ranking_hold_though_its_answers_chose_the_pairs():
    """As many as with pairs in turns (93.5 and 95.0%), in the middle of a study and at its end."""
    options = Options(raters=(66, 132))
    odds = marginal(options.world)
    looks = [[judged(rows, real, odds)[2] for _, rows, real in simulated(options, seed, True)] for seed in range(60)]
    halfway, ended = np.mean(looks, axis=0)
    assert 0.925 < halfway < 0.98
    assert 0.94 < ended < 0.985


def test_an_answer_that_was_unlikely_to_be_asked_for_counts_more():
    """By the fourth root of its propensity: sixteen times as unlikely, twice the weight."""
    rng = np.random.default_rng(0)
    arms = rng.permuted(np.tile(list("abc"), (400, 1)), axis=1)[:, :2]
    rows = pd.DataFrame(arms, columns=["left", "right"]).assign(rater=np.arange(400) % 20, prompt=np.arange(400) // 20)
    rows = rows.assign(
        answer=rng.choice(ANSWERS, 400), question="q", propensity=np.where(rows["prompt"] < 10, 0.05, 0.8)
    )
    twice = pd.concat([rows, rows[rows["propensity"] == 0.05]]).drop(columns="propensity")
    found, wanted = ranking(rows, resamples=200), ranking(twice, resamples=200)
    for arm, estimate in wanted.strengths.items():
        assert found.strengths[arm].value == pytest.approx(estimate.value, abs=1e-9)
        assert found.strengths[arm].interval.width == pytest.approx(estimate.interval.width, rel=1e-6)
        assert found.strengths[arm].bootstrap.width == pytest.approx(estimate.bootstrap.width, rel=0.05)
