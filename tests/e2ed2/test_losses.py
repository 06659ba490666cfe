import pytest
import torch
from torchvision.transforms.functional import gaussian_blur

from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import load_pictures
from e2ed2.errors import UserError
from e2ed2.losses.adversarial import discriminator_loss, generator_loss
from e2ed2.losses.discriminators import Discriminator, FeatureDiscriminator, Head
from e2ed2.losses.distribution import energy, energy_score, pairs
from e2ed2.losses.perceptual import PerceptualLoss
from e2ed2.losses.pixel import edges, l1, l2
from e2ed2.losses.spec import LossSpec


def test_a_discriminator_pays_for_its_slope_on_real_and_on_sampled_images():
    def total(images, pooled):  # its slope is 1 at every pixel
        return images.flatten(1).sum(dim=1)

    real, fake = (torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(i)) for i in (0, 1))

    def loss(penalty):
        return discriminator_loss(total, fake, real, None, torch.Generator().manual_seed(2), penalty, sigma=0.1)

    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(2))
    slope = noise.flatten(1).sum(dim=1).square().mean()
    assert loss(0.0) == torch.nn.functional.softplus(total(fake, None) - total(real, None)).mean()
    assert (loss(0.5) - loss(0.0)).item() == pytest.approx(0.5 * 2 * slope.item(), rel=1e-3)


def test_a_penalty_is_the_change_of_the_logit_under_one_small_noise_over_its_variance():
    def bent(images, pooled):
        return images.square().flatten(1).sum(dim=1) + pooled

    real, fake = (torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    pooled = torch.arange(4.0)
    noise = 0.05 * torch.randn(real.shape, generator=torch.Generator().manual_seed(2))
    r1, r2 = (((bent(x + noise, 0) - bent(x, 0)) / 0.05).square().mean() for x in (real, fake))
    apart = torch.nn.functional.softplus(bent(fake, 0) - bent(real, 0)).mean()
    loss = discriminator_loss(bent, fake, real, pooled, torch.Generator().manual_seed(2))
    assert loss.item() == pytest.approx((apart + r1 + r2).item(), rel=1e-4)


def test_a_generator_learns_from_its_fakes_alone():
    fake, real = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 5.0], requires_grad=True)
    loss = generator_loss(lambda images, pooled: images * pooled, fake, real, torch.tensor([1.0, 2.0]))
    assert loss.item() == pytest.approx(torch.nn.functional.softplus(torch.tensor([2.0, 6.0])).mean().item())
    loss.backward()
    assert (fake.grad < 0).all()
    assert real.grad is None


def test_a_discriminator_halves_the_picture_at_each_stage_and_widens_to_four_times():
    critic = Discriminator(7)
    assert [tuple(stage[0].weight.shape) for stage in critic.features] == [
        (48, 3, 4, 4),
        (96, 48, 4, 4),
        (192, 96, 4, 4),
        (192, 192, 4, 4),
    ]
    assert [stage[1].num_groups for stage in critic.features] == [8] * 4
    assert all(isinstance(stage[-1], torch.nn.SiLU) for stage in critic.features)
    assert critic.features(torch.zeros(2, 3, 64, 64)).shape == (2, 192, 4, 4)
    assert (critic.score.weight.shape, critic.caption.weight.shape) == ((1, 192), (192, 7))
    assert critic.caption.bias is None


def test_a_logit_is_how_real_it_looks_and_how_well_it_fits_the_caption():
    torch.manual_seed(0)
    critic, images, pooled = Discriminator(7, width=8, stages=2), torch.rand(2, 3, 16, 16), torch.rand(2, 7)
    seen = critic.features(images).mean(dim=(2, 3))
    expected = critic.score(seen)[:, 0] + torch.einsum("bf,ft,bt->b", seen, critic.caption.weight, pooled)
    assert torch.allclose(critic(images, pooled), expected, atol=1e-6)


class Maps(torch.nn.Module):
    """Two maps of a picture, of 16 channels and of 8."""

    widths = (16, 8)

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(3, width, 4, stride=4) for width in self.widths)

    def forward(self, images):
        return [layer(images) for layer in self.layers]


def test_a_feature_discriminators_logit_is_the_mean_of_its_heads():
    torch.manual_seed(0)
    critic, images, pooled = FeatureDiscriminator(Maps(), 7), torch.rand(2, 3, 16, 16), torch.rand(2, 7)
    one, other = (head(layer(images), pooled) for head, layer in zip(critic.heads, critic.features.layers, strict=True))
    assert torch.allclose(critic(images, pooled), (one + other) / 2, atol=1e-6)
    assert [tuple(head.score.weight.shape) for head in critic.heads] == [(1, 64, 1, 1)] * 2
    assert not critic.train().features.training
    assert critic.heads.training
    assert all(weights.requires_grad for weights in critic.learned)
    assert not any(weights.requires_grad for weights in critic.requires_grad_(True).features.parameters())
    assert not any(weights.requires_grad for weights in critic.requires_grad_(False).parameters())


def test_a_head_looks_at_each_place_and_around_it():
    torch.manual_seed(0)
    head, features, pooled = Head(6, 7, 16), torch.rand(2, 6, 5, 4), torch.rand(2, 7)
    shapes = {name: tuple(weights.shape) for name, weights in head.named_parameters()}
    assert shapes == {
        "enter.0.weight": (6,),
        "enter.0.bias": (6,),
        "enter.1.weight": (16, 6, 1, 1),
        "enter.1.bias": (16,),
        "around.0.weight": (16, 16, 3, 3),
        "around.0.bias": (16,),
        "around.1.weight": (16,),
        "around.1.bias": (16,),
        "score.weight": (1, 16, 1, 1),
        "score.bias": (1,),
        "caption.weight": (16, 7),
    }
    assert (head.enter[0].num_groups, head.around[1].num_groups) == (1, 8)
    assert all(isinstance(part[-1], torch.nn.SiLU) for part in (head.enter, head.around))
    found = head.enter(features)
    found = found + head.around(found)
    match = torch.einsum("bwij,wt,bt->bij", found, head.caption.weight, pooled)
    expected = (head.score(found)[:, 0] + match).mean(dim=(1, 2))
    assert torch.allclose(head(features, pooled), expected, atol=1e-6)


@pytest.mark.parametrize("critic", [Discriminator(7, width=8, stages=2), FeatureDiscriminator(Maps(), 7)])
def test_a_discriminator_judges_in_float32_whatever_the_training_is_in(critic):
    images, pooled = torch.rand(2, 3, 16, 16), torch.rand(2, 7)
    plain = critic(images, pooled)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(critic(images, pooled), plain)


def test_pixel_losses_on_known_values():
    a, b = torch.full((2, 3, 4, 5), 1.0), torch.full((2, 3, 4, 5), 0.5)
    assert l1(a, b) == 0.5
    assert l2(a, b) == 0.25
    assert edges(a, b) == 0  # as bright everywhere
    rightwards, downwards = (torch.arange(size) % 2.0 for size in (5, 4))
    across, along = rightwards.expand(2, 3, 4, 5), downwards[:, None].expand(2, 3, 4, 5)
    assert edges(a, across) == edges(a, along) == 1
    assert edges(a, across + along) == 2
    assert edges(across, across) == 0


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("l2", {"l2": 1}),
        ("l2:0.3+lpips", {"l2": 0.3, "lpips": 1}),
        ("l2 + lpips + gan:0.1", {"l2": 1, "lpips": 1, "gan": 0.1}),
    ],
)
def test_loss_strings(text, weights):
    assert LossSpec.parse(text).weights == weights


@pytest.mark.parametrize("text", ["l2", "l2:0.3+lpips", "l1:2+gan:1e-05", "energy:0.1234567890123+energy-lpips"])
def test_a_loss_is_written_as_it_is_read(text):
    assert str(LossSpec.parse(text)) == text
    assert str(LossSpec.parse("l2:1.0 + lpips:2.0")) == "l2+lpips:2"


def test_terms_are_computed_in_the_tables_order_each_question_of_a_study_for_itself():
    loss = LossSpec.parse("gan+preference.b+lpips+preference.a+l2")
    assert list(loss.kinds) == ["l2", "lpips", "preference.b", "preference.a", "gan"]
    assert loss.on_pictures == ["lpips", "preference.b", "preference.a", "gan"]


def test_an_unknown_loss_lists_the_known_ones():
    with pytest.raises(UserError, match=r"Unknown loss 'ssim'.*l1, l2, energy, anchor, mmd, lpips"):
        LossSpec.parse("l2+ssim")


@pytest.mark.parametrize("text", ["", "l2+", "l2+l2", "l2:0", "l2:-1", "l2:nan", "l2:inf", "l2:much"])
def test_bad_loss_strings_are_refused(text):
    with pytest.raises(UserError):
        LossSpec.parse(text)


@pytest.mark.parametrize("net", ["alex", pytest.param("vgg", marks=pytest.mark.slow)])
def test_lpips_is_zero_on_equal_images_and_grows_with_blur(net, parquet):
    images = load_pictures(DataConfig(path=str(parquet), resolution=64)).tensor(torch.arange(4))
    distance = PerceptualLoss(net)
    assert torch.equal(distance(images, images), torch.zeros(4))
    distances = [distance(gaussian_blur(images, [15, 15], [sigma] * 2), images).mean() for sigma in (0.5, 1, 2, 4)]
    assert distances == sorted(distances)
    assert distances[0] > 0


def test_every_weight_of_lpips_has_one_name():
    state = PerceptualLoss().state_dict()
    assert len(state) == len({weights.data_ptr() for weights in state.values()}) == 2 * 5 + 5 + 2


def test_lpips_is_a_constant_but_passes_the_gradient():
    distance = PerceptualLoss().train()
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    distance(image, torch.zeros(1, 3, 32, 32)).sum().backward()
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in distance.parameters())
    assert not distance.training


def test_energy_score_of_two_samples_by_hand():
    samples = torch.tensor([[[0.0], [2.0]]])  # one caption, two samples of one number
    target = torch.tensor([[1.0]])
    # accuracy (1 + 1) / 2 = 1; spread (2 + 2) / (2 * 2 * 1) = 1
    assert energy_score(samples, target).item() == pytest.approx(0.0, abs=1e-3)


def test_energy_score_prefers_the_distribution_to_its_mean():
    generator = torch.Generator().manual_seed(0)
    coin = lambda *shape: torch.randint(0, 2, shape, generator=generator).float() * 2 - 1
    targets = coin(4000, 1)
    right = energy_score(coin(4000, 4, 1), targets)
    mean = energy_score(torch.zeros(4000, 4, 1), targets)
    assert right < mean - 0.2


@pytest.mark.parametrize(("repulsion", "best"), [(1.0, 1.0), (0.5, 0.38)])
def test_less_repulsion_wants_samples_nearer_together_than_the_targets(repulsion, best):
    """Targets with a standard deviation of 1 about the known mean, in many dimensions."""
    generator = torch.Generator().manual_seed(0)
    targets, noise = torch.randn(256, 256, generator=generator), torch.randn(256, 4, 256, generator=generator)
    spreads = torch.arange(0, 1.5, 0.02)
    scores = torch.stack([energy_score(spread * noise, targets, repulsion=repulsion) for spread in spreads])
    assert spreads[scores.argmin()].item() == pytest.approx(best, abs=0.05)


def test_less_repulsion_still_prefers_modes_to_their_middle():
    modes = 3 * torch.eye(6)[torch.randint(0, 6, (4000, 5), generator=torch.Generator().manual_seed(0))]
    samples, targets = modes[:, :4], modes[:, 4]
    middle = torch.full_like(samples, 0.5)
    assert energy_score(samples, targets, repulsion=0.5) < energy_score(middle, targets, repulsion=0.5)


def test_the_energy_score_of_pictures_is_its_definition():
    generator = torch.Generator().manual_seed(0)
    samples, target = torch.randn(2, 3, 4, 5, generator=generator), torch.randn(2, 4, 5, generator=generator)
    norm = lambda a, b: ((a - b).square().sum().sqrt() / 20**0.5) ** 0.5
    near = torch.stack([norm(samples[i, a], target[i]) for i in range(2) for a in range(3)]).mean()
    apart = torch.stack([norm(samples[i, a], samples[i, b]) for i in range(2) for a in range(3) for b in range(a)])
    expected = near - 0.25 * apart.mean() / 2
    assert energy_score(samples, target, beta=0.5, repulsion=0.25).item() == pytest.approx(expected.item(), rel=1e-4)
    assert energy_score(samples, target) == energy_score(samples, target, beta=1.0, repulsion=1.0)


def test_samples_that_are_all_alike_still_have_a_gradient():
    samples = torch.zeros(1, 2, 3, requires_grad=True)
    energy_score(samples, torch.zeros(1, 3)).backward()
    assert samples.grad.isfinite().all()


def test_energy_score_needs_two_samples():
    with pytest.raises(ValueError, match="at least 2"):
        energy_score(torch.zeros(1, 1, 3), torch.zeros(1, 3))


def test_the_energy_of_distances_is_that_of_their_samples():
    samples, target = torch.randn(5, 3, 7), torch.randn(5, 7)
    left, right = pairs(3)
    to_target = (samples - target[:, None]).norm(dim=-1) / 7**0.5
    between = (samples[:, left] - samples[:, right]).norm(dim=-1) / 7**0.5
    assert energy(to_target, between).item() == pytest.approx(energy_score(samples, target).item(), abs=1e-4)


def test_discriminator_learns_to_tell_noise_from_black():
    torch.manual_seed(0)
    discriminator = Discriminator(384, width=8, stages=2)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    real, pooled = torch.zeros(8, 3, 16, 16), torch.randn(8, 384)
    losses = []
    for _ in range(30):
        fake = torch.randn(8, 3, 16, 16, generator=generator)
        loss = discriminator_loss(discriminator, fake, real, pooled, generator, penalty=0.01)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert generator_loss(discriminator, fake, real, pooled) > 0
