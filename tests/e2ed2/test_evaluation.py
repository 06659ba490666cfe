"""Figures without people: what they say on cases whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import e2ed2.evaluation.run as module
from e2ed2.data.pictures import DataConfig, load_pictures
from e2ed2.errors import UserError
from e2ed2.evaluation.features.held_out import SIZE, HeldOutEncoder
from e2ed2.evaluation.metrics.retrieval import RetrievalHead, align, fit_head, load_head
from e2ed2.evaluation.metrics.variety import diversity_ratio, nearest_distance
from e2ed2.evaluation.prompts import chosen, drawings, prompts_of
from e2ed2.evaluation.run import Evaluate, distances, evaluate


@pytest.fixture(scope="module")
def encoder():
    return HeldOutEncoder()


@pytest.fixture(scope="module")
def few(parquet):
    return load_pictures(DataConfig(path=str(parquet), resolution=32))


def test_a_set_has_no_distance_to_itself_and_more_to_noise_than_to_its_half():
    features = torch.randn(200, SIZE, generator=torch.Generator().manual_seed(0))
    same, half, far = (distances(x, features) for x in (features, features[:100], features + 3))
    assert abs(same["fd"]) < 1e-3
    assert same["precision"] == same["recall"] == 1
    assert same["fd"] < half["fd"] < far["fd"]
    assert far["kid"] > half["kid"]
    assert distances(7 * (features + 3), 7 * features) == pytest.approx(far, rel=1e-3)  # no unit of the encoder's own


def test_copies_have_no_variety_and_the_drawings_themselves_have_all_of_it(encoder, few):
    groups = [few.images[:3], few.images[3:6]]
    assert diversity_ratio(encoder, [np.stack([group[0]] * 3) for group in groups], groups) == pytest.approx(
        0, abs=1e-6
    )
    assert diversity_ratio(encoder, groups, groups) == pytest.approx(1)


def test_a_training_drawing_is_its_own_nearest(encoder, few):
    features = encoder.of(few.images)
    assert nearest_distance(encoder, few.images[:4], features[:4], few.images, features) == pytest.approx(0, abs=1e-6)
    others = nearest_distance(encoder, few.images[:4], features[:4], few.images[4:], features[4:])
    assert others > 0.01


def test_the_head_learns_which_feature_means_which_name():
    generator = torch.Generator().manual_seed(0)
    names = torch.nn.functional.normalize(torch.randn(8, 384, generator=generator), dim=-1)
    concepts, styles = torch.arange(160) % 8, torch.arange(160) % 6
    features = torch.randn(160, SIZE, generator=generator)
    features[torch.arange(160), concepts] += 8
    features[torch.arange(160), 20 + styles] += 8
    result = align(fit_head(features, concepts, styles, names), features, concepts, styles, names)
    assert result.top1 > 0.9
    assert result.top5 >= result.top1
    assert result.style > 0.9
    guess = align(RetrievalHead(), features, concepts, None, names)
    assert guess.top1 < 0.5
    assert guess.style is None


def test_the_bundled_head_knows_real_drawings_it_has_not_seen(encoder):
    names = module.concept_names()
    pictures = drawings("combo")
    rows = np.arange(0, len(pictures), 6)
    concepts = torch.tensor([names.index(pictures.captions[i]) for i in rows])
    features = encoder.of(pictures.images[rows])
    assert align(load_head(), features, concepts, None, module.TextEncoder()(names).pooled).top1 > 0.15


def test_visitors_prompts_are_a_hundred_and_no_training_caption():
    from e2ed2.data.captions import caption_texts

    prompts = prompts_of("visitor", 1000)
    plain, styled = caption_texts(drawings("train"))
    training = {text.lower() for texts in plain + styled for text in texts}
    assert len({prompt.text for prompt in prompts}) == 100
    assert not training & {prompt.text.lower() for prompt in prompts}
    assert {prompt.concept for prompt in prompts} <= set(module.concept_names())


def test_prompts_are_the_same_for_the_same_seed_and_mistakes_are_told():
    assert prompts_of("combo", 5, seed=1) == prompts_of("combo", 5, seed=1) != prompts_of("combo", 5, seed=2)
    with pytest.raises(UserError, match="visitor"):
        prompts_of("validation", 5)
    with pytest.raises(UserError, match="at least 1"):
        prompts_of("combo", 0)


def test_evaluation_is_deterministic_and_goes_on_where_it_stopped(tiny_model, few, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    shown = replace(few, captions=["red apple"] * 6 + ["cat face"] * 6 + few.captions[12:])
    monkeypatch.setattr(module, "drawings", lambda split: shown)
    options = Evaluate(model=str(tiny_model), steps=1, split="visitor", limit=4, captions=2, out=tmp_path / "a.json")
    monkeypatch.setattr(module, "concept_names", lambda: sorted({p.concept for p in prompts_of("visitor", 100)}))
    first = evaluate(options)
    painted = sorted((tmp_path / "runs").rglob("*.png"))
    painted[0].unlink()
    calls = []
    paint = module.paint
    monkeypatch.setattr(module, "paint", lambda *args: calls.append(args) or paint(*args))
    second = evaluate(replace(options, out=tmp_path / "b.json"))
    assert len(calls) == 1
    for group in ("distance", "alignment", "diversity_ratio", "nearest_training_lpips"):
        assert first[group] == second[group]
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["choices"]["painted"] == 4
    assert written["cost"]["gflop"] > 0


def test_prompts_are_of_the_drawings_that_the_seed_chooses():
    real = drawings("combo")
    assert [prompt.concept for prompt in prompts_of("combo", 9, seed=3)] == [
        real.captions[row] for row in chosen(len(real), 9, seed=3)
    ]


def test_too_few_prompts_are_refused_before_any_is_painted(called):
    assert "at least 4" in called("evaluate", "--model", "l2", "--limit", 3, code=2).err


def test_the_command_says_what_is_wrong_in_one_sentence(called):
    assert "No model 'nobody'" in called("evaluate", "--model", "nobody", code=2).err
