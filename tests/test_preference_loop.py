"""The raters of `benchmarks.preference_loop` have the taste that they are said to have."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks.loop.asking import Arm, answer, ask
from benchmarks.loop.tables import tables
from benchmarks.loop.tastes import CROWDS, TASTES, Crowd, crispness, warmth
from study.reporting.verify import verify_export
from study.stats.preference import preference

BY_NAME = {crowd.name: crowd for crowd in CROWDS}


def disc(blur: float, colour: tuple[int, int, int] = (200, 120, 40)) -> np.ndarray:
    side = np.arange(64) - 32
    image = np.full((64, 64, 3), 255, np.uint8)
    image[side[:, None] ** 2 + side**2 < 400] = colour
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(blur)), np.float32) / 255


def test_warmth_is_red_over_blue_and_crispness_falls_with_blur_alone():
    warm, cold = disc(0), disc(0, (40, 120, 200))
    assert warmth(np.stack([warm]))[0] > warmth(np.stack([cold]))[0]
    sharp, soft, softer = crispness(np.stack([disc(0), disc(1), disc(3)]))
    assert sharp > soft > softer
    assert crispness(np.stack([cold]))[0] == pytest.approx(sharp, abs=0.01)


def test_raters_answer_by_their_own_taste_and_by_lot_without_one():
    better, worse = dict.fromkeys(TASTES, 0.0) | {"warm colours": 2.0}, dict.fromkeys(TASTES, 0.0)

    def wins(crowd: Crowd, rater: int = 0) -> float:
        rng = np.random.default_rng(0)
        said = Counter(answer(crowd, rater, better, worse, rng) for _ in range(1000))
        return said["left"] / (said["left"] + said["right"])

    assert wins(BY_NAME["warm colours"]) > 0.9
    assert wins(BY_NAME["crisp edges"]) == pytest.approx(0.5, abs=0.06)
    assert wins(BY_NAME["by lot"]) == pytest.approx(0.5, abs=0.06)
    mixed = BY_NAME["mixed, 20% lapses"]
    assert wins(mixed, rater=1) < 0.6 < wins(mixed, rater=0) < wins(BY_NAME["warm colours"])


def test_who_has_no_taste_is_judged_by_all_that_have_one():
    judges = {crowd.name: [judge.name for judge in crowd.judges] for crowd in CROWDS}
    assert judges["crisp edges"] == ["crisp edges"]
    assert judges["by lot"] == ["by lot", *TASTES]
    assert judges["no votes"] == [*TASTES]


def test_a_crowds_study_is_a_real_one(tmp_path):
    rng = np.random.default_rng(0)
    arms = [
        Arm(name, rng.integers(0, 255, (6, 32, 32, 3), np.uint8), dict.fromkeys(TASTES, np.full(6, worth)))
        for name, worth in (("before", 0.0), ("after", 2.0))
    ]
    votes = ask([f"thing {i}" for i in range(6)], arms, BY_NAME["crisp edges"], tmp_path, raters_per_pair=4, seed=0)
    assert len(votes) == 24
    assert preference(votes, "after", "before").win_rate_decided.value > 0.8
    assert verify_export(tmp_path / "export").problems == ()


def test_the_tables_say_what_is_not_known():
    accuracy = {"value": 0.7, "low": 0.6, "high": 0.8}
    one = {
        "crowd": "warm colours",
        "accuracy": {"prompts": accuracy, "raters": accuracy, "agreement": None, "ceiling": None},
        "fresh": [
            {"judge": taste, "win_rate": [0.8, 0.7, 0.9], "answers": 600, "moved": dict.fromkeys(TASTES, 0.5)}
            for taste in ("warm colours", "crisp edges")
        ],
        "before": {"top1": 0.5, "fd": 30.0, "kid": 0.1},
        "after": {"top1": 0.49, "fd": 31.0, "kid": 0.1},
        "course": [{"update": 40, "reward": 0.1, "judge": 0.1, "anchor": 0.01}],
    }
    without = one | {"crowd": "no votes", "accuracy": None, "course": []}
    said = tables([one, without])
    assert said.count("\n| warm colours |") == 5
    assert said.count("\n| no votes |") == 3
    assert "| no votes | crisp edges | 0.80" in said
    assert "| unknown | unknown |" in said
    assert "0.80 (0.70 to 0.90)" in said
