"""One step along any Gaussian path: what diffusers' schedulers do, and for the flow path what it always was."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from e2ed2.diffusion.levels import add_noise, uniform_levels
from e2ed2.diffusion.path import Flow, VariancePreserving, step
from e2ed2.diffusion.prediction import clean_of
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError

KINDS = {"sample": "sample", "epsilon": "epsilon", "v": "v_prediction"}


@pytest.fixture
def z():
    return torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("steps", range(1, 51))
def test_on_the_flow_path_a_step_is_bit_for_bit_the_one_that_the_bundled_models_were_made_with(z, steps):
    x0, levels = z.flip(0).tanh(), uniform_levels(steps)
    for t, s in pairwise(levels):
        assert torch.equal(step(Flow(), z, x0, t, s), (s / t) * z + (1 - s / t) * x0)


@pytest.mark.parametrize("path", [Flow(), VariancePreserving(np.linspace(0.999, 0.01, 50))])
def test_a_perfect_estimate_stays_on_the_path(z, path):
    x0, t, s = z.flip(0), 0.8, 0.3
    x = path.alpha(t) * x0 + path.sigma(t) * z
    assert torch.allclose(step(path, x, x0, t, s), path.alpha(s) * x0 + path.sigma(s) * z, atol=1e-6)
    assert torch.allclose(step(path, x, x0, t, 0), x0)


class Network:
    """Some nonlinear function of the input and the timestep, read as a prediction of one kind."""

    def __init__(self, path, kind, told):
        self.path, self.kind, self.told = path, kind, told

    def condition(self, z, text):
        return None

    def predict(self, x, timestep):
        return torch.sin(1.3 * x + 0.001 * timestep)

    def __call__(self, x, t, text, conditioning, step):
        level = t[0].item()
        predicted = self.predict(x, self.told(level))
        return clean_of(self.kind, predicted, x, self.path.alpha(level), self.path.sigma(level))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_chain_is_deterministic_ddim(z, kind, steps):
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        clip_sample=False,
        prediction_type=KINDS[kind],
    )
    path = VariancePreserving(scheduler.alphas_cumprod.tolist())
    network = Network(path, kind, path.timestep)
    scheduler.set_timesteps(steps)
    x = z.double()
    for timestep in scheduler.timesteps:
        x = scheduler.step(network.predict(x, int(timestep)), timestep, x).prev_sample
    ours = sample(network, z.double(), None, uniform_levels(steps))
    assert torch.allclose(ours, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_chain_is_flow_matching_by_euler(z, steps):
    scheduler = FlowMatchEulerDiscreteScheduler()
    levels = uniform_levels(steps)
    scheduler.set_timesteps(sigmas=list(levels[:-1]))
    network = Network(Flow(), "velocity", lambda level: 1000 * level)
    x = z
    for timestep in scheduler.timesteps:
        x = scheduler.step(network.predict(x, timestep), timestep, x).prev_sample
    assert torch.allclose(sample(network, z, None, levels), x, atol=1e-5)


@pytest.mark.parametrize("kind", ["sample", "epsilon", "v", "velocity"])
def test_every_kind_of_prediction_gives_the_sample_back(z, kind):
    x0, t = z.flip(0).double(), 0.4
    z = z.double()
    path = Flow() if kind == "velocity" else VariancePreserving(np.linspace(0.999, 0.01, 10))
    alpha, sigma = path.alpha(t), path.sigma(t)
    right = {"sample": x0, "epsilon": z, "v": alpha * z - sigma * x0, "velocity": z - x0}[kind]
    assert torch.allclose(clean_of(kind, right, alpha * x0 + sigma * z, alpha, sigma), x0)


def test_levels_and_kinds_that_are_none_are_refused():
    with pytest.raises(ValueError, match="timesteps"):
        VariancePreserving([0.9, 0.5]).alpha(2.0)
    with pytest.raises(UserError, match="knows 2 noise levels: choose at most 2 steps, not 3"):
        VariancePreserving([0.9, 0.5]).jumps(uniform_levels(3))
    with pytest.raises(ValueError, match="none of sample"):
        clean_of("noise", *[torch.zeros(1)] * 2, 1.0, 0.0)


def test_noise_is_added_along_the_flow_path(z):
    t = torch.tensor([0.25, 1.0])
    x = add_noise(z.flip(0), z, t)
    assert torch.equal(x[1], z[1])
    assert torch.allclose(x[0], Flow().alpha(0.25) * z[1] + Flow().sigma(0.25) * z[0])
