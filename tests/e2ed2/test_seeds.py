"""Each use of chance in a training has numbers of its own."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from e2ed2 import seeds as module
from e2ed2.data.batches import order
from e2ed2.objectives import end_to_end, single_step
from e2ed2.seeds import PURPOSES, UpdateSeeds, number, stream
from e2ed2.training.run import build

from .conftest import TINY_CODEC, of_kind, options

COUNT = 4096
CHANCE = 6 / COUNT**0.5  # six standard deviations of the correlation of independent draws


def correlations(drawn: torch.Tensor) -> torch.Tensor:
    """Of every pair of rows."""
    matrix = torch.corrcoef(drawn)
    first, second = torch.triu_indices(*matrix.shape, offset=1)
    return matrix[first, second].abs()


def test_no_two_purposes_updates_processes_or_seeds_share_numbers():
    seeds = [UpdateSeeds(seed, update, process) for seed in (0, 1) for update in (0, 1, 1000) for process in (0, 1)]
    for draw in (torch.randn, torch.rand):
        drawn = [draw(COUNT, generator=one.stream(purpose)) for one in seeds for purpose in PURPOSES]
        assert correlations(torch.stack(drawn)).max() < CHANCE


def test_a_stream_starts_again_the_same():
    assert torch.equal(*(torch.randn(9, generator=stream(3, "time", 5, 1)) for _ in range(2)))


def test_no_index_runs_into_the_next():
    numbers = number(1, "time", 2, 34), number(1, "time", 23, 4), number(12, "time", 34), number(1, "time", 234)
    assert len(set(numbers)) == 4


def test_an_unlisted_purpose_is_refused():
    with pytest.raises(ValueError, match="coffee"):
        stream(0, "coffee")


def test_processes_draw_the_same_number_of_steps_and_other_noise(run_config, monkeypatch):
    """Of T's, some for each update; ranks with different ones would wait for each other."""
    drawn = []
    monkeypatch.setattr(end_to_end, "uniform_levels", lambda steps: drawn.append(steps) or torch.linspace(1, 0, 2))
    objective, batches = build(options(run_config, sampling_steps=(1, 2, 3, 4), precompute=False))
    for process in range(2):
        for update in range(8):
            objective(batches(0), UpdateSeeds(0, update, process))
    assert drawn[:8] == drawn[8:]
    assert len(set(drawn)) > 1


@pytest.mark.parametrize("kind", ["single_step", "end_to_end"])
@pytest.mark.parametrize("as_before", [False, True])
def test_noise_on_a_caption_is_not_the_noise_of_its_picture(run_config, monkeypatch, kind, as_before):
    """They were the same numbers, 3B places apart; `as_before` shows that this is what would be found."""
    noises = []
    for where in (single_step, end_to_end):
        make = where.noise_like
        monkeypatch.setattr(where, "noise_like", lambda *given, make=make: noises.append(make(*given)) or noises[-1])
    if as_before:
        monkeypatch.setattr(module, "number", lambda seed, purpose, *indices: 7)
    trainer = replace(run_config.trainer, batch_size=16)  # normal numbers are made in sixteens
    config = replace(of_kind(run_config, kind, text_noise=1.0, precompute=False), trainer=trainer)
    objective, batches = build(config)
    batch, clean = batches(3), build(options(config, text_noise=0.0))[1](3)
    objective(batch, UpdateSeeds(config.trainer.seed, 3))
    on_words = (batch.text.tokens - clean.text.tokens).flatten().sign()
    of_picture = noises[0].flatten().sign()[64:192]
    likeness = torch.nn.functional.conv1d(on_words[None, None], of_picture[None, None]).abs().max() / len(of_picture)
    assert (likeness > 0.9).item() is as_before


def test_a_codecs_noise_does_not_follow_its_crops(run_config, monkeypatch):
    """Both began with the same uniform draws."""
    used = []
    order.cache_clear()  # of other tests
    real = module.stream
    spy = lambda seed, purpose, *indices, **device: used.append((purpose, indices)) or real(seed, purpose, *indices)
    for where in ("e2ed2.seeds.stream", "e2ed2.data.batches.stream"):
        monkeypatch.setattr(where, spy)
    objective, batches = build(of_kind(run_config, "codec", init="", crop=32, codec=TINY_CODEC))
    objective(batches(5, 1, 2), UpdateSeeds(0, 5, 1))
    assert [purpose for purpose, _ in used] == ["order", "crop", "latent noise"]
    assert used[1:] == [("crop", (5, 1)), ("latent noise", (5, 1))]


def test_seeds_are_made_in_one_place():
    """But for a user's own seed, and fixed draws that belong to a model or a figure."""
    root = Path(__file__).parents[2] / "e2ed2"
    made = {file.relative_to(root) for file in root.rglob("*.py") if re.search(r"manual_seed", file.read_text())}
    allowed = {"seeds.py", "training/run.py", "reading/fit.py", "models/coarse_to_fine.py", "models/backbones/tiny.py"}
    elsewhere = {str(file) for file in made if file.parts[0] not in ("inference", "evaluation")}
    assert elsewhere <= {*allowed, "web/examples.py"}
