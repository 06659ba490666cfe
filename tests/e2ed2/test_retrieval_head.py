"""The head that says whether a picture shows what was asked for, and what its rates can be at most."""

import numpy as np
import pytest
import torch

from e2ed2.assets import RETRIEVAL_HEAD
from e2ed2.errors import UserError
from e2ed2.evaluation.emoji import drawings
from e2ed2.evaluation.experiments import retrieval_head
from e2ed2.evaluation.experiments.retrieval_head import DECODED, KEPT, REAL, SPLITS, Drawn, changed, crossed, fitted
from e2ed2.evaluation.features.held_out import SIZE
from e2ed2.evaluation.metrics.ceilings import load_ceilings
from e2ed2.evaluation.metrics.retrieval import align, load_head, save_head


@pytest.fixture(scope="module")
def names():
    generator = torch.Generator().manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(8, 384, generator=generator), dim=-1)


@pytest.fixture(scope="module")
def drawn():
    """Ninety drawings of eight things, thirty in each split."""
    images = np.zeros((90, 8, 8, 3), np.uint8)
    return Drawn(images, np.repeat(SPLITS, 30), torch.arange(90) % 8, torch.arange(90) % 6)


def features(drawn, telling: float):
    """Features of two views; the thing and the style are `telling` times as strong as what is of one drawing only."""
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(90, SIZE, generator=generator)
    own[:, :800].unflatten(1, (8, 100))[torch.arange(90), drawn.concepts] += telling
    own[:, 800:1400].unflatten(1, (6, 100))[torch.arange(90), drawn.styles] += telling
    return {REAL: own, DECODED: 0.9 * own}


def test_a_drawing_is_judged_by_a_head_that_has_not_seen_it(drawn, names, monkeypatch):
    """Where nothing but the drawing itself tells what it is of, only a head that saw it could know."""
    monkeypatch.setattr(retrieval_head, "UPDATES", 16)  # these are known by heart soon
    by_heart = features(drawn, telling=0)
    everything = fitted(by_heart, drawn, names, np.arange(90), seed=0)
    right = torch.nn.functional.one_hot(drawn.concepts, 8).bool()
    assert align(everything, by_heart[REAL], right, drawn.styles, names)["top1"].value > 0.9
    rates = crossed(by_heart, drawn, names, folds=3, seed=0)
    assert set(rates) == {REAL, DECODED}
    assert all(rates[REAL][split]["top1"] < 0.5 for split in KEPT)


@pytest.mark.slow
def test_what_drawings_have_in_common_is_learned(drawn, names):
    rates = crossed(features(drawn, telling=4), drawn, names, folds=3, seed=0)
    assert all(rates[view][split]["top1"] > 0.8 for view in (REAL, DECODED) for split in KEPT)
    assert all(rates[REAL][split]["top5"] >= rates[REAL][split]["top1"] for split in KEPT)


def test_changed_drawings_are_moved_on_white_and_the_same_for_the_same_seed():
    images = np.full((6, 32, 32, 3), 255, np.uint8)
    images[:, 8:24, 8:24] = (200, 30, 30)
    one, again, other = changed(images, 1), changed(images, 1), changed(images, 2)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == images.shape
    assert all((picture != before).any() for picture, before in zip(one, images, strict=True))
    assert (one[:, 0, 0] == 255).all()  # what is moved in is paper
    assert len({tuple(picture[16, 16]) for picture in one}) > 1  # hues differ


def test_a_head_and_its_ceilings_are_one_file(tmp_path):
    ceilings = {REAL: {"train": {"top1": 0.5}}}
    head = load_head()
    save_head(head, ceilings, tmp_path / "head.safetensors")
    assert load_ceilings(tmp_path / "head.safetensors") == ceilings
    again = load_head(tmp_path / "head.safetensors")
    assert torch.equal(again.concept[0].weight, head.concept[0].weight)
    with pytest.raises(UserError, match="retrieval_head"):
        load_ceilings(tmp_path / "missing.safetensors")


def test_the_bundled_head_says_what_real_drawings_reach():
    ceilings = load_ceilings(RETRIEVAL_HEAD)
    assert ceilings[REAL]["train"]["top1"] > ceilings[DECODED]["train"]["top1"] > 0.5
    assert set(ceilings[REAL]) == {"train", "combo", "concept"}


@pytest.mark.slow
def test_every_split_is_there_to_learn_from():
    names = sorted({name for split in SPLITS for name in drawings(split).captions})
    drawn = Drawn.load(names)
    assert [int((drawn.splits == split).sum()) for split in SPLITS] == [len(drawings(split)) for split in SPLITS]
    assert names[drawn.concepts[-1]] == drawings("concept").captions[-1]
