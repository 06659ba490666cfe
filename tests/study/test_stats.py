"""The statistics against other programs, published figures, closed forms and identities."""

from dataclasses import replace
from itertools import pairwise

import evalica
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from benchmarks.study_looks import alarms, outcomes
from study.errors import StudyError
from study.protocol.parts import Exclusions
from study.reporting.words import verdict
from study.simulation.power import Simulate, design, planned
from study.stats import checked, davidson, evidence, exclude, preference, ranking
from study.stats.agreement import consistency, halo, halo_of_one_screen, krippendorff, side_bias
from study.stats.analysis import Answered, plain
from study.stats.answers import codes
from study.stats.davidson import fit
from study.stats.evalues import for_new_prompts, highest, sequence, wealth
from study.stats.intervals import Interval, bounded, covariance, exact, holm, pigeonhole, unbounded
from study.stats.preference import against_others

FLIP = {"left": "right", "right": "left", "tie": "tie"}


def table(rows, **columns) -> pd.DataFrame:
    """Answers from (rater, prompt, left, right, answer)."""
    frame = pd.DataFrame(rows, columns=["rater", "prompt", "left", "right", "answer"]).astype(str)
    frame = frame.assign(
        assignment=[f"s{i}" for i in range(len(frame))],
        pair=frame["prompt"],
        category="",
        kind="comparison",
        repeat_of="",
        question="overall",
        mode="joint",
        position=range(len(frame)),
        response_ms=2000.0,
        gold="",
        image_left=frame["left"] + ".png",
        image_right=frame["right"] + ".png",
        time="2026-05-01T00:00:00+00:00",
    )
    return frame.assign(**columns)


def random_table(seed: int, n: int = 300, arms="ab", raters: int = 12, prompts: int = 15) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, len(arms), n)
    right = (left + rng.integers(1, len(arms), n)) % len(arms)
    likes, suits = rng.normal(0, 0.7, (raters, len(arms))), rng.normal(0, 0.7, (prompts, len(arms)))
    rater, prompt = rng.integers(0, raters, n), rng.integers(0, prompts, n)
    worth = [likes[rater, arm] + suits[prompt, arm] for arm in (left, right)]
    lean = worth[0] - worth[1] + 0.3 * (right - left) + 0.2 + rng.logistic(size=n)
    answer = np.select([lean > 0.5, lean < -0.5], ["left", "right"], "tie")
    return table(zip(rater, prompt, np.array(list(arms))[left], np.array(list(arms))[right], answer, strict=True))


# What comes in


def test_an_unknown_label_is_an_error_and_never_a_tie():
    for label in ("Left", "both", "", "bad"):
        with pytest.raises(StudyError, match="Unknown answer"):
            checked(table([("r", "p", "a", "b", label)]))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "practice"}, "Unknown kind"), ({"gold": "a"}, "Unknown expected"), ({"assignment": "s"}, "twice")],
)
def test_what_the_statistics_cannot_read_is_refused(change, message):
    with pytest.raises(StudyError, match=message):
        checked(table([("r", "p", "a", "b", "left"), ("r", "q", "a", "b", "tie")], **change))
    with pytest.raises(StudyError, match="lack the columns"):
        checked(table([("r", "p", "a", "b", "left")]).drop(columns="mode"))


# Two arms


def test_two_arms_are_counted_by_hand():
    rows = [
        ("r", "p", "a", "b", "left"),
        ("r", "q", "b", "a", "right"),
        ("s", "p", "a", "b", "tie"),
        ("s", "q", "b", "a", "left"),
        ("s", "o", "a", "c", "left"),
    ]
    found = preference(table(rows), "a", "b", resamples=0)
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.win_rate_decided.value == pytest.approx(2 / 3)
    assert found.win_rate_ties_half.value == pytest.approx(5 / 8)
    assert found.tie_rate.value == pytest.approx(1 / 4)
    assert found.net.value == pytest.approx(1 / 4)
    assert (found.win_rate_decided.n, found.net.n) == (3, 4)


def test_one_arm_against_all_others_is_counted_by_hand():
    """Twice won, once tied, once lost, from either side; what others did among themselves does not count."""
    rows = [("a", "b", "left"), ("c", "a", "right"), ("a", "c", "tie"), ("b", "a", "left"), ("b", "c", "left")]
    answers = table([(f"r{i}", f"p{i}", *row) for i, row in enumerate([*rows, ("a", "a", "left")])])
    found = against_others(answers, "a")
    assert (found.value, found.n, found.bootstrap) == (pytest.approx(2.5 / 4), 4, None)
    renamed = answers.replace({"left": {"c": "b"}, "right": {"c": "b"}})
    assert found == preference(renamed, "a", "b", 0).win_rate_ties_half


def test_two_way_errors_are_those_of_statsmodels():
    answers = random_table(1)
    found = preference(answers, "a", "b", resamples=0)
    y = np.select(
        [answers["answer"] == answers["left"].map({"a": "left", "b": "right"}), answers["answer"] == "tie"],
        [1.0, 0.0],
        -1.0,
    )
    groups = np.stack([pd.factorize(answers[name])[0] for name in ("rater", "prompt")], 1)
    theirs = sm.OLS(y, np.ones_like(y)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True}
    )  # each way with G/(G-1) (n-1)/(n-1), as here
    assert found.net.value == pytest.approx(theirs.params[0], abs=1e-12)
    assert found.net.error == pytest.approx(theirs.bse[0], rel=1e-5)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_exchanging_sides_and_answers_changes_nothing(seed):
    answers = random_table(seed, 60, "ab", 5, 6)
    mirrored = answers.assign(left=answers["right"], right=answers["left"], answer=answers["answer"].map(FLIP))
    assert plain(preference(answers, "a", "b", 50)) == plain(preference(mirrored, "a", "b", 50))


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_exchanging_the_arms_mirrors_the_result(seed):
    answers = random_table(seed, 60, "ab", 5, 6)
    one, two = preference(answers, "a", "b", 0), preference(answers, "b", "a", 0)
    assert (one.wins, one.ties) == (two.losses, two.ties)
    assert one.net.value == pytest.approx(-two.net.value, abs=1e-6)
    assert one.net.interval.low == pytest.approx(-two.net.interval.high, abs=1e-6)
    assert one.win_rate_decided.interval.high == pytest.approx(1 - two.win_rate_decided.interval.low, abs=1e-6)
    assert one.net.p == pytest.approx(two.net.p, abs=1e-6)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_intervals_hold_their_estimate_and_stay_within_the_limits(raters, prompts, seed):
    rng = np.random.default_rng(seed)
    rows = [(i, j, "a", "b", rng.choice(["left", "tie", "right"])) for i in range(raters) for j in range(prompts)]
    found = preference(table(rows), "a", "b", 0)
    for estimate, low in ((found.win_rate_ties_half, 0), (found.tie_rate, 0), (found.net, -1)):
        assert low <= estimate.interval.low <= estimate.value <= estimate.interval.high <= 1
        assert estimate.interval.width > 0


def test_unanimous_raters_do_not_make_the_interval_vanish():
    rows = [(i, j, "a", "b", "left") for i in range(20) for j in range(30)]
    found = preference(table(rows), "a", "b", 0)
    assert found.win_rate_decided.value == 1
    assert found.win_rate_decided.interval.low == pytest.approx(0.025 ** (1 / 20))  # Clopper-Pearson, 20 of 20
    assert found.net.p == pytest.approx(2 / 2**20)  # the sign test's


@pytest.mark.parametrize(("raters", "prompts"), [(3, 10), (10, 20), (20, 30)])
def test_one_more_answer_for_the_winner_never_makes_it_less_sure(raters, prompts):
    rows = [[i, j, "a", "b", "left"] for i in range(raters) for j in range(prompts)]
    for answer, count in (("tie", 1), ("right", 1), ("right", 3)):
        other = [[*row[:4], answer] if i < count else row for i, row in enumerate(rows)]
        all_won, nearly = (preference(table(some), "a", "b", 0) for some in (rows, other))
        for name in ("net", "win_rate_ties_half", "win_rate_decided"):
            better, worse = getattr(all_won, name), getattr(nearly, name)
            assert better.interval.low >= worse.interval.low
            assert better.p <= worse.p


def test_independent_answers_give_wilsons_interval():
    rng = np.random.default_rng(0)
    y = rng.random(4000) < 0.3
    who = codes(range(4000), ["p"] * 4000)  # each rater once: no clusters
    variance, df = covariance(((y - y.mean()) / 4000)[:, None], who)
    found = bounded(float(y.mean()), float(variance[0, 0]), float(df[0]), who).interval
    low, high = proportion_confint(y.sum(), 4000, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_a_chance_of_independent_tries_has_the_exact_interval(level):
    for hits, n in ((0, 5), (5, 5), (1, 7), (40, 41), (12, 30), (0, 0)):
        low, high = proportion_confint(hits, n, 1 - level, "beta") if n else (0.0, 1.0)
        found = exact(hits, n, level)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert exact(3, 9) == exact(3, 9, 0.95)


def test_a_figure_without_limits_has_students_interval_and_p_value():
    found = unbounded(1.5, 0.25, 7.0, 20, null=0.5)
    theirs = stats.t(7)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (1.5 - theirs.ppf(0.975) / 2, 1.5 + theirs.ppf(0.975) / 2)
    )
    assert found.p == pytest.approx(2 * theirs.sf(2))
    assert (found.value, found.error, found.df, found.n) == (1.5, 0.5, 7.0, 20)
    assert unbounded(-1.5, 0.25, 7.0, 20).p == pytest.approx(2 * theirs.sf(3))
    sure = unbounded(1.5, -1e-18, 7.0, 20)  # what rounding leaves of a variance of 0
    assert (sure.error, sure.interval.width) == (0, 0)
    assert np.isnan(sure.p)


@pytest.mark.parametrize(("raters", "prompts", "df"), [(6, 1, 5), (1, 4, 3), (1, 1, 23)])
def test_where_one_rater_or_one_prompt_is_all_the_others_alone_are_drawn(raters, prompts, df):
    """And where it is one of each, every answer is a draw of its own."""
    n = 24
    who = codes(np.arange(n) % raters, np.arange(n) % prompts)
    influence = np.random.default_rng(0).normal(size=(n, 2))
    group = np.arange(n) % max(raters, prompts) if max(raters, prompts) > 1 else np.arange(n)
    sums = np.stack([influence[group == one].sum(0) for one in np.unique(group)])
    variance, degrees = covariance(influence, who)
    assert variance == pytest.approx(sums.T @ sums * len(sums) / (len(sums) - 1))
    assert degrees.tolist() == [df, df]


def test_more_answers_of_the_same_raters_are_not_more_raters():
    rng = np.random.default_rng(2)
    taste = rng.choice(["left", "right"], 10)  # every rater always says the same
    rows = lambda prompts: [(i, j, "a", "b", taste[i]) for i in range(10) for j in range(prompts)]
    few, many = (preference(table(rows(p)), "a", "b", 0).net.interval.width for p in (10, 200))
    assert many == pytest.approx(few, rel=0.1)


def test_several_questions_at_once_are_refused_and_no_answers_are_unknown():
    answers = table([("r", "p", "a", "b", "left"), ("r", "p", "a", "b", "left")], question=["x", "y"])
    with pytest.raises(StudyError, match="several questions"):
        preference(answers, "a", "b")
    none = preference(answers[answers["question"] == "x"], "a", "c")
    assert np.isnan(none.net.value)
    assert (none.net.interval.low, none.net.interval.high) == (-1, 1)


def test_pigeonhole_weights_are_products_of_draws():
    who = codes([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1])
    weights = pigeonhole(who, 500, seed=1)
    assert weights.shape == (500, 6)
    assert (weights.reshape(500, 3, 2).sum((1, 2)) == 6).all()
    assert weights.mean(0) == pytest.approx(np.ones(6), abs=0.15)


# Three arms or more


def counts_of(answers: pd.DataFrame, arms: str) -> np.ndarray:
    counts = np.zeros((len(arms), len(arms), 3))
    for left, right, answer in answers[["left", "right", "answer"]].itertuples(index=False):
        counts[arms.index(left), arms.index(right), ["left", "tie", "right"].index(answer)] += 1
    return counts


def test_without_ties_and_side_the_strengths_are_evalicas():
    """Mirrored counts have no side; without ties Davidson's model is Bradley and Terry's."""
    answers = random_table(3, 600, "abcd")
    answers = answers[answers["answer"] != "tie"]
    counts = counts_of(answers, "abcd")
    counts = counts + counts.transpose(1, 0, 2)[..., ::-1]
    found = fit(counts, tuple("abcd"))
    xs, ys, winners, weights = [], [], [], []
    for a, b, label in zip(*np.nonzero(counts), strict=True):
        xs.append("abcd"[a]), ys.append("abcd"[b]), weights.append(counts[a, b, label])
        winners.append({0: evalica.Winner.X, 2: evalica.Winner.Y}[int(label)])
    theirs = evalica.bradley_terry(xs, ys, winners, weights=weights, tolerance=1e-12, limit=10_000).scores
    theirs = np.log(theirs.sort_index().to_numpy())
    assert found.strengths == pytest.approx(theirs - theirs.mean(), abs=1e-5)
    assert found.side == pytest.approx(0, abs=1e-8)
    assert found.tie == -np.inf


def test_without_ties_strengths_and_side_are_a_logistic_regressions():
    answers = random_table(4, 800, "abc")
    answers = answers[answers["answer"] != "tie"]
    x = np.stack([(answers["left"] == arm).astype(float) - (answers["right"] == arm) for arm in "ab"], 1)
    theirs = sm.Logit((answers["answer"] == "left").astype(float), sm.add_constant(x)).fit(disp=0)
    found = fit(counts_of(answers, "abc"), tuple("abc"))
    assert found.side == pytest.approx(theirs.params.iloc[0], abs=1e-5)
    assert found.strengths[:2] - found.strengths[2] == pytest.approx(theirs.params.iloc[1:].to_numpy(), abs=1e-5)
    assert found.log_likelihood == pytest.approx(theirs.llf, abs=1e-5)


def test_two_arms_have_a_closed_form():
    """Sides mirrored, d = log(wins / losses) and nu = ties / sqrt(wins losses) (Davidson 1970)."""
    wins, ties, losses = 50.0, 30.0, 20.0
    counts = np.zeros((2, 2, 3))
    counts[0, 1], counts[1, 0] = (wins, ties, losses), (losses, ties, wins)
    found = fit(counts, ("a", "b"))
    assert found.strengths[0] - found.strengths[1] == pytest.approx(np.log(wins / losses), abs=1e-8)
    assert found.tie == pytest.approx(np.log(ties / np.sqrt(wins * losses)), abs=1e-8)


def test_the_baseball_league_of_agresti():
    """Agresti, Categorical Data Analysis (2002), tables 10.10 and 10.11: the American League of 1987, home left."""
    teams = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
    wins_losses_at_home = [
        [(), (4, 3), (4, 2), (4, 3), (6, 1), (4, 2), (6, 0)],
        [(3, 3), (), (4, 2), (4, 3), (6, 0), (6, 1), (4, 3)],
        [(2, 5), (4, 3), (), (2, 4), (4, 3), (4, 2), (6, 0)],
        [(3, 3), (5, 1), (2, 5), (), (4, 3), (4, 2), (6, 1)],
        [(5, 1), (2, 5), (3, 3), (4, 2), (), (5, 2), (6, 0)],
        [(2, 5), (3, 3), (3, 4), (4, 3), (4, 2), (), (2, 4)],
        [(2, 5), (1, 5), (1, 6), (2, 4), (1, 6), (3, 4), ()],
    ]
    counts = np.zeros((7, 7, 3))
    for i, row in enumerate(wins_losses_at_home):
        for j, cell in enumerate(row):
            if cell:
                counts[i, j, [0, 2]] = cell
    found = fit(counts, teams)
    published = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0.0]  # without the home field
    symmetric = fit(counts + counts.transpose(1, 0, 2)[..., ::-1], teams)
    assert symmetric.strengths - symmetric.strengths[-1] == pytest.approx(published, abs=6e-4)
    assert found.side == pytest.approx(0.302, abs=6e-4)


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_exchanging_sides_turns_the_side_term_and_nothing_else(seed):
    answers = random_table(seed, 200, "abc", 6, 8)
    mirrored = answers.assign(left=answers["right"], right=answers["left"], answer=answers["answer"].map(FLIP))
    one, two = ranking(answers, 0), ranking(mirrored, 0)
    assert one.side.value == pytest.approx(-two.side.value, abs=1e-6)
    for arm in "abc":
        assert one.strengths[arm].value == pytest.approx(two.strengths[arm].value, abs=1e-6)
        assert one.strengths[arm].error == pytest.approx(two.strengths[arm].error, rel=1e-5)


def test_the_sandwich_of_the_ranking_is_that_of_a_clustered_logistic_regression():
    answers = random_table(6, 900, "abc")
    answers = answers[answers["answer"] != "tie"]
    x = np.stack([(answers["left"] == arm).astype(float) - (answers["right"] == arm) for arm in "ab"], 1)
    groups = np.stack([pd.factorize(answers[name])[0] for name in ("rater", "prompt")], 1)
    theirs = sm.Logit((answers["answer"] == "left").astype(float).to_numpy(), sm.add_constant(x)).fit(disp=0)
    robust = sm.stats.sandwich_covariance.cov_cluster_2groups(theirs, groups[:, 0], groups[:, 1], use_correction=False)
    by_rater, by_prompt = robust[1], robust[2]
    found = ranking(answers, 0)
    cells = sm.stats.sandwich_covariance.cov_cluster(theirs, groups[:, 0] * 100 + groups[:, 1], use_correction=False)
    r, p, c = 12, 15, len(np.unique(groups[:, 0] * 100 + groups[:, 1]))
    expected = by_rater * r / (r - 1) + by_prompt * p / (p - 1) - cells * c / (c - 1)
    of_a = np.array([0, 2 / 3, -1 / 3])  # against the average arm, c being 0
    assert found.strengths["a"].error == pytest.approx(np.sqrt(of_a @ expected @ of_a), rel=1e-5)


def test_arms_that_nothing_connects_are_an_error():
    rows = [("r", "p", "a", "b", "left"), ("r", "p", "b", "a", "left"), ("r", "p", "c", "d", "left")]
    with pytest.raises(StudyError, match=r"a, b \| c, d"):
        ranking(table(rows))
    with pytest.raises(StudyError, match="Every answer is a tie"):
        ranking(table([("r", "p", "a", "b", "tie"), ("r", "p", "b", "c", "tie")]))


def test_an_arm_that_never_loses_gets_a_finite_strength_and_a_flag():
    rows = [(i, j, "abc"[k], "abc"[(k + 1) % 3], "") for i in range(6) for j in range(6) for k in range(3)]
    rng = np.random.default_rng(0)
    decide = lambda a, b: "left" if a == "a" else "right" if b == "a" else rng.choice(["left", "tie", "right"])
    found = ranking(table([(i, j, a, b, decide(a, b)) for i, j, a, b, _ in rows]), 100)
    assert found.fit.separated
    assert next(iter(found.strengths)) == "a"
    assert 2 < found.strengths["a"].value < 10
    assert np.isfinite(plain(found.strengths["a"].bootstrap)["high"])
    assert not ranking(random_table(0, 300, "abc"), 0).fit.separated


def test_the_bootstrap_is_wider_than_the_sandwich_and_about_the_same_middle():
    found = ranking(random_table(8, 900, "abc", 20, 20), 300)
    for estimate in found.strengths.values():
        assert estimate.bootstrap.width > 0.9 * estimate.interval.width
        assert estimate.value in estimate.bootstrap


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm([0.01, float("nan")])[1])
    assert holm([0.01, float("nan")])[0] == pytest.approx(0.01)


def test_holm_is_that_of_statsmodels(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # theirs collects at every call, which takes a second here
    for seed in range(40):
        rng = np.random.default_rng(seed)
        ps = rng.random(rng.integers(1, 9)).round(1).tolist()  # some alike
        assert holm(ps) == multipletests(ps, method="holm")[1].tolist()


# How far the answers can be trusted


def test_alpha_of_krippendorffs_own_example():
    """Krippendorff (2011), Computing Krippendorff's alpha-reliability, section C: 12 units, 4 observers, 0.743."""
    text = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    cells = [(unit, int(value)) for row in text for unit, value in enumerate(row.split()) if value != "."]
    unit, label = np.array(cells).T
    assert krippendorff(unit, label)[0] == pytest.approx(0.743, abs=5e-4)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_alpha_is_evalicas(seed):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"unit": rng.integers(0, 10, 60), "rater": rng.integers(0, 8, 60)}).drop_duplicates()
    data = data.assign(label=rng.integers(-1, 2, len(data)))
    wide = data.pivot(index="rater", columns="unit", values="label")
    found = krippendorff(data["unit"].to_numpy(), data["label"].to_numpy())[0]
    assert found == pytest.approx(evalica.alpha(wide).alpha, abs=1e-9)


def test_the_influence_on_alpha_predicts_the_jackknife():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(60), 8)
    label = np.where(rng.random(480) < 0.5, np.repeat(rng.integers(0, 3, 60), 8), rng.integers(0, 3, 480))
    value, influence, _ = krippendorff(unit, label)
    for drop in range(5):  # whole units, so that no unit's size changes
        kept = unit != drop
        change = krippendorff(np.unique(unit[kept], return_inverse=True)[1], label[kept])[0] - value
        assert change == pytest.approx(-influence[unit == drop].sum(), abs=6e-4)


def test_repeats_are_compared_without_their_sides():
    first = table([("r", i, "a", "b", "left") for i in range(4)])
    again = table(
        [("r", i, "b", "a", answer) for i, answer in enumerate(("right", "right", "left", "tie"))],
        assignment=list("tuvw"),
        kind="repeat",
        repeat_of=[f"s{i}" for i in range(4)],
    )
    found = consistency(pd.concat([first, again], ignore_index=True))
    assert found.same.value == pytest.approx(0.5)
    assert found.same_side == 1
    assert found.chance == pytest.approx(0.5)


def test_side_bias_counts_decided_comparisons_and_identical_pairs_apart():
    compared = table([(i, j, "a", "b", "left" if j < 3 else "right") for i in range(8) for j in range(4)])
    same = table([(i, 9, "a", "a", "tie" if i < 6 else "left") for i in range(8)], kind="identical")
    found = side_bias(pd.concat([compared, same]))
    assert found.left.value == pytest.approx(0.75)
    assert found.identical_ties.value == pytest.approx(0.75)


def test_copied_answers_are_full_halo_and_independent_ones_none():
    rng = np.random.default_rng(0)
    base = random_table(0, 400).drop_duplicates(["rater", "pair"])
    copied = pd.concat([base.assign(question=q) for q in "xyz"])
    free = [
        base.assign(
            question=q,
            mode="separate",
            rater="s" + base["rater"],
            answer=rng.choice(["left", "tie", "right"], len(base)),
        )
        for q in "xyz"
    ]
    both = pd.concat([copied, *free], ignore_index=True)
    found = halo(both)
    assert found["joint"].alpha.value == pytest.approx(1)
    assert found["joint"].all_same.value == 1
    assert 0 in found["separate"].alpha.interval
    assert halo_of_one_screen(both).value == pytest.approx(1, abs=0.15)
    assert halo_of_one_screen(copied) is None
    assert halo(base) == {}


def test_exclusions_are_counted_by_rule_and_rater():
    good = table([("good", i, "a", "b", "left") for i in range(4)])
    fast = table([("fast", i, "a", "b", "left") for i in range(4)], response_ms=100.0)
    gold = table(
        [("blind", 9, "a", "degraded", "right"), ("good", 9, "a", "degraded", "left")], kind="gold", gold="left"
    )
    answers = pd.concat([good, fast, gold], ignore_index=True)
    kept, flow = exclude(answers, replace(Exclusions.none(), min_gold_pass_rate=0.5, min_median_response_ms=500.0))
    assert {rule.name: rule.broken_by for rule in flow.rules} == {
        "min_gold_pass_rate": ("blind",),
        "min_median_response_ms": ("fast",),
    }
    assert flow.excluded == ("blind", "fast")
    assert set(kept["rater"]) == {"good"}
    assert exclude(answers, Exclusions.none())[1].excluded == ()


# Looking at any time


def test_looks_find_a_winner_on_these_prompts_that_new_ones_do_not_confirm():
    """No arm is preferred, but these 20 prompts are not all prompts: looking on, the line crosses sooner or later."""
    shown, rng = design(planned(Simulate(prompts=20, raters_per_pair=150)), 150), np.random.default_rng(0)
    here, wider = np.mean([alarms(outcomes(shown, rng)) for _ in range(25)], 0)
    assert wider <= 0.05 < here


def test_the_interval_for_new_prompts_adds_what_their_draw_leaves_open():
    limits = Interval(0.2, 0.4)
    assert for_new_prompts(limits, np.array([0.3])) == Interval(-1, 1)
    assert for_new_prompts(limits, np.full(9, 0.3)) == limits
    means = np.array([0.1, 0.2, 0.3, 0.6])
    found = for_new_prompts(limits, means)
    further = stats.t.ppf(1 - 0.025 / 2, 3) * stats.sem(means)
    assert (found.low, found.high) == pytest.approx((0.2 - further, 0.4 + further))


def test_a_confidence_sequence_only_narrows():
    found = sequence(np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 60, p=[0.1, 0.2, 0.7]), 0.05)
    assert all(one.low <= two.low <= two.high <= one.high for one, two in pairwise(found))
    assert 0.6 in found[-1]
    assert 0 not in found[-1]


def test_the_e_value_has_mean_one_without_a_preference():
    """Exactly: over all 2^10 orders of fair coins."""
    coins = 2.0 * np.array([[int(bit) for bit in f"{i:010b}"] for i in range(1024)]) - 1
    last = np.array([wealth(row, np.zeros(1))[-1, 0] for row in coins])
    assert last.mean() == pytest.approx(1)


def test_looking_after_every_rater_deceives_at_most_one_in_twenty():
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], (400, 150))
    crossed = [wealth(row, np.zeros(1)).max() >= 20 for row in values]
    assert np.mean(crossed) <= 0.05


def test_evidence_grows_with_raters_and_its_interval_holds_the_truth():
    rng = np.random.default_rng(0)
    rows = [
        (f"{i:03}", j, "a", "b", rng.choice(["left", "tie", "right"], p=[0.6, 0.2, 0.2]))
        for i in range(60)
        for j in range(10)
    ]
    found = evidence(table(rows), "a", "b")
    assert found.raters == 60
    assert found.e_value > 1000
    assert 0.4 in found.interval
    assert 0 not in found.interval
    assert evidence(table(rows), "a", "b", finished={"000"}).raters == 1
    early = {f"{i:03}" for i in range(9)}
    assert highest(table(rows), "a", "b", early) == evidence(table(rows), "a", "b", early).highest > 1
    assert highest(table(rows), "a", "b", set()) == 1
    assert evidence(table(rows), "b", "a").e_value == pytest.approx(found.e_value, rel=1e-9)


def test_strength_differences_are_log_odds_of_decided_answers():
    counts = np.zeros((2, 2, 3))
    counts[0, 1], counts[1, 0] = (73, 10, 27), (27, 10, 73)
    found = fit(counts, ("a", "b"))
    assert expit(found.strengths[0] - found.strengths[1]) == pytest.approx(0.73)


def test_arms_that_the_answers_do_not_tell_apart_have_no_leader():
    """Everybody took the left side: the arms are even, and what won everything is a side."""
    sides = [("r", f"p{i}", *("ab", "ba")[i % 2], "left") for i in range(4)]
    question = Answered(
        (),
        (),
        (),
        ranking(table(sides), 0),
        "",
        {},
        pooling=None,
        agreement=None,
        consistency=None,
        side=None,
        checks=None,
    )
    assert question.ranking.strengths["a"].value == pytest.approx(question.ranking.strengths["b"].value, abs=1e-6)
    told = verdict(question)
    assert told.headline == "No clear winner"
    assert "or a side" in told.detail


def test_a_fit_computes_value_and_gradient_of_a_point_once(monkeypatch):
    points, objective = [], davidson._objective
    monkeypatch.setattr(davidson, "_objective", lambda x, *rest: points.append(x.tobytes()) or objective(x, *rest))
    fit(np.array([[[0, 0, 0], [7, 2, 3]], [[4, 1, 5], [0, 0, 0]]], float), ("a", "b"))
    assert len(points) == len(set(points)) > 2
