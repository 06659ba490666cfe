"""How well a metric predicts votes, against counts by hand and against people."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from study.errors import StudyError
from study.reporting.metrics import compare, main
from study.simulation.crowd import World
from study.stats import exclude
from study.stats.metrics import ceiling, predicted
from tests.study import recomputed
from tests.study.simulated import spec_and_images, votes_of, write_export


def answers(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """Rater, left picture, right picture, answer; pictures a1, a2 of arm a and b1, b2 of arm b, by prompt."""
    table = pd.DataFrame(rows, columns=["rater", "image_left", "image_right", "answer"])
    arms = {side: table[f"image_{side}"].str[0] for side in ("left", "right")}
    return table.assign(**arms, prompt=table["image_left"].str[1], pair=table["image_left"].str[1], question="q")


ROWS = answers(
    [
        ("r1", "a1", "b1", "left"),  # a1
        ("r2", "b1", "a1", "left"),  # b1
        ("r3", "a1", "b1", "left"),  # a1
        ("r1", "b2", "a2", "right"),  # a2
        ("r2", "a2", "b2", "tie"),
        ("r3", "a2", "b2", "left"),  # a2
    ]
)


def test_accuracy_counts_answers_for_the_better_score_and_equal_ones_half():
    found = predicted(ROWS, "m", {"a1": 2.0, "b1": 1.0, "a2": 0.0, "b2": 0.0})
    assert found.accuracy.value == pytest.approx((2 + 2 * 0.5) / 5)
    assert found.accuracy.n == 5
    assert found.arms == ("a", "b")


def test_people_are_the_ceiling():
    found = ceiling(ROWS)
    assert found.another.value == pytest.approx((1 / 2 + 0 + 1 / 2 + 1 + 1) / 5)
    assert found.majority.value == pytest.approx((1 / 2 + 0 + 1 / 2 + 1 + 1) / 5)
    assert ceiling(pd.concat([ROWS, answers([("r4", "a1", "b1", "left")])])).majority.value == pytest.approx(5 / 6)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    spec, images = spec_and_images(("ours", "theirs"), prompts=20)
    votes = votes_of(spec, World({"ours": 1.5, "theirs": 0.0}), 10)
    return spec, write_export(tmp_path_factory.mktemp("metrics") / "out", spec, images, votes)


@pytest.fixture
def scores(study, tmp_path):
    spec, _ = study
    rng = np.random.default_rng(1)
    rows = [
        {"image": s.sha256, "arm": s.arm, "prompt": s.prompt, "good": float(s.arm == "ours"), "noise": rng.random()}
        for s in spec.stimuli
    ]
    table = pd.DataFrame(rows).assign(distance=lambda rows: -rows["good"])
    return table, tmp_path / "scores.csv"


@pytest.mark.parametrize("without", [["arm", "prompt"], ["image"]])
def test_metrics_are_found_by_picture_or_by_arm_and_prompt(study, scores, without):
    table, file = scores
    table.drop(columns=without).to_csv(file, index=False)
    found, ceilings = compare(study[1], file, ("distance",))
    by = {(one.metric, one.question): one for one in found}
    good = by["good", "overall"].accuracy
    assert good.value > 0.6
    assert 0.5 not in good.interval
    assert by["distance", "overall"].accuracy == good
    assert 0.5 in by["noise", "overall"].accuracy.interval
    assert by["good", "overall"].arms == ("ours", "theirs")
    assert {one.question for one in ceilings} == {"overall", "aesthetic", "alignment"}


def test_every_figure_follows_from_the_answers_that_count_with_clustered_intervals(study, scores, tmp_path):
    """Recomputed row by row; one rater clicks blindly and is left out, ties and checks do not count."""
    spec, export = study
    folder = shutil.copytree(export, tmp_path / "export")
    votes = pd.read_parquet(folder / "votes.parquet")
    blind = votes["rater"].iloc[0]
    votes["answer"] = votes["answer"].mask(votes["rater"] == blind, "left")
    votes.to_parquet(folder / "votes.parquet", index=False)
    table, file = scores
    table.to_csv(file, index=False)
    found, (people, *_) = compare(folder, file, ("distance",))
    assert exclude(votes, spec.exclusions)[1].excluded == (blind,)
    worth = {spec.image_name(row["image"]): row["noise"] for row in table.to_dict("records")}
    rows = [row for row in recomputed.kept(votes, {blind}, "overall") if row["answer"] != "tie"]
    chosen = [row[f"image_{row['answer']}"] for row in rows]
    hits = [
        float(worth[image] == max(worth[row["image_left"]], worth[row["image_right"]]))
        for image, row in zip(chosen, rows, strict=True)
    ]
    agrees = [
        [
            image == one
            for one, other in zip(chosen, rows, strict=True)
            if other["pair"] == row["pair"] and other is not row
        ]
        for image, row in zip(chosen, rows, strict=True)
    ]
    some = [i for i, given in enumerate(agrees) if given]
    another = [sum(agrees[i]) / len(agrees[i]) for i in some]
    majority = [(1 + np.sign(2 * sum(agrees[i]) - len(agrees[i]))) / 2 for i in some]
    (noise,) = [one.accuracy for one in found if (one.metric, one.question) == ("noise", "overall")]
    for estimate, values, of in (
        (noise, hits, range(len(rows))),
        (people.another, another, some),
        (people.majority, majority, some),
    ):
        raters, prompts = ([rows[i][who] for i in of] for who in ("rater", "prompt"))
        said = (estimate.value, estimate.interval.low, estimate.interval.high)
        assert said == pytest.approx(recomputed.share(values, raters, prompts), abs=1e-6)


def test_the_command_prints_and_writes_them(study, scores, tmp_path, capsys):
    table, file = scores
    table.to_csv(file, index=False)
    main([str(study[1]), "--scores", str(file), "--lower", "distance", "--json", str(tmp_path / "m.json")])
    assert "another rater" in capsys.readouterr().out
    record = json.loads((tmp_path / "m.json").read_text())
    assert len(record["metrics"]) == 9


@pytest.mark.parametrize(
    ("change", "lower", "told"),
    [
        (lambda t: t[1:], (), "has no score for 1 of 40 pictures"),
        (lambda t: t.drop(columns=["image", "arm"]), (), "needs a column image, or arm and file, or arm and prompt"),
        (lambda t: t[["image", "arm", "prompt"]], (), "needs columns of numbers"),
        (lambda t: t.assign(good="high"), (), "needs columns of numbers"),
        (lambda t: t, ("none",), "--lower names none"),
    ],
)
def test_a_table_that_does_not_fit_is_one_sentence(study, scores, change, lower, told):
    table, file = scores
    change(table).to_csv(file, index=False)
    with pytest.raises(StudyError, match=told):
        compare(study[1], file, lower)
