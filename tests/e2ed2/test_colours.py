"""Colour as a factor of its own: how drawings are turned, which are shown, what a prompt asks for."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from e2ed2.data.captions import caption_texts
from e2ed2.data.colours import COLOURS, PEOPLE, asked_colour, can_have, in_colour, keeps_colour
from e2ed2.data.config import BUNDLED, COLOURED, DataConfig
from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.data.pictures import Pictures, with_colours
from e2ed2.data.recoloured import colours_for, is_held_out, plan
from e2ed2.data.turning import main_colour, name_of, to_oklab, to_srgb, turned
from e2ed2.evaluation.benchmark import Prompt, Sampled
from e2ed2.evaluation.emoji import unseen_colours
from e2ed2.evaluation.judges import Colour
from e2ed2.models.minilm import MiniLM
from e2ed2.reading.captions import captions_of, knows_colours, readable
from e2ed2.reading.reader import Reader, load_head

RED, BLACK, WHITE, YELLOW = (200, 30, 40), (20, 20, 20), (255, 255, 255), (250, 220, 60)


def drawing(fill: tuple[int, int, int] = RED) -> np.ndarray:
    """A filled square with a black outline and a small yellow one in it, on white."""
    image = np.full((32, 32, 3), WHITE, np.uint8)
    image[4:28, 4:28] = BLACK
    image[6:26, 6:26] = fill
    image[8:12, 8:12] = YELLOW
    return image


def test_colours_come_back_from_oklab():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert abs(to_srgb(to_oklab(image)).astype(int) - image).max() <= 1
    white, red = to_oklab(np.array([[WHITE, (255, 0, 0)]], np.uint8))[0]
    assert np.allclose(white, (1, 0, 0), atol=1e-3)
    assert np.allclose(red, (0.628, 0.225, 0.126), atol=1e-3)  # as Ottosson has it


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("fill", [RED, (120, 120, 125)], ids=["hued", "grey"])
def test_only_the_main_colour_is_turned(colour, fill):
    image = drawing(fill)
    made = turned(lab := to_oklab(image), main_colour(lab), colour)
    rest = [np.s_[:4], np.s_[4:6, 4:28]] + [np.s_[8:12, 8:12]] * (fill == RED)
    for part in rest:  # paper, outline, what has another colour
        assert np.array_equal(made[part], image[part])
    assert name_of(main_colour(to_oklab(made))) == colour


def test_what_has_no_main_colour_is_left_out():
    assert main_colour(to_oklab(np.full((32, 32, 3), WHITE, np.uint8))) is None
    patches = np.full((32, 32, 3), WHITE, np.uint8)
    for place, fill in enumerate([RED, YELLOW, (30, 90, 220), (40, 160, 60)]):
        patches[4 + 6 * place : 10 + 6 * place, 4:28] = fill
    assert main_colour(to_oklab(patches)) is None


def test_a_thing_is_shown_in_different_colours_and_never_in_those_held_out():
    names = ["apple"] * 4 + ["large blue diamond", "nose"]
    shown = plan(names, ["food-drink"] * 4 + ["symbols", PEOPLE])
    assert [row for row, _ in shown] == [0, 0, 1, 1, 2, 2, 3, 3]  # what is blue by name, and people, stay as they are
    assert len({colour for _, colour in shown}) == 8
    held = [colour for colour in COLOURS if is_held_out("apple", colour)]
    assert not set(held) & set(colours_for("apple", "food-drink", set()))
    every = [is_held_out(name, colour) for name in bundled_words().values() for colour in COLOURS]
    assert 0.15 < np.mean(every) < 0.18
    assert "green" not in colours_for("red apple", "food-drink", {"red apple", "green apple"})


def set_of(*rows: tuple[str, str, str]) -> Pictures:
    names, styles, groups = zip(*rows, strict=True)
    return Pictures(
        np.stack([drawing()] * len(rows)),
        list(names),
        keywords=[["fruit"]] * len(rows),
        styles=list(styles),
        descriptions=[[]] * len(rows),
        groups=list(groups),
        named=True,
    )


def test_turned_drawings_come_beside_the_others_with_captions_that_name_the_colour(tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    both = with_colours(set_of(("pear", "noto", "food-drink"), ("nose", "noto", PEOPLE)))
    assert both.captions == ["pear", "nose", "pear", "pear"]
    assert len(both.images) == len(both) == 4
    assert both.colours[:2] == ["", ""]
    colour, other = both.colours[2:]
    assert colour != other
    assert [name_of(main_colour(to_oklab(image))) for image in both.images[2:]] == [colour, other]
    plain, styled = caption_texts(both)
    assert plain[2] == [f"{colour} pear", f"a {colour} pear"]
    assert f"{colour} pear, noto style" in styled[2]
    assert all(colour in text for text in plain[2] + styled[2])
    assert plain[0] == caption_texts(set_of(("pear", "noto", "food-drink")))[0][0]


@pytest.mark.parametrize(
    ("prompt", "colour"),
    [
        ("a green car", "green"),
        ("the car is green", "green"),
        ("Grey elephant, please", "grey"),
        ("a gray elephant", "grey"),
        ("golden retriever", "gold"),
        ("a heart in violet", "purple"),
        ("a blue cat on a red mat", "blue"),
        ("can you draw a pink elephant?", "pink"),
        ("a cat with a green hat", ""),
        ("a glass of red wine", ""),
        ("a juicy green and red slice", ""),
        ("a black, white or grey cat", ""),
        ("the flag is red and white", ""),
        ("a black cat and a white dog", "black"),
        ("blackbird", ""),
        ("greenhouse", ""),
        ("reduce", ""),
        ("dog", ""),
    ],
)
def test_a_colour_is_that_of_the_thing_itself(prompt, colour):
    assert asked_colour(prompt) == colour


def test_people_and_faces_are_shown_in_no_colour_of_skin():
    assert not any(can_have("nose", PEOPLE, colour) for colour in COLOURS)
    assert not can_have("grinning face", "smileys-emotion", "black")
    assert can_have("grinning face", "smileys-emotion", "green")
    assert can_have("cat face", "animals-nature", "black")


def test_a_name_takes_a_colour_in_place_of_its_own():
    assert in_colour("automobile", "green") == "green automobile"
    assert in_colour("red apple", "purple") == "purple apple"
    assert keeps_colour("large blue diamond")
    assert not keeps_colour("red apple")


def test_prompts_are_read_in_their_colour_where_the_model_has_seen_some():
    reader = Reader(load_head(), Concepts(bundled_words(), MiniLM()))
    for prompt, caption in {
        "a green car": "green automobile, noto style",
        "blue cat, flat style": "blue cat, flat style",
        "the elephant is pink": "pink elephant, noto style",
        "orange": "tangerine, noto style",  # is a thing
        "red apple": "red apple, noto style",
        "a purple apple": "purple apple, noto style",
    }.items():
        assert captions_of(reader(prompt, colours=True), [0], "noto") == [caption]
    assert captions_of(reader("a green car"), [0], "noto") == ["automobile, noto style"]
    assert reader("a blue nose", colours=True).only("nose").caption("noto") == "nose, noto style"


def test_which_models_have_seen_colours(tmp_path):
    def trained_on(path: str) -> Path:
        (tmp_path / "run.json").write_text(f'{{"config": {{"data": {{"path": "{path}"}}}}}}')
        return tmp_path

    def known(folder: Path) -> tuple[bool, bool]:
        return readable(folder), knows_colours(folder)

    assert known(trained_on(COLOURED)) == (True, True)
    assert known(trained_on(DataConfig.path)) == (True, False)
    assert known(trained_on("/my/own")) == (False, False)


def test_a_training_on_from_a_model_that_knows_colours_knows_them(tmp_path):
    def run(name: str, path: str, start: str) -> Path:
        folder = tmp_path / name / "model"
        folder.mkdir(parents=True)
        config = {"data": {"path": path}, "objective": {"init": start}}
        (folder / "run.json").write_text(json.dumps({"config": config}))
        return folder

    first = run("first", COLOURED, "")
    second = run("second", BUNDLED, str(first))
    assert knows_colours(second)
    assert knows_colours(run("third", BUNDLED, str(second)))
    assert not knows_colours(run("own", "/my/own", str(first)))  # other names than the reader's
    assert not knows_colours(run("lone", BUNDLED, str(tmp_path / "gone")))
    assert not knows_colours(run("circle", BUNDLED, str(tmp_path / "circle" / "model")))
    assert knows_colours(run("bundled", BUNDLED, "l2"))


def test_the_share_of_right_colours_is_that_of_the_pictures():
    image = drawing()
    prompts = [Prompt(f"{colour} apple", "apple", colour=colour) for colour in ("red", "red", "blue", "red")]
    blank = np.full_like(image, 255)
    figures = Colour()(Sampled(prompts, np.stack([image, image, image, blank]), torch.empty(0)))
    assert figures["alignment.colour"].value == 0.5


def test_prompts_of_unseen_colours_were_never_shown():
    pictures = set_of(("pear", "noto", "food-drink"), ("nose", "noto", PEOPLE), ("large blue diamond", "noto", "x"))
    prompts = unseen_colours(pictures)
    assert prompts
    assert {prompt.concept for prompt in prompts} == {"pear"}
    assert all(is_held_out("pear", prompt.colour) for prompt in prompts)
    assert prompts[0].text == f"{prompts[0].colour} pear, noto style"
