"""What of a caption is read."""

import pytest
import torch

from e2ed2.models.minilm import MiniLM, spelt_out


@pytest.fixture(scope="module")
def encoder():
    return MiniLM()


def test_emoji_are_read_by_their_names(encoder):
    apple, turtle, words = encoder(["🍎", "🐢", "red apple"]).pooled
    assert torch.allclose(apple, words, atol=1e-6)
    assert (apple @ turtle) < 0.6


@pytest.mark.parametrize(
    ("caption", "read"), [("👍🏽", "thumbs up sign"), ("❤️", "heavy black heart"), ("a 🐱 face", "a cat face face")]
)
def test_tones_and_joiners_say_nothing(caption, read):
    assert " ".join(spelt_out(caption).split()) == read


@pytest.mark.parametrize(
    "caption", ["red apple, noto style", "ein roter Kreis °C ©", "红色的圆", "naïve – “quoted” ½", ""]
)
def test_what_has_no_emoji_is_left_alone(caption):
    assert spelt_out(caption) == caption


def test_what_is_beyond_the_limit_and_what_is_unknown_is_found(encoder):
    short, long = "red apple", " ".join(f"word{i}" for i in range(40))
    assert encoder.unread(short) == ""
    assert long.endswith(encoder.unread(long))
    assert encoder.unread(long)
    assert encoder.unknown(short) == []
    assert encoder.unknown("a ꙮ circle 🍎") == ["ꙮ"]


def test_what_of_a_prompt_has_no_effect_is_noted(encoder):
    assert encoder.notes("red apple, noto style") == []
    cut, unknown = encoder.notes("ꙮ " + "word " * 40)
    assert "word" in cut
    assert "ꙮ" in unknown
