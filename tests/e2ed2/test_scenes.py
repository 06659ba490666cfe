"""People write scenes: the thing that a scene is about is drawn, and the page says that no more is."""

import pytest

from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.models.minilm import MiniLM
from e2ed2.reading.captions import ALONE, advice_on
from e2ed2.reading.reader import Reader, load_head
from e2ed2.reading.scene import Scene, scene_of


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_head(), Concepts(bundled_words(), MiniLM()))


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a dog running on the beach", "dog"),
        ("a lion sleeping in the grass", "lion"),
        ("A train crossing a bridge.", "train"),
        ("a rabbit eating a carrot", "rabbit"),
        ("a mouse eating cheese", "mouse"),
        ("a monkey with a banana", "monkey face"),
        ("a gorilla eating a banana", "gorilla"),
        ("the bear in the river, catching fish", "bear"),
        ("a tree in a field at sunset", "deciduous tree"),
        ("a house on fire", "house"),
        ("a cactus in the desert", "cactus"),
        ("an alien eating pizza", "alien"),
        ("a clown riding a bicycle", "clown face"),
    ],
)
def test_a_scene_is_read_as_what_it_is_about(reader, prompt, name):
    reading = reader(prompt)
    assert reading.candidates[0].name == name
    assert reading.around
    assert ALONE in advice_on(reading)


def test_the_subject_has_its_own_colour_and_the_place_does_not_lend_its(reader):
    reading = reader("a red car parked by the sea", colours=True)
    assert reading.caption() == "red automobile"
    assert reading.around == "parked by the sea"
    assert reader("a dog running on a green meadow", colours=True).colour == ""


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a smiley blowing a smooch", "face blowing a kiss"),
        ("fire breathing dragon", "dragon"),
        ("a cat with heart eyes", "smiling cat with heart-eyes"),
        ("a bear in the arctic", "polar bear"),
        ("a dog guiding a blind man", "guide dog"),
        ("a flower in a pot", "potted plant"),
        ("fish wrapped in rice", "sushi"),
        ("a plate with spaghetti", "spaghetti"),
        ("a sun hiding behind a cloud", "sun behind cloud"),
        ("a huge sea mammal spouting water", "spouting whale"),
        ("love symbol in blue", "blue heart"),
    ],
)
def test_where_all_words_say_what_it_is_they_are_read_together(reader, prompt, name):
    reading = reader(prompt)
    assert reading.candidates[0].name == name
    assert not reading.around


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("a small dog on the sofa", Scene("small dog", "on the sofa")),
        ("my car parked by the sea", Scene("car", "parked by the sea")),
        ("The King in a castle", None),  # no thing that is known here
        ("flying over the sea", None),
        ("a dog", None),
        ("a dog running", None),
        ("a ring on the sofa", None),
        ("", None),
        ("…", None),
        ("a very very very small dog on the sofa", None),
    ],
)
def test_a_scene_begins_with_a_known_thing(text, scene):
    assert scene_of(text, {"dog", "car", "sofa"}) == scene
