"""The parts of the Compare page, without a browser: axes, grids, downloads."""

import json
import shutil

import pytest
from PIL import Image

from app.engine.services import Services, Timed
from app.engine.wording import Wording
from app.look.files import data_url
from app.look.tables import page_tables
from app.pages.compare.axes import Axis, Base, axis, requests_of
from app.pages.compare.grid import Grid, compared, manifest, table_of
from app.pages.compare.page import pair_of
from e2ed2.errors import UserError
from e2ed2.inference.request import Request

RED = Image.new("RGB", (8, 8), "red")


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        ("steps", "1, 2,4", (1, 2, 4)),
        ("seeds", "7\n8", (7, 8)),
        ("prompts", "a dog, noto style\n cat ", ("a dog, noto style", "cat")),
    ],
)
def test_an_axis_is_what_a_visitor_writes(kind, text, values):
    assert axis(kind, text).values == values


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("seeds", " , ", "at least one value for seeds"),
        ("seeds", "1, 2, 1", "there twice"),
        ("seeds", "1, -2", "“-2” is none of the seeds"),
        ("seeds", "1,2,3,4,5,6,7,8,9", "at most 8"),
    ],
)
def test_an_axis_that_is_none_is_said(kind, text, said):
    with pytest.raises(UserError, match=said):
        axis(kind, text)


def test_rows_and_columns_vary_and_the_rest_stays(with_independent, tmp_path):
    services = Services(with_independent, tmp_path)
    base = Base("cat", "l2", 4, 7, Wording("noto"))
    steps, models = axis("steps", "2, 4"), axis("models", "independent, l2")
    (two, only), (other, last) = requests_of(services, base, models, steps)
    assert (two.model, two.steps, two.seed, two.caption) == ("independent", 2, 7, "cat, noto style")
    assert only == "2 steps only"
    assert [other.steps, last.steps, last.model] == [2, 4, "l2"]
    ((styled,),) = requests_of(services, base, axis("styles", "flat"), axis("prompts", "dog"))
    assert styled.caption.endswith(", flat style")
    for rows, columns, wanted, said in (
        (steps, steps, Wording(), "both steps"),
        (axis("styles", "flat"), steps, Wording(exactly=True), "no effect"),
        (axis("styles", "cubist"), steps, Wording(), "“cubist” is no style"),
        (axis("models", "/etc"), steps, Wording(), "no model “/etc”"),
    ):
        with pytest.raises(UserError, match=said):
            requests_of(services, Base("cat", "l2", 4, 7, wanted), rows, columns)


def grid_of(models: int, done: int) -> Grid:
    rows, columns = Axis("models", tuple(map(str, range(models)))), Axis("steps", (1, 2, 3, 4))
    requests = [[Request("cat", name, steps) for steps in columns.values] for name in rows.values]
    made = {(row, column): Timed(RED, 0.25) for row in range(done) for column in range(4)}
    return Grid(rows, columns, requests, made)


def test_a_grid_stands_on_its_side_when_it_has_many_rows_and_can_be_chosen_from_when_it_is_whole():
    few, many = (page_tables([table_of(grid_of(rows, 2))], data_url) for rows in (4, 5))
    assert "turned" not in few
    assert "--cells: 4; --rows: 5" in many
    assert "<button" not in few
    assert "<button" in page_tables([table_of(grid_of(2, 2))], data_url)


def test_a_grid_s_manifest_says_how_each_picture_was_made():
    grid = grid_of(2, 1)
    first, *others = json.loads(manifest(grid))
    assert len(others) == 3
    assert first | {"row": "0", "column": "1 step", "prompt": "cat", "steps": 1, "seconds": 0.25} == first
    assert list(compared(grid, "").cells) == ["0, 1 step", "0, 2 steps", "0, 3 steps", "0, 4 steps"]


def test_two_pictures_to_look_at_closely_are_of_one_prompt():
    assert pair_of(grid_of(2, 2)) == ("0, 4 steps", "1, 4 steps")
    two, places = ("cat", "dog"), {(row, column): Timed(RED, 0.1) for row in range(2) for column in range(2)}
    prompts, seeds = Axis("prompts", two), Axis("seeds", (1, 2))
    assert pair_of(Grid(prompts, seeds, [], places)) == ("cat, seed 1", "cat, seed 2")
    assert pair_of(Grid(seeds, prompts, [], places)) == ("seed 1, cat", "seed 2, cat")


def test_a_bundled_model_s_pictures_are_kept_and_one_s_own_are_not(checkpoints, tmp_path):
    for part, name in (("l2", "model"), ("codec", "codec")):
        shutil.copytree(checkpoints / part, tmp_path / "own" / "mine" / name)
    services = Services(checkpoints, tmp_path)
    for model, remembered in (("l2", True), ("own/mine", False)):
        one = Request("cat", model, 1, 7, "cat, flat style")
        assert (services.timed(one) is services.timed(one)) == remembered
