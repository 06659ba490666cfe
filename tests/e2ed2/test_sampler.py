"""The chain of E2ED2: identities in float64."""

import pytest
import torch
from torch import nn

from e2ed2.diffusion.levels import add_noise, check_levels, uniform_levels
from e2ed2.diffusion.path import Flow, VariancePreserving
from e2ed2.diffusion.sampler import Gradient, sample
from e2ed2.errors import UserError


class Affine(nn.Module):
    """f(x, t) = a x + b t, whose chains have a closed form."""

    path = Flow()

    def __init__(self, a=0.3, b=0.7):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(b, dtype=torch.float64))

    def condition(self, z, text):
        return None

    def forward(self, x, t, text, conditioning, step):
        return torch.tanh(self.a * x + self.b * t.view(-1, 1, 1, 1))


@pytest.fixture
def z():
    return torch.randn(2, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_one_step_is_the_denoiser_on_pure_noise(z):
    f = Affine()
    assert torch.equal(sample(f, z, None, (1, 0)), torch.tanh(f.a * z + f.b))


def test_two_steps_match_the_recurrence_written_out(z):
    f, levels = Affine(), (1.0, 0.4, 0.0)
    first = torch.tanh(f.a * z + f.b)
    middle = 0.4 * z + 0.6 * first
    expected = torch.tanh(f.a * middle + f.b * 0.4)
    assert torch.allclose(sample(f, z, None, levels), expected, atol=1e-15)


def test_a_perfect_denoiser_stays_on_the_flow_path(z):
    target = torch.ones_like(z)

    class Perfect:
        path = Flow()

        def condition(self, z, text):
            return None

        def __call__(self, x, t, text, conditioning, step):
            assert torch.allclose(x, add_noise(target, z, t))
            return target

    assert torch.equal(sample(Perfect(), z, None, uniform_levels(4)), target)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_gradient_through_the_chain_equals_finite_differences(z, steps):
    f = Affine()

    def loss():
        return sample(f, z, None, uniform_levels(steps), gradient=Gradient()).square().sum()

    loss().backward()
    for parameter in (f.a, f.b):
        with torch.no_grad():
            parameter += 1e-6
            high = loss()
            parameter -= 2e-6
            low = loss()
            parameter += 1e-6
        assert parameter.grad.item() == pytest.approx(((high - low) / 2e-6).item(), rel=1e-6)


def test_checkpointed_gradient_equals_the_plain_one(z):
    gradients = []
    for checkpointed in (False, True):
        f = Affine()
        sample(f, z, None, uniform_levels(4), gradient=Gradient(checkpointed=checkpointed)).sum().backward()
        gradients.append(torch.stack([f.a.grad, f.b.grad]))
    assert torch.allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize(("options", "calls"), [({}, 4), ({"checkpointed": True}, 8)])
def test_a_step_is_computed_twice_only_where_it_is_asked_for(z, options, calls):
    f, seen = Affine(), []
    f.register_forward_pre_hook(lambda *_: seen.append(1))
    sample(f, z, None, uniform_levels(4), gradient=Gradient(**options)).sum().backward()
    assert len(seen) == calls


def test_truncated_gradient_is_that_of_the_last_step_alone(z):
    f, levels = Affine(), uniform_levels(3)
    seen = []
    sample(f, z, None, levels, callback=seen.append)
    sample(f, z, None, levels, gradient=Gradient(steps=1)).sum().backward()
    truncated = f.a.grad.clone()
    f.a.grad = None
    last = seen[-1]
    f(last.noisy, last.noisy.new_full((len(z),), last.t), None, None, 2).sum().backward()
    assert torch.allclose(truncated, f.a.grad, atol=1e-12)


def test_without_grad_nothing_is_recorded(z):
    assert not sample(Affine(), z, None, (1, 0)).requires_grad


def test_callback_sees_every_step(z):
    seen = []
    x0 = sample(Affine(), z, None, uniform_levels(3), callback=seen.append)
    assert [step.index for step in seen] == [0, 1, 2]
    assert [step.t for step in seen] == pytest.approx([1, 2 / 3, 1 / 3])
    assert torch.equal(seen[0].noisy, z)
    assert torch.equal(seen[-1].clean, x0)


@pytest.mark.parametrize("levels", [(1, 0.5), (0.9, 0), (1, 0.5, 0.5, 0), (1, 0.2, 0.4, 0), (1,)])
def test_levels_that_do_not_fall_from_one_to_zero_are_refused(levels):
    with pytest.raises(UserError, match="fall from 1 to 0"):
        check_levels(levels)


def test_no_steps_are_refused():
    with pytest.raises(UserError, match="at least 1"):
        uniform_levels(0)


def test_what_hangs_on_the_caption_and_the_noise_is_computed_once_and_each_step_is_told_its_number(z):
    asked, told = [], []

    class Told(Affine):
        def condition(self, z, text):
            asked.append((z, text))
            return "computed"

        def forward(self, x, t, text, conditioning, step):
            told.append((t.tolist(), text, conditioning, step))
            return super().forward(x, t, text, conditioning, step)

    sample(Told(), z, "caption", (1, 0.5, 0))
    assert len(asked) == 1
    assert torch.equal(asked[0][0], z)
    assert asked[0][1] == "caption"
    assert told == [([1, 1], "caption", "computed", 0), ([0.5, 0.5], "caption", "computed", 1)]


def test_the_end_of_a_step_may_be_replaced(z):
    f, ends = Affine(), []

    def end(index, t, x, x0):
        ends.append((index, t, x, x0))
        return x + 1

    made = sample(f, z, None, (1, 0.4, 0), on_step_end=end)
    assert [one[:2] for one in ends] == [(0, 1), (1, 0.4)]
    (_, _, first, estimate), (_, _, second, last) = ends
    assert torch.allclose(first, 0.4 * z + 0.6 * estimate)
    assert torch.allclose(last, torch.tanh(f.a * (first + 1) + f.b * 0.4))
    assert torch.equal(second, last)
    assert torch.equal(made, last + 1)


def test_what_a_callback_sees_holds_no_graph(z):
    seen = []
    sample(Affine(), z, None, uniform_levels(2), gradient=Gradient(), callback=seen.append)
    assert not any(value.requires_grad for step in seen for value in (step.noisy, step.clean))


class Linear(Affine):
    """f(x, t) = a x + b t."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x, t, text, conditioning, step):
        return self.a * x + self.b * t.view(-1, 1, 1, 1)


FADING = VariancePreserving([0.98, 0.9, 0.7, 0.5, 0.4, 0.2, 0.1, 0.02])


def by_hand(f, z, levels, passed):
    """What a and b get of the sum of all samples, where a step passes `passed(t, s)` of a gradient by its network."""
    seen = []
    sample(f, z, None, levels, callback=seen.append)
    of_a, of_b = z.new_zeros(2)
    for (t, s), one in zip(f.path.jumps(levels), seen, strict=True):
        kept = f.path.sigma(s) / f.path.sigma(t)
        weight = f.path.alpha(s) - f.path.alpha(t) * kept  # of the step's estimate in what it writes
        of_a = passed(t, s) * of_a + weight * one.noisy.sum()
        of_b = passed(t, s) * of_b + weight * t * one.noisy.numel()
    return torch.stack([of_a, of_b])


def given(f, z, levels, **options):
    sample(f, z, None, levels, gradient=Gradient(detach_inputs=True, **options)).sum().backward()
    found = torch.stack([f.a.grad, f.b.grad])
    f.a.grad = f.b.grad = None
    return found


@pytest.mark.parametrize("steps", [2, 4])
@pytest.mark.parametrize("path", [Flow(), FADING], ids=["flow", "vp"])
def test_with_detached_inputs_a_gradient_passes_a_step_at_its_velocity(z, path, steps):
    """On the straight path whole; on the other one by the cosine of the angle between its two levels: never more."""

    def passed(t, s):
        if isinstance(path, Flow):
            return 1.0
        return path.alpha(t) * path.alpha(s) + path.sigma(t) * path.sigma(s)

    f, levels = Linear(path), uniform_levels(steps)
    assert all(passed(*jump) <= 1 for jump in path.jumps(levels))
    expected = by_hand(f, z, levels, passed)
    assert torch.allclose(given(f, z, levels), expected, rtol=1e-6)
    assert torch.allclose(given(f, z, levels, checkpointed=True), expected, rtol=1e-6)
    last = by_hand(f, z, levels, lambda t, s: 0.0)
    assert torch.allclose(given(f, z, levels, steps=1), last, rtol=1e-6)
    assert not torch.allclose(expected, last, rtol=0.1)  # steps before the last are learnt


def test_detached_inputs_change_no_sample_and_nothing_of_a_single_step(z):
    f = Linear(FADING)
    for steps in (1, 4):
        plain, detached = (
            sample(f, z, None, uniform_levels(steps), gradient=Gradient(detach_inputs=detach))
            for detach in (False, True)
        )
        assert torch.equal(plain, detached)
    sample(f, z, None, (1, 0), gradient=Gradient()).sum().backward()
    plain = torch.stack([f.a.grad, f.b.grad])
    f.a.grad = f.b.grad = None
    assert torch.equal(given(f, z, (1, 0)), plain)
