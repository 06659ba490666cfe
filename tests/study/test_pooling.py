"""Effects by category are drawn towards each other as far as the answers are unsure of their differences."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from study.reporting.pictures import by_category
from study.simulation.crowd import World
from study.stats.pooling import _interval, _posterior, pooling
from study.stats.preference import preference
from tests.study import recomputed
from tests.study.simulated import spec_and_images, votes_of

SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]) / 60, np.diag(np.array([15.0, 10, 16, 11, 9, 11, 10, 18]) / 60) ** 2
PUBLISHED = [11.4, 7.9, 6.1, 7.6, 5.1, 6.1, 10.7, 8.5]  # Gelman et al., Bayesian Data Analysis, section 5.5


def test_the_eight_schools_come_out_as_published():
    weights, means, _ = _posterior(*SCHOOLS)
    assert weights @ means * 60 == pytest.approx(PUBLISHED, abs=0.7)


def test_sure_categories_stay_as_they_are_and_alike_ones_become_one():
    for errors, wanted in ((1e-4, [0.5, 0.0, -0.5]), (9.0, [0.0, 0.0, 0.0])):
        weights, means, _ = _posterior(np.array([0.5, 0.0, -0.5]), errors**2 * np.eye(3))
        assert weights @ means == pytest.approx(wanted, abs=0.03)


def test_the_pooled_effects_are_those_that_a_grid_over_mean_and_spread_gives():
    """From the answers on: effects and errors by loops, raters' part between categories, and sums for integrals."""
    spec, _ = spec_and_images(prompts=12)
    votes = votes_of(spec, World({"ours": 0.7, "baseline": 0.0}, rater_sd=1.0), 9)
    rows = recomputed.kept(votes, set(), "overall")
    names = sorted({row["category"] for row in rows})
    net = {"left": {"ours": 1, "baseline": -1}, "right": {"ours": -1, "baseline": 1}}
    worth = [0 if row["answer"] == "tie" else net[row["answer"]][row["left"]] for row in rows]
    effects, influence = [], np.zeros((len(rows), len(names)))
    for k, name in enumerate(names):
        within = [i for i, row in enumerate(rows) if row["category"] == name]
        effects.append(sum(worth[i] for i in within) / len(within))
        influence[within, k] = [(worth[i] - effects[k]) / len(within) for i in within]
    raters, prompts = ([row[who] for row in rows] for who in ("rater", "prompt"))
    own = [recomputed.two_way(influence[:, k], raters, prompts)[0] ** 0.5 for k in range(len(names))]
    sums = np.array([influence[[r == rater for r in raters]].sum(0) for rater in sorted(set(raters))])
    both = sums.T @ sums * len(sums) / (len(sums) - 1)
    found = pooling(pd.DataFrame(rows), "ours", "baseline")
    alone = {one.category: one.alone for one in found.categories}
    assert [alone[name] for name in names] == pytest.approx(effects, abs=1e-6)
    of_category = ([row for row in rows if row["category"] == name] for name in names)
    nets = [preference(pd.DataFrame(some), "ours", "baseline", 0).net for some in of_category]
    errors = np.array([one.interval.width for one in nets]) / 2 / 1.959964
    correlation = both / np.outer(own, own)
    np.fill_diagonal(correlation, 1)
    wanted = recomputed.posterior_means(np.array(effects), correlation * np.outer(errors, errors))
    values = {one.category: one.value for one in found.categories}
    assert [values[name] for name in names] == pytest.approx(wanted, abs=2e-3)


def test_the_pairs_that_drive_a_category_are_its_own_and_the_clearest():
    spec, _ = spec_and_images(prompts=12)
    votes = votes_of(spec, World({"ours": 0.6, "baseline": 0.0}, prompt_sd=1.0), 9)
    pooled = pooling(pd.DataFrame(recomputed.kept(votes, set(), "overall")), "ours", "baseline")
    against = replace(pooled, categories=tuple(replace(one, value=-one.value) for one in pooled.categories))
    for one_way in (pooled, against):
        found = by_category(votes, spec, SimpleNamespace(questions={"overall": SimpleNamespace(pooling=one_way)}))
        assert list(found) == [one.category for one in pooled.categories]
        for one in one_way.categories:
            rows = [row for row in recomputed.kept(votes, set(), "overall") if row["category"] == one.category]
            lean = {prompt: np.sign(one.value) * net(rows, prompt) for prompt in {row["prompt"] for row in rows}}
            assert [lean[pair.prompt] for pair in found[one.category]] == sorted(lean.values(), reverse=True)[:2]


def net(rows: list[dict], prompt: str) -> float:
    """Wins less losses of `ours`, drawn to 0 where few have answered."""
    won = [
        row["left"] == "ours" if row["answer"] == "left" else row["right"] == "ours"
        for row in rows
        if row["prompt"] == prompt and row["answer"] != "tie"
    ]
    return (2 * sum(won) - len(won)) / (sum(row["prompt"] == prompt for row in rows) + 2)


@pytest.mark.slow
def test_the_intervals_hold_the_truth_in_95_percent():
    """400 categories drawn as the model has them: each within about 2% of 95%."""
    rng, held = np.random.default_rng(0), []
    for _ in range(80):
        true = rng.normal(0.1, rng.uniform(0, 0.4), 5)
        errors = np.diag(rng.uniform(0.05, 0.2, 5) ** 2) + 0.002  # shared raters
        weights, means, variances = _posterior(rng.multivariate_normal(true, errors), errors)
        held += [true[k] in _interval(weights, means[:, k], variances[:, k]) for k in range(5)]
    assert 0.92 < np.mean(held) < 0.98


def test_answers_become_effects_of_the_first_arm_by_category():
    spec, _ = spec_and_images(prompts=18)
    votes = votes_of(spec, World({"ours": 1.0, "baseline": 0.0}, prompt_sd=0.0), 16)
    rows = votes[(votes["kind"] == "comparison") & (votes["question"] == "overall")]
    found = pooling(rows, "ours", "baseline")
    assert sum(one.answers for one in found.categories) == len(rows)
    assert {one.category: one.prompts for one in found.categories} == {"animals": 6, "things": 6, "places": 6}
    assert found.spread_interval.low < found.spread < found.spread_interval.high
    values = [one.value for one in found.categories]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] < max(one.alone for one in found.categories) - min(
        one.alone for one in found.categories
    )
    assert all(0 < one.interval.low < one.value < one.interval.high < 1 for one in found.categories)
    assert pooling(rows[rows["category"] != "places"], "ours", "baseline") is None


def test_a_unanimous_category_is_not_sure_beyond_its_answers():
    rows = pd.DataFrame(
        [
            {
                "rater": f"r{r}",
                "prompt": f"{category} {p}",
                "category": category,
                "left": "one",
                "right": "two",
                "question": "overall",
                "answer": "left" if category == "a" else ("left", "right", "tie")[(r + p) % 3],
            }
            for category in "abc"
            for r in range(5)
            for p in range(4)
        ]
    )
    best = pooling(rows, "one", "two").categories[0]
    assert (best.category, best.alone) == ("a", 1.0)
    assert best.value < 1
    assert best.interval.width > 0.2
