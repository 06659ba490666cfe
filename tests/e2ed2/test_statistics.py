"""Figures that can be trusted: closed forms, references, and how often an interval holds the truth."""

import json
import shutil
from dataclasses import asdict, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from e2ed2.assets import READER, RESULTS
from e2ed2.errors import UserError
from e2ed2.evaluation.emoji import COLOUR
from e2ed2.evaluation.generators import fingerprint
from e2ed2.evaluation.metrics import ceilings
from e2ed2.evaluation.metrics.figure import Figure, rate
from e2ed2.evaluation.metrics.frechet import frechet
from e2ed2.evaluation.metrics.kernel import kernel_distance
from e2ed2.evaluation.report.page import write_page
from e2ed2.evaluation.report.run import plan, read_found, up_to_date
from e2ed2.evaluation.report.tables import spread
from e2ed2.evaluation.results import as_result, read_result, rows, write_result
from e2ed2.evaluation.run import judges_of
from e2ed2.inference.request import model_path
from e2ed2.models.components import WEIGHTS
from e2ed2.models.saved import CONFIG
from e2ed2.reading import identity


def normal(count: int, size: int, seed: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_fd_is_that_of_torch_fidelity():
    ours, real = normal(300, 6, 0) @ normal(6, 6, 1), normal(500, 6, 2) + 0.3
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(x.double()) for x in (ours, real)), verbose=False)
    assert frechet(ours, real)["fd"].value == pytest.approx(next(iter(theirs.values())), rel=1e-6)


def test_endless_pictures_have_the_fd_of_their_distributions():
    """Two Gaussians whose distance is known; 200 pictures in 30 dimensions are far from it."""
    size = 30
    mixing = normal(size, size, 0) / size**0.5
    real = normal(30_000, size, 1)
    covariance = (mixing.T @ mixing).double().numpy()
    truth = np.trace(covariance) + size - 2 * np.trace(sqrtm(covariance).real)
    found = [frechet(normal(200, size, seed) @ mixing, real) for seed in range(2, 18)]
    bias = np.mean([figures["fd"].value for figures in found]) - truth
    assert bias > 0.2
    assert abs(np.mean([figures["fd_infinite"].value for figures in found]) - truth) < 0.3 * bias
    assert "fd_infinite" not in frechet(normal(80, size, 2), real)


def test_the_interval_of_fd_is_as_wide_as_other_captions_make_it():
    real = normal(5000, 8, 0)
    figures = [frechet(normal(200, 8, seed) + 0.5, real)["fd"] for seed in range(1, 31)]
    others = np.std([figure.value for figure in figures], ddof=1)
    told = np.mean([(figure.high - figure.low) / 2 / 1.96 for figure in figures])
    assert told == pytest.approx(others, rel=0.4)
    assert all(figure.low < figure.value < figure.high for figure in figures)


def kernel(a, b):
    return (np.dot(a, b) / len(a) + 1) ** 3


def test_kid_is_the_mean_over_all_pairs_and_its_interval_that_of_leaving_one_out():
    ours, real = normal(7, 5, 0), normal(9, 5, 1) + 0.5
    value = kernel_distance(ours, real).value
    assert value == pytest.approx(all_pairs(ours.numpy(), real.numpy()), rel=1e-4)
    without = [all_pairs(np.delete(ours.numpy(), i, axis=0), real.numpy()) for i in range(7)]
    error = (6 / 7 * np.sum((np.array(without) - np.mean(without)) ** 2)) ** 0.5
    figure = kernel_distance(ours, real)
    assert figure.high - value == pytest.approx(1.96 * error, rel=1e-3)


def all_pairs(ours, real):
    within, among = (np.mean([kernel(a, b) for a, b in permutations(x, 2)]) for x in (ours, real))
    return within + among - 2 * np.mean([kernel(a, b) for a in ours for b in real])


def test_kid_is_what_torch_fidelity_estimates_and_does_not_depend_on_n():
    ours, real = normal(400, 16, 0) + 0.2, normal(400, 16, 1)
    every = {"kid_subsets": 1, "kid_subset_size": 400, "kid_kernel": "poly", "kid_kernel_poly_degree": 3}
    theirs = kid_features_to_metric(ours, real, **every, rng_seed=0, verbose=False)["kernel_inception_distance_mean"]
    assert kernel_distance(ours, real).value == pytest.approx(theirs, rel=1e-3)
    parts = [kernel_distance(part, real).value for part in ours.split(40)]
    assert np.mean(parts) == pytest.approx(kernel_distance(ours, real).value, abs=0.01)


def test_kids_interval_holds_the_truth_about_as_often_as_it_says():
    real = normal(600, 8, 0)
    truth = kernel_distance(normal(6000, 8, 1000) + 0.4, real).value
    figures = [kernel_distance(normal(100, 8, seed) + 0.4, real) for seed in range(1, 101)]
    assert 0.88 <= np.mean([figure.low <= truth <= figure.high for figure in figures]) <= 1


def test_a_share_has_wilsons_interval():
    """The worked example of Newcombe (1998): 81 of 263."""
    figure = rate(torch.tensor([True] * 81 + [False] * 182))
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.3080, 0.2553, 0.3662), abs=1e-4)
    none = rate(torch.tensor([False] * 20))
    assert (none.low, none.high) == pytest.approx((0, 0.1611), abs=1e-4)


def test_a_result_carries_figures_intervals_and_what_was_not_measured(tmp_path):
    figures = {"distance.fd": Figure(50.0, 48.0, 52.0), "alignment.top1": Figure(0.5), "diversity_ratio": Figure(0.8)}
    write_result(as_result({"captions": 9}, {"images": 9}, figures), tmp_path / "new" / "one.json")
    result = read_result(tmp_path / "new" / "one.json")
    assert result["distance"] == {"fd": 50.0}
    assert result["intervals"] == {"distance.fd": [48.0, 52.0]}
    assert (result["diversity_ratio"], result["nearest_training_lpips"]) == (0.8, None)
    result["ceilings"] = {"real drawings": {"top1": 0.98}, "through the codec": {"top1": 0.67}}
    assert ("distance.fd", "50", "48 to 52", "") in rows(result)
    assert ("alignment.top1", "0.5", "", "real drawings 0.98, through the codec 0.67") in rows(result)
    assert ("nearest_training_lpips", "-", "", "") in rows(result)
    assert spread(result, "distance.fd", ".1f") == "50.0 (48.0 to 52.0)"
    assert spread(result, "alignment.top1", ".2f") == "0.50"
    assert spread(result, "alignment.style", ".2f") == ""


BEFORE = {
    "settings": {"model": "l2", "steps": 4, "split": "train", "limit": 150, "seed": 0, "captions": 24, "nearest": 0},
    "choices": {"images": 150, "weights": "l2-4-train-1"},
    "distance": {"fd": 72.3, "kid": 1.29, "precision": 0.9, "recall": 0.7},
    "alignment": {"top1": 0.33, "top5": 0.51, "style": None},
    "diversity_ratio": 0.01,
    "nearest_training_lpips": None,
    "cost": {"gflop": 3.36, "seconds": 0.06},
}


def test_files_of_before_are_read(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(BEFORE))
    result = read_result(tmp_path / "old.json")
    assert (result["settings"]["captions"], result["settings"]["variety"]) == (150, 24)
    assert spread(result, "distance.fd", ".4g") == "72.3"
    assert ("alignment.style", "-", "", "") in rows(result)


def test_the_bundled_results_are_read():
    files = sorted(RESULTS.glob("*-*-*.json"))
    assert len(files) > 40
    for file in files:
        result = read_result(file)
        assert result["settings"]["captions"] >= result["choices"]["images"]
        assert result["settings"]["split"] == COLOUR or result["distance"]["fd"] > 0


def test_figures_of_unequal_numbers_of_pictures_are_not_put_into_one_table(tmp_path):
    found = read_found()
    found.models[0]["choices"]["images"] = 150
    assert found.models[0]["settings"]["split"] == "train"
    with pytest.raises(UserError, match="150 and 2000"):
        write_page(found, tmp_path / "results.md")
    assert not (tmp_path / "results.md").exists()


def test_the_page_tells_intervals_where_there_are_some(tmp_path):
    found = read_found()
    one = next(
        r for r in found.models if r["settings"] | {"model": "l2", "steps": 4, "split": "train"} == r["settings"]
    )
    one["intervals"] = {"distance.fd": [71.0, 73.0], "alignment.top1": [0.26, 0.41]}
    one["distance"] |= {"fd": 72.34, "fd_infinite": 61.5}
    one["alignment"]["top1"] = 0.33
    page = write_page(found, tmp_path / "results.md").read_text()
    assert "72.34 (71 to 73)" in page
    assert "0.33 (0.26 to 0.41)" in page
    assert "FD, endless pictures" in page
    assert "61.5" in page


@pytest.mark.parametrize("judge", ["RETRIEVAL_HEAD", "READER"])
def test_what_another_judge_or_reader_found_is_measured_anew(judge, tmp_path, monkeypatch):
    wanted = replace(next(one for one in plan("l2", 100) if one.read), out=tmp_path / "l2.json")
    choices = judges_of(wanted) | {"weights": fingerprint(model_path("l2"), wanted.steps)}
    write_result(as_result(asdict(wanted) | {"out": ""}, choices, {}), wanted.out)
    assert up_to_date(wanted)
    assert not up_to_date(replace(wanted, captions=50))
    other = tmp_path / WEIGHTS
    other.write_bytes(b"other weights")
    shutil.copy(READER / CONFIG, tmp_path)
    monkeypatch.setattr(*((ceilings, judge, other) if judge == "RETRIEVAL_HEAD" else (identity, judge, tmp_path)))
    assert not up_to_date(wanted)


def test_the_bundled_readings_are_todays():
    """Who changes a word list or a threshold of the reader measures them anew: `make results`."""
    found = [read_result(file)["choices"]["reader"] for file in RESULTS.glob("*-read.json")]
    assert len(found) == 24
    assert set(found) == {identity.reader_digest()}


def test_a_network_that_is_used_otherwise_is_another_model(tiny_model, tmp_path):
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    before = fingerprint(model, 4)
    assert fingerprint(Path(shutil.copytree(model, tmp_path / "copy" / "model")), 4) == before
    other = Path(shutil.copytree(model, tmp_path / "other" / "model"))
    config = other / "denoiser" / CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | {"choice": "one-hot"}))
    assert fingerprint(other, 4) != before
