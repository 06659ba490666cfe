"""Tables of docs/results.md: what is found in pictures beside what drawings reach, and what models cost."""

import numpy as np
import pytest

from e2ed2.data.pictures import Pictures
from e2ed2.data.turning import main_colour, name_of, to_oklab
from e2ed2.evaluation.benchmark import Prompt
from e2ed2.evaluation.report import costs as report
from e2ed2.evaluation.report.alignment import alignment, coloured
from e2ed2.evaluation.report.colours import TURNED
from e2ed2.evaluation.report.costs import costs
from e2ed2.evaluation.report.measure_colours import by_colour, turned_drawings

RATES = {"top1": 0.98, "top5": 1.0, "style": 0.71}


def result(weights: str = "", **rates: float) -> dict:
    return {"alignment": rates, "choices": {"images": 1840, "weights": weights}}


def disc(rgb: tuple[int, int, int]) -> np.ndarray:
    rows, columns = np.mgrid[:32, :32] - 15.5
    return np.where(((rows**2 + columns**2) < 150)[..., None], np.uint8(rgb), np.uint8(255))


def set_of(*images: np.ndarray) -> Pictures:
    names = [f"thing {number}" for number in range(len(images))]
    return Pictures(np.stack(images), names, styles=["flat"] * len(images))


def test_what_people_typed_stands_beside_drawings_of_training_captions():
    pictures = {"l2": {"visitor": result(top1=0.5, top5=0.6), "visitor, read": result(top1=0.8, top5=0.9)}}
    page = alignment(pictures, {"real drawings": {"train": RATES}})
    assert page.count("| real drawings, of training captions | 0.98 | 1.00 |") == 2
    assert "| l2 | 0.80 | 0.90 |" in page


def test_colours_are_told_beside_turned_drawings_and_of_the_same_weights_alone():
    pictures = {
        "l1": {"colour": result("old", colour=0.7, top1=0.2, top5=0.4)},
        "l2": {"colour": result("new", colour=0.75, top1=0.25, top5=0.35)},
    }
    turned = {"images": 1831, "alignment": {"colour": 0.94, "top1": 0.39, "top5": 0.55}, "by_colour": {"red": 0.96}}
    models = {name: {"weights": "new", "by_colour": {"red": 0.5, "gold": 0.25}} for name in pictures}
    page = coloured(pictures, {TURNED: turned, "models": models})
    assert f"| {TURNED} | 0.94 | 0.39 | 0.55 |" in page
    assert "| l1 | 0.70 | 0.20 | 0.40 |" in page
    assert "| l2 | 0.50 |" in page
    assert "| l1 | 0.50 |" not in page  # other pictures
    assert "1,840 pairs" in page
    assert "1,831 of these" in page
    assert coloured(pictures, {}).startswith("Run `python -m e2ed2.evaluation.report.measure_colours`")


def test_turned_drawings_are_as_they_are_asked_for():
    pictures = set_of(disc((220, 40, 40)), np.full((32, 32, 3), 255, np.uint8))
    prompts = [Prompt("", f"thing {thing}", "flat", colour=colour) for thing in (0, 1) for colour in ("blue", "green")]
    asked, images = turned_drawings(prompts, pictures)
    assert asked == prompts[:2]  # nothing is drawn on the other, so it has no colour to turn
    assert [name_of(main_colour(to_oklab(image))) for image in images] == ["blue", "green"]
    assert by_colour(asked, images) == {"blue": 1.0, "green": 1.0}
    assert by_colour(asked, images[::-1]) == {"blue": 0.0, "green": 0.0}


@pytest.mark.parametrize(
    ("init", "said"),
    [("own", "went on from its own former training"), ("lost", "started from `lost`, which is not kept"), ("kept", "")],
)
def test_a_cost_tells_pictures_samples_and_a_start_that_no_row_counts(tmp_path, monkeypatch, init, said):
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(report, "CHECKPOINTS", tmp_path)
    trainer = {"updates": 300, "batch_size": 32, "accumulate": 1}
    config = {"trainer": trainer, "objective": {"loss": "energy", "samples": 2, "init": init}}
    monkeypatch.setattr(report, "trainings", lambda names: {"own": (config, {"flop": 2e14, "seconds": 90.0})})
    page = costs(["own"])
    assert "| own | energy | 9,600 | 19,200 | 0.20 | 1.5 |" in page
    assert said in page
    assert (" `own` " in page) == bool(said)
