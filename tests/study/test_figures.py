"""Every figure of three small studies is as it was: where one changes, FIGURES does too, for old reports' sake.

UPDATE_GOLDEN=1 writes them anew.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from study.protocol.parts import DEFAULT_QUESTIONS, CheckShares, Exclusions, Hypothesis, Stopping
from study.reporting.report import FIGURES
from study.simulation.crowd import World
from study.stats import results
from study.stats.analysis import Results, plain
from tests.study.golden import FOLDER
from tests.study.simulated import raters_of, spec_and_images, votes_of

GOLDEN = FOLDER / "figures.txt"
ASKED = DEFAULT_QUESTIONS[:2]
EACH = [*(question.key for question in ASKED), "ours", "theirs", "first", "second", "third", "kept", "everyone"]
EACH += ["animals", "places", "things", "no category", "joint", "separate"]


def two() -> Results:
    """Both modes, checks of every kind, spammers, three categories, claims, and who has not finished."""
    claims = (Hypothesis("ours", "theirs", "overall"), Hypothesis("theirs", "ours", "aesthetic"))
    spec, _ = spec_and_images(
        ("ours", "theirs"),
        prompts=18,
        pairs_per_rater=9,
        questions=ASKED,
        checks=CheckShares(0.3, 0, 0.3, 0.3),
        exclusions=Exclusions(0.5, 900.0, 0.9, -3.0, 900.0, 12),
        hypotheses=claims,
        stopping=Stopping("e-value", alpha=0.5),
    )
    world = World({"ours": 0.9, "theirs": 0.0}, side=0.3, halo=0.3, lapse=0.05, spammers=0.2)
    votes = votes_of(spec, world, 17)
    same = (votes["kind"] == "identical") & (votes["rater"] > "rater0009")
    votes = votes.assign(
        kind=votes["kind"].mask(same, "same_arm"),
        answer_ms=votes["response_ms"] / 2,
        gold=votes["gold"].mask(votes["gold"] == "", None),
    )
    raters = raters_of(votes)
    return results(votes, raters.assign(status=["active", *raters["status"][1:]]), spec, resamples=60)


def three() -> Results:
    """A ranking of pairs that earlier answers chose, and an arm that is far behind."""
    spec, _ = spec_and_images(("first", "second", "third"), prompts=9, pairs_per_rater=9, questions=ASKED, mode="joint")
    votes = votes_of(spec, World({"first": 1.0, "second": 0.4, "third": -1.5}), 8, seed=1)
    chosen = np.random.default_rng(0).choice([0.05, 0.3, 0.9], len(votes))
    return results(votes.assign(propensity=chosen), raters_of(votes), spec, resamples=60, closed=True)


def few() -> Results:
    """Nobody says tie, an arm never loses, and one category has no name."""
    spec, _ = spec_and_images(("first", "second", "third"), prompts=4, pairs_per_rater=6, questions=ASKED[:1])
    votes = votes_of(spec, World({"first": 9.0, "second": 0.2, "third": 0.0}, tie=-30.0), 4, seed=2)
    votes = votes.assign(category=votes["category"].mask(votes["category"] == "places", ""))
    return results(votes, raters_of(votes), spec, resamples=60)


def leaves(value: Any, path: str = "") -> Iterable[tuple[str, float]]:
    """What a single value is of, without its place among others, and the value; a text is a number of its own."""
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else ((EACH[0], part) for part in value):
            yield from leaves(part, path if name in EACH else f"{path}/{name}")
    else:
        yield path, crc32(value.encode()) / 2**32 if isinstance(value, str) else -7.0 if value is None else value


def sums(found: Results) -> dict[str, float]:
    """Of all figures of a kind, those that come later weighing more."""
    sums, met = defaultdict(float), Counter()
    for path, value in leaves(plain(found)):
        met[path] += 1
        sums[path] += met[path] ** 0.5 * value
    return sums


def test_a_figure_that_changes_is_another_version():
    studies = [sums(made()) for made in (two, three, few)]
    kinds = sorted({path for study in studies for path in study})
    found = {kind: [study.get(kind, 0.0) for study in studies] for kind in kinds} | {"version": [FIGURES]}
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text("".join(f"{kind} {' '.join(f'{one:.7g}' for one in of)}\n" for kind, of in found.items()))
    kept = {kind: [float(one) for one in of] for kind, *of in map(str.split, GOLDEN.read_text().splitlines())}
    assert found.keys() == kept.keys()
    assert {kind for kind in kinds if found[kind] != pytest.approx(kept[kind], rel=1e-5, abs=1e-7)} == set()
    assert kept["version"] == [FIGURES]
