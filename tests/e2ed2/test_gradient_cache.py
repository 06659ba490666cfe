"""A loss on all samples of an update: the gradient is that of the loss on all, in the memory of one batch."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from e2ed2.errors import UserError
from e2ed2.losses.distribution import SHAPES, TOLERANCE, mmd
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.objectives.chain import in_parts
from e2ed2.objectives.end_to_end import Made
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.flops import update_flops
from e2ed2.training.gradient_cache import together
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer

from .conftest import options


def cached_run(run_config, loss="l2+energy+mmd", **more):
    config = options(run_config, loss=loss, samples=2, gradient_cache=True, precompute=False, **more)
    return replace(config, trainer=replace(config.trainer, batch_size=3, accumulate=3, mixed_precision="no", clip=1e9))


def trainer_of(config, folder):
    torch.manual_seed(0)
    return Trainer(config.trainer, *build(config), folder)


def gradient(model) -> torch.Tensor:
    return torch.cat([weights.grad.flatten() for weights in trained(model)])


@pytest.mark.parametrize(
    ("loss", "more"),
    [
        ("l2+energy+mmd", {}),
        pytest.param("l2+lpips+gan+anchor", {"backprop_steps": 1}, marks=pytest.mark.slow),
        pytest.param("energy+energy-lpips+mmd", {"checkpointed": True}, marks=pytest.mark.slow),
    ],
)
def test_the_gradient_is_that_of_the_loss_on_all_samples(run_config, tmp_path, monkeypatch, loss, more):
    trainer = trainer_of(cached_run(run_config, loss, **more), tmp_path)
    objective, parts = trainer.bare, range(3)
    objective.rows = None  # the reference judges all at once
    batches, seeds = [trainer.batch(part) for part in parts], [trainer.seeds(part) for part in parts]
    made = [
        (objective.roll_out(objective.model, batch, batch.text.repeat(2), one), objective.samples(batch, one).held)
        for batch, one in zip(batches, seeds, strict=True)
    ]
    held = None if made[0][1] is None else torch.cat([held for _, held in made])
    whole = Made(torch.cat([x0 for x0, _ in made]), held)
    outcome = objective.judgement(whole, together(trainer.accelerator, batches), seeds[0])
    outcome.total().backward()
    plain = gradient(objective.model)
    objective.zero_grad()
    objective.rows = 4  # in parts, the last of them smaller
    monkeypatch.setattr(trainer.optimizer, "step", lambda: None)
    measured = trainer.train_step()
    assert plain.abs().max() > 0
    assert torch.allclose(gradient(objective.model), plain, rtol=0, atol=1e-6 * plain.abs().max().item())
    for name, value in outcome.terms.items():
        assert measured.terms[name].item() == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.slow
def test_a_preference_reads_the_captions_of_all_samples(run_config, tmp_path):
    trainer = trainer_of(cached_run(run_config), tmp_path)
    batches = [trainer.batch(part) for part in range(3)]
    whole = together(trainer.accelerator, batches)
    assert whole.captions == sum((one.captions for one in batches), ())
    assert len(whole.captions) == len(whole.latents) == 9


def test_a_batch_alone_is_another_loss(run_config, tmp_path):
    """MMD of nine captions is not the mean of three MMDs of three."""
    config = cached_run(run_config, "mmd")
    plain = options(config, gradient_cache=False)
    losses = [trainer_of(one, tmp_path / str(i)).train_step().terms["mmd"] for i, one in enumerate((config, plain))]
    assert losses[0].item() != pytest.approx(losses[1].item(), rel=1e-2)


@pytest.mark.slow
def test_sampling_twice_is_counted(run_config):
    config = options(run_config, samples=2, sampling_steps=(2,), precompute=False)
    work = {}
    for cache in (False, True):
        objective, batches = build(options(config, gradient_cache=cache))
        work[cache] = update_flops(objective, batches, 1)
    with FlopCounterMode(display=False) as counter:
        objective.samples(batches(0), UpdateSeeds(0, 0))
    embedding = FlopCounterMode(display=False)
    with embedding:
        batches(0)
    assert work[True] - work[False] == counter.get_total_flops() - embedding.get_total_flops() > 0


def test_parts_are_the_whole():
    values = torch.randn(7, 3, requires_grad=True)
    square = lambda x: x.square()
    whole = in_parts(square, values)
    parts = in_parts(square, values, rows=3)
    assert torch.equal(whole, parts)
    parts.sum().backward()
    assert torch.allclose(values.grad, 2 * values)


def test_what_cannot_go_together_is_refused(run_config):
    with pytest.raises(UserError, match="mmd compares distributions"):
        replace(options(run_config, loss="mmd"), trainer=replace(run_config.trainer, batch_size=1))
    config = cached_run(run_config)
    with pytest.raises(UserError, match="fp16"):
        replace(config, trainer=replace(config.trainer, mixed_precision="fp16"))


# Maximum mean discrepancy


def by_hand(samples, targets, captions) -> float:
    """Pair by pair."""
    count, each = samples.shape[:2]
    squared = lambda a, b: (a - b).square().sum().item()
    others = [(i, j) for i in range(count) for j in range(count) if i != j]
    scale = sum(squared(targets[i], targets[j]) for i, j in others) / len(others)

    def kernel(a, b, i, j):
        alike = torch.exp((captions[i] @ captions[j] - 1) / TOLERANCE).item()
        return alike * sum((1 + squared(a, b) / scale / (2 * s)) ** -s for s in SHAPES) / len(SHAPES)

    mean = lambda values: sum(values) / len(values)
    within = [kernel(samples[i, a], samples[j, b], i, j) for i, j in others for a in range(each) for b in range(each)]
    drawn = [kernel(targets[i], targets[j], i, j) for i, j in others]
    across = [kernel(samples[i, a], targets[j], i, j) for i, j in others for a in range(each)]
    return mean(within) + mean(drawn) - 2 * mean(across)


def random(*shape, seed=0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_mmd_is_its_definition():
    samples, targets, captions = random(4, 3, 5), random(4, 5, seed=1), F.normalize(random(4, 6, seed=2), dim=-1)
    assert mmd(samples, targets, captions).item() == pytest.approx(by_hand(samples, targets, captions), rel=1e-4)
    with pytest.raises(ValueError, match="at least 2"):
        mmd(samples[:1], targets[:1], captions[:1])


def test_mmd_is_nothing_for_the_targets_own_distribution_and_grows_with_what_is_wrong():
    captions = F.normalize(random(600, 8), dim=-1)
    of = lambda seed: captions + 0.3 * random(600, 8, seed=seed)  # a picture that fits its caption
    targets = of(1)
    right = mmd(of(2)[:, None], targets, captions)
    assert abs(right.item()) < 1e-3
    wrong = {
        "blurred": captions,
        "too far": captions + 0.8 * random(600, 8, seed=2),
        "of another caption": of(2).roll(1, 0),
        "all alike": captions.mean(0).expand(600, 8),
    }
    for kind, samples in wrong.items():
        assert mmd(samples[:, None], targets, captions) > 5 * abs(right), kind


def test_mmd_pulls_samples_to_where_targets_are():
    captions = F.normalize(random(64, 4), dim=-1)
    targets = random(64, 2, seed=1) + 1
    samples = random(64, 1, 2, seed=2).requires_grad_()
    optimizer = torch.optim.Adam([samples], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        mmd(samples, targets, captions).backward()
        optimizer.step()
    assert torch.allclose(samples.detach().mean(dim=(0, 1)), targets.mean(0), atol=0.3)


def test_features_are_no_further_apart_than_lpips(parquet):
    """They average LPIPS's differences over parts of the picture, which makes them smaller, and keep the layout."""
    perceptual, images = PerceptualLoss(), random(3, 3, 64, 64).clamp(-1, 1)
    other = images.flip(-1)
    whole = perceptual(images, other)
    few, many = ((perceptual.embedding(images, n) - perceptual.embedding(other, n)).square().sum(1) for n in (1, 4))
    assert (few < many).all()
    assert (many <= whole * 1.001).all()
    assert perceptual.embedding(images).shape == (3, 1152 * 16)
    assert perceptual.embedding(random(1, 3, 96, 80)).shape == (1, 1152 * 16)
