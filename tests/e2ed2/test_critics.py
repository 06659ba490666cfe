"""Discriminators that look through a frozen network, given by name."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import load_file

from e2ed2.errors import UserError
from e2ed2.losses.adversarial import discriminator_loss, generator_loss
from e2ed2.losses.discriminators import FeatureDiscriminator
from e2ed2.losses.feature_network import TransformerFeatures, feature_network
from e2ed2.losses.spec import LossSpec
from e2ed2.models import hub
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.training.adversary import learning
from e2ed2.training.run import build
from e2ed2.training.trainer import Trainer

from .conftest import options

SIZES = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 32}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Random weights of the right classes, in folders as a hub has them."""
    folder = tmp_path_factory.mktemp("networks")
    seeing = {**SIZES, "patch_size": 8}
    clip = transformers.CLIPConfig(
        vision_config=seeing,
        text_config={"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8},
        projection_dim=8,
    )
    torch.manual_seed(0)
    transformers.CLIPModel(clip).save_pretrained(folder / "clip")
    transformers.CLIPImageProcessor(image_mean=[0.4, 0.5, 0.6]).save_pretrained(folder / "clip")
    dino = transformers.Dinov2Config(**{**SIZES, "patch_size": 14, "image_size": 42, "mlp_ratio": 1})
    transformers.Dinov2Model(dino).save_pretrained(folder / "dino")
    return folder


@pytest.mark.parametrize(
    "name", ["dino", *(pytest.param(name, marks=pytest.mark.slow) for name in ("alexnet", "clip"))]
)
def test_heads_learn_and_the_network_stays(networks, name):
    network = feature_network(name if name == "alexnet" else str(networks / name))
    torch.manual_seed(0)
    critic = FeatureDiscriminator(network, text_width=8).requires_grad_(False)
    frozen = [weights.clone() for weights in network.parameters()]
    real, fake = torch.rand(6, 3, 40, 40) * 2 - 1, torch.zeros(6, 3, 40, 40)
    pooled = torch.randn(6, 8)
    optimizer, losses = torch.optim.Adam(critic.learned, lr=1e-2), []
    for step in range(12):
        with learning(critic):
            loss = discriminator_loss(critic, fake, real, pooled, torch.Generator().manual_seed(step), penalty=0.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert not any(weights.requires_grad for weights in critic.parameters())
    assert all(torch.equal(old, new) for old, new in zip(frozen, network.parameters(), strict=True))
    wanted = fake.clone().requires_grad_()
    generator_loss(critic, wanted, real, pooled).backward()
    assert wanted.grad.abs().sum() > 0  # passes through the network to the picture


def test_pixels_are_normalised_as_the_network_was_trained(networks):
    network = feature_network(str(networks / "clip"))
    assert network.mean.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    seen = []
    network.network.embeddings.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network(torch.full((1, 3, 64, 64), 1.0))
    assert seen[0].shape == (1, 3, 32, 32)
    assert torch.allclose(seen[0][0, :, 0, 0], (1 - network.mean.flatten()) / network.std.flatten(), atol=1e-5)
    assert [tuple(one.shape) for one in network(torch.zeros(2, 3, 64, 64))] == [(2, 16, 4, 4)] * 4


class Reader(torch.nn.Module):
    """A vision transformer whose hidden states say which layer and which token they are of."""

    def __init__(self, **config):
        super().__init__()
        self.config = SimpleNamespace(**{"hidden_size": 2, "num_hidden_layers": 12} | config)
        self.read = []

    def forward(self, pixels, **options):
        self.read.append((pixels, options))
        tokens = 1 + (pixels.shape[-1] // self.config.patch_size) ** 2  # the first is of the class
        states = [torch.stack([torch.full((tokens,), float(n)), torch.arange(-1.0, tokens - 1)], -1) for n in range(13)]
        return SimpleNamespace(hidden_states=[one.expand(len(pixels), -1, -1) for one in states])


def test_maps_are_four_evenly_spaced_layers_with_their_patches_in_place():
    features = TransformerFeatures(Reader(image_size=42, patch_size=14))
    assert (features.layers, features.widths, features.grid, features.side) == ([3, 6, 9, 12], [2] * 4, 3, 42)
    maps = features(torch.zeros(2, 3, 50, 60))
    assert [tuple(one.shape) for one in maps] == [(2, 2, 3, 3)] * 4
    assert [one[0, 0, 0, 0].item() for one in maps] == [3, 6, 9, 12]
    assert torch.equal(maps[0][1, 1], torch.arange(9.0).view(3, 3))
    assert "mean" not in features.state_dict()
    assert "std" not in features.state_dict()


@pytest.mark.parametrize(("size", "side", "options"), [(42, 42, {}), (518, 224, {"interpolate_pos_encoding": True})])
def test_a_network_reads_pictures_at_its_own_size_up_to_a_limit(size, side, options):
    reader = Reader(image_size=size, patch_size=14)
    TransformerFeatures(reader)(torch.full((1, 3, 64, 64), -1.0))
    pixels, given = reader.read[0]
    assert pixels.shape == (1, 3, side, side)
    assert given == {"output_hidden_states": True} | options
    black = [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]  # as ImageNet has it
    assert pixels[0, :, 5, 7].tolist() == pytest.approx(black)


def test_pictures_are_made_small_without_aliases():
    reader = Reader(image_size=28, patch_size=14)
    stripes = (torch.arange(112) % 2 * 2.0 - 1).expand(1, 3, 112, 112)
    TransformerFeatures(reader, (0.5,) * 3, (0.5,) * 3)(stripes)
    assert reader.read[0][0][..., 2:-2].abs().max() < 0.1


def test_alexnet_gives_the_layers_that_lpips_compares():
    network = feature_network("alexnet")
    maps = network(torch.rand(1, 3, 64, 64))
    assert network.widths == [one.shape[1] for one in maps] == [64, 192, 384, 256, 256]
    assert all(torch.allclose(one.norm(dim=1), torch.ones(()), atol=1e-3) for one in maps)
    assert not any(weights.requires_grad for weights in network.parameters())


def test_a_hub_that_cannot_be_reached_is_asked_once(unreached):
    with pytest.raises(UserError, match=r"no vision transformer 'no/critic' \(the hub cannot be reached from here\)"):
        feature_network("no/critic")
    assert unreached == ["model"]


def test_a_critic_that_is_kept_is_opened_where_no_hub_can_be_reached(networks, monkeypatch, unreached):
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda name, file: str(networks / "dino" / file))
    assert feature_network("some/dino").widths == [SIZES["hidden_size"]] * 4
    assert unreached == ["model"]


def test_what_is_no_network_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"There is no vision transformer .*: give its folder"):
        feature_network(str(tmp_path / "none"))
    with pytest.raises(UserError, match="A critic is the discriminator of gan"):
        EndToEndConfig(init="x", loss=LossSpec.parse("l2"), critic="alexnet")


def test_a_training_saves_the_heads_alone_and_goes_on(run_config, tmp_path):
    config = options(run_config, loss="l2+gan", critic="alexnet", precompute=False)
    trainer = Trainer(config.trainer, *build(config), tmp_path)
    heads = [weights.clone() for weights in trainer.bare.adversary.learned]
    trainer.train_step()
    assert any(not torch.equal(old, new) for old, new in zip(heads, trainer.bare.adversary.learned, strict=True))
    trainer.save()
    saved = load_file(tmp_path / "checkpoints" / "000001" / "model.safetensors")
    assert {name.split(".")[1] for name in saved if name.startswith("adversary.")} == {"heads"}
    again = Trainer(config.trainer, *build(config), tmp_path)
    pairs = zip(trainer.bare.adversary.learned, again.bare.adversary.learned, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
