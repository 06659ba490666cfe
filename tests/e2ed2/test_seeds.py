"""Each use of chance in a training has numbers of its own."""

import ast
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
    """The absolute correlation of every pair of rows."""
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
    """All ranks use the same T in an update, drawn from several; with different ones they would wait for each other."""
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


PACKAGES = ("e2ed2", "study", "app")
MADE = {"default_rng", "Random", "RandomState", "manual_seed", "seed", "set_seed"}  # what makes or seeds a generator
DRAWN = re.compile(r"torch\.(rand|randn|randint|rand_like|randn_like|randperm|normal|poisson|bernoulli|multinomial)$")
IN_PLACE = {"normal_", "uniform_", "bernoulli_", "random_", "exponential_"}  # of a tensor

USERS_OWN = "a picture's own seed, which somebody typed, as it is"
STORED = "the results in assets are of these numbers: others would be other captions, another head or another interval"
WEIGHTS = "bundled weights are of these numbers, or drawn by the generator that `weights` has seeded"
NAME = "the thing's name, not a seed, decides; the bundled captions and the bundled reader are of these draws"
ALONE = "there is no other use of this seed beside it"
MIXED = "the study's own way: words or numbers beside the seed tell its uses apart"
ELSEWHERE = {  # uses of chance that have no purpose in e2ed2/seeds.py, by file and function, and why
    "app/engine/services.py Services.blend": USERS_OWN,
    "app/engine/services.py Services.midway": USERS_OWN,
    "app/pages/compare/page.py ComparePage.vote_blind": "nobody may foresee which two models a blind vote is between",
    "e2ed2/data/captions.py other_texts": NAME,
    "e2ed2/evaluation/emoji.py chosen": STORED,
    "e2ed2/evaluation/experiments/retrieval_head.py changed": STORED,
    "e2ed2/evaluation/experiments/retrieval_head.py crossed": STORED,
    "e2ed2/evaluation/generators.py OurModel.__call__": USERS_OWN,
    "e2ed2/evaluation/metrics/frechet.py frechet": STORED,
    "e2ed2/evaluation/metrics/retrieval.py fit_head": STORED,
    "e2ed2/inference/sampling.py sample_image": USERS_OWN,
    "e2ed2/inference/stock.py StockPipeline.__call__": USERS_OWN,
    "e2ed2/models/backbones/tiny.py tiny_pipeline": ALONE,
    "e2ed2/models/coarse_to_fine.py CoarsePath.__init__": WEIGHTS,
    "e2ed2/models/coarse_to_fine.py Transformer.__init__": WEIGHTS,
    "e2ed2/reading/fit.py requests": NAME,
    "e2ed2/reading/fit.py searches": NAME,
    "e2ed2/web/examples.py captions": ALONE,
    "study/images/importing.py _spoilt": ALONE,
    "study/protocol/balanced.py rng_of": MIXED,
    "study/rehearsal/attack.py _halves": "scikit-learn's, and the other use of this seed is a forest, not a split",
    "study/rehearsal/attack.py _models": "scikit-learn's, and the other use of this seed is a split, not a forest",
    "study/rehearsal/rehearse.py arrivals": ALONE,
    "study/rehearsal/watching.py watch": MIXED,
    "study/simulation/chosen.py Places.answered": "seeded by a draw of the simulation's own generator",
    "study/simulation/power.py simulate": MIXED,
    "study/stats/intervals.py pigeonhole": "a report's intervals, whose figures anybody can compute again",
}


def uses_of_chance(tree: ast.Module) -> set[str]:
    """The function, by its qualified name, of each call that makes, seeds or draws without a purpose of `seeds`."""
    found = set()

    def visit(node: ast.AST, inside: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if isinstance(node, ast.Call) and is_chance(node):
            found.add(".".join(inside))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, ())
    return found


def is_chance(call: ast.Call) -> bool:
    function, given = ast.unparse(call.func), {word.arg for word in call.keywords}
    owner, _, name = function.rpartition(".")
    if name in MADE:
        return not any(ast.unparse(value).startswith(("number(", "seeds.number(")) for value in call.args)
    if owner.split(".")[-1] == "random":  # the generator that all of Python, of numpy or of torch shares
        return name not in ("Generator", "fork_rng")
    return "random_state" in given or ((DRAWN.match(function) or name in IN_PLACE) and "generator" not in given)


def test_every_use_of_chance_has_a_purpose_or_a_reason():
    root = Path(__file__).parents[2]
    hint = re.compile(rf"\brandom|{DRAWN.pattern[:-1]}|\b({'|'.join(MADE | IN_PLACE)})\(")  # to parse all takes seconds
    texts = {
        str(file.relative_to(root)): text
        for package in PACKAGES
        for file in (root / package).rglob("*.py")
        if hint.search(text := file.read_text(encoding="utf-8"))
    }
    del texts["e2ed2/seeds.py"]
    found = {f"{name} {function}" for name, text in texts.items() for function in uses_of_chance(ast.parse(text))}
    assert not found - ELSEWHERE.keys(), "give it a purpose in e2ed2/seeds.py, or say in ELSEWHERE why it has none"
    assert not ELSEWHERE.keys() - found, "these are gone"


@pytest.mark.parametrize(
    "line",
    [
        "torch.manual_seed(0)",
        "torch.Generator().manual_seed(seed)",
        "np.random.default_rng(seed)",
        "default_rng()",
        "random.Random(seed)",
        "random.choice(names)",
        "np.random.permutation(9)",
        "torch.randperm(9)",
        "torch.randn(3, device=device)",
        "torch.nn.init.normal_(weights)",
        "weights.uniform_(0, 1)",
        "Forest(random_state=seed)",
    ],
)
def test_a_use_of_chance_without_a_purpose_is_found(line):
    assert uses_of_chance(ast.parse(f"class A:\n    def f(self):\n        return {line}")) == {"A.f"}


@pytest.mark.parametrize(
    "line",
    [
        "torch.manual_seed(seeds.number(seed, 'weights'))",
        "random.Random(number(seed, 'style'))",
        "torch.randperm(9, generator=stream(seed, 'order'))",
        "weights.normal_(generator=draws)",
        "draw.choice(names)",
        "secrets.choice(letters)",
    ],
)
def test_a_use_of_chance_with_a_purpose_is_right(line):
    assert uses_of_chance(ast.parse(line)) == set()
