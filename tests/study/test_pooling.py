"""Effects by category are drawn towards each other as far as the answers are unsure of their differences."""

import numpy as np
import pandas as pd
import pytest

from study.simulation.crowd import World
from study.stats.pooling import _interval, _posterior, pooling
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
