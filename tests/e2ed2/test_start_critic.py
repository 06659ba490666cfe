"""A discriminator of noised latents, through the frozen blocks of the backbone that a training starts from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.adversarial import HINGE
from e2ed2.losses.discriminators import LatentDiscriminator
from e2ed2.losses.spec import LossSpec
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.features import BlockFeatures
from e2ed2.models.backbones.text import PipelineText
from e2ed2.models.backbones.tiny import tiny_pipeline
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.adversary import judge, learning
from e2ed2.training.config import RunConfig, TrainerConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import train
from e2ed2.types import CaptionedBatch, TextEmbedding

from .test_processes import assert_equal, in_two, words
from .test_training import whole_and_resumed

PROMPTS = ["red apple", "a blue dog"]
SEEDS = UpdateSeeds(0, 0)


def config(loss="gan", family="sd3", **options) -> BackboneEndToEndConfig:
    given = {"sampling_steps": (2,), "decode": "latent", "critic": "start"}
    return BackboneEndToEndConfig(backbone=f"tiny:{family}", loss=LossSpec.parse(loss), **given | options)


def objective(*given, **options) -> BackboneEndToEnd:
    torch.manual_seed(3)
    return BackboneEndToEnd.of(config(*given, **options), 32)


def batch_for(made) -> CaptionedBatch:
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return CaptionedBatch(torch.empty(0, 3, 32, 32), latents, made.encoder("cpu")(PROMPTS), torch.zeros(2).bool())


@pytest.mark.parametrize(
    ("family", "shapes"),
    [
        ("sd", [(4, 8, 8), (8, 8, 8), (4, 16, 16), (8, 8, 8)]),  # two stages down, the last one up, and the middle
        ("pixart", [(24, 8, 8)] * 2),
        ("sana", [(8, 16, 16)] * 2),
        ("sd3", [(16, 8, 8)] * 2),
    ],
)
def test_features_are_maps_of_what_blocks_return_in_every_family(family, shapes):
    pipeline = tiny_pipeline(family)
    features = BlockFeatures(Backbone.of(pipeline))
    text, x = PipelineText(pipeline)(PROMPTS), torch.randn(2, 4, 16, 16, requires_grad=True)
    maps = features(x, torch.tensor([0.5, 1.0]), text)
    assert [tuple(one.shape[1:]) for one in maps] == shapes
    assert features.widths == [shape[0] for shape in shapes]
    (one,) = torch.autograd.grad(maps[-1][0].square().sum(), x)
    assert one[0].abs().sum() > 0
    assert one[1].abs().sum() == 0
    assert not any(block._forward_hooks for block in features.backbone.blocks)


def test_a_token_is_in_the_map_where_its_patch_is_in_the_latents():
    pipeline = tiny_pipeline("sd3")
    backbone = Backbone.of(pipeline, 16)
    tokens = torch.arange(4.0 * 8).view(1, 32, 1)
    found = backbone.hidden_map((None, tokens), torch.empty(1, 4, 8, 16))
    assert torch.equal(found[0, 0], torch.arange(32.0).view(4, 8))


def test_blocks_are_spread_over_a_deep_network():
    deep = Backbone.of(tiny_pipeline("sana"))
    deep.network.transformer_blocks.extend([deep.network.transformer_blocks[0]] * 26)
    assert BlockFeatures(deep).chosen == [3, 10, 17, 24]


class Seen(torch.nn.Module):
    """Features that are what the network is shown."""

    widths = (4,)

    def __init__(self, path):
        super().__init__()
        self.path, self.calls = path, []

    def forward(self, x, t, text):
        self.calls.append((x, t, text))
        return [x]


def test_both_are_shown_under_the_same_noise_of_a_level_for_each_pair():
    path = Backbone.of(tiny_pipeline("sd")).path
    critic = LatentDiscriminator(Seen(path), text_width=8).requires_grad_(False)
    fake, real, pooled = torch.randn(400, 4, 2, 2, requires_grad=True), torch.randn(400, 4, 2, 2), torch.randn(400, 8)
    text = TextEmbedding(pooled[:, None], torch.ones(400, 1).bool(), pooled)
    judged = critic.shown(fake, real, text, SEEDS.stream("judged noise"))
    (made, t, words), (wanted, same, _) = critic.features.calls
    alpha, sigma = (value.view(-1, 1, 1, 1) for value in path.coefficients(t))
    assert torch.equal(t, same)
    assert words is text
    assert torch.allclose((made - wanted).detach(), (alpha * (fake - real)).detach(), atol=1e-5)
    noise = (made - alpha * fake) / sigma
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    assert 0 < t.min() < 0.02
    assert 0.98 < t.max() <= 1
    assert t.mean().item() == pytest.approx(0.5, abs=0.05)
    assert judged.fake[0].requires_grad
    assert not judged.real[0].requires_grad
    assert not judged.detached().fake[0].requires_grad
    again = critic.shown(fake, real, text, UpdateSeeds(0, 1).stream("judged noise"))
    assert not torch.equal(again.real[0], judged.real[0])


def test_the_hinge_asks_for_logits_of_one_and_minus_one():
    logits = lambda seen, pooled: seen * pooled
    fake, real, pooled = torch.tensor([-2.0, 0.5]), torch.tensor([3.0, 0.25]), torch.ones(2)
    lost = HINGE.discriminator(logits, fake, real, pooled, None)
    assert lost.item() == pytest.approx((0 + 0.75) / 2 + (0 + 1.5) / 2)
    assert HINGE.generator(logits, fake, real, pooled).item() == pytest.approx(0.75)


@pytest.mark.parametrize("family", ["sd3", *(pytest.param(one, marks=pytest.mark.slow) for one in ("sd", "sana"))])
def test_a_gradient_reaches_the_chain_and_none_the_frozen_network(family):
    made = objective(family=family)
    for name, weights in made.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.3)
    assert not made.sees_images
    outcome = made(batch_for(made), SEEDS)
    outcome.total().backward()
    assert set(outcome.terms) == {"gan"}
    assert all(weights.grad.abs().sum() > 0 for weights in trained(made.model))
    assert all(weights.grad is None for weights in made.adversary.parameters())
    with learning(made.adversary):
        judge(made.adversary, outcome.judged, SEEDS).backward()
    assert all(weights.grad is not None for weights in made.adversary.learned)
    assert all(weights.grad is None for weights in made.adversary.features.parameters())
    assert not {id(one) for one in made.adversary.parameters()} & {id(one) for one in made.model.parameters()}


def gradient(**options) -> torch.Tensor:
    made = objective("l2+gan", **options)
    made(batch_for(made), SEEDS).total().backward()
    return torch.cat([weights.grad.flatten() for weights in trained(made.model)])


def test_recomputing_steps_or_blocks_changes_no_gradient():
    plain = gradient()
    for more in ({"checkpointed": True}, {"block_checkpointing": True}):
        assert torch.allclose(gradient(**more), plain, rtol=1e-4, atol=1e-6 * plain.abs().max())


def test_blocks_of_the_frozen_network_are_recomputed_where_those_of_the_other_are():
    assert objective(block_checkpointing=True).adversary.features.backbone.network.is_gradient_checkpointing
    assert not objective().adversary.features.backbone.network.is_gradient_checkpointing


def test_a_teacher_and_a_critic_share_one_copy_of_the_start():
    made = objective(guidance=3.0, teacher_steps=2)
    assert made.teacher.backbone is made.adversary.features.backbone
    assert made.config.keeps_start()
    assert not config("l2", critic="").keeps_start()


def test_the_heads_learn_to_tell_and_the_model_to_deceive_them():
    """The real are brighter in every channel; then the model's side moves the fakes to the real."""
    made = objective()
    real = torch.randn(16, 4, 16, 16, generator=torch.Generator().manual_seed(0)) + 2
    fake = torch.nn.Parameter(torch.randn(16, 4, 16, 16, generator=torch.Generator().manual_seed(1)))
    words, critic = made.encoder("cpu")(["an apple"]), made.adversary
    text = TextEmbedding(words.tokens[:, :4], words.mask[:, :4], words.pooled).repeat(16)

    def shown(update):
        return critic.shown(fake, real, text, UpdateSeeds(0, update).stream("judged noise"))

    def accuracy() -> float:
        with torch.no_grad():
            judged = shown(1000)
            sides = critic(judged.real, judged.pooled) > 0, critic(judged.fake, judged.pooled) < 0
        return torch.cat(sides).float().mean().item()

    heads = torch.optim.Adam(critic.learned, lr=3e-3)
    untaught = accuracy()
    for update in range(25):
        with learning(critic):
            heads.zero_grad()
            judge(critic, shown(update).detached(), UpdateSeeds(0, update)).backward()
            heads.step()
    taught = accuracy()
    model = torch.optim.Adam([fake], lr=0.1)
    for update in range(25):
        model.zero_grad()
        judged = shown(update)
        HINGE.generator(critic, *judged).backward()
        model.step()
    assert untaught < 0.6
    assert taught > 0.8
    assert accuracy() < taught - 0.15
    assert fake.mean() > 0.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"loss": LossSpec.parse("l2")}, "A critic is the discriminator of gan"),
        ({"gradient_cache": True}, "leave --gradient-cache out"),
        ({"critic": ""}, "gan looks at pictures: choose --decode full, crop or tiny, or --critic start"),
        ({"loss": LossSpec.parse("lpips+gan")}, "lpips looks at pictures: .* or another loss"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, told):
    with pytest.raises(UserError, match=told):
        replace(config(), **options)


def test_a_model_of_the_project_has_no_such_blocks():
    with pytest.raises(UserError, match="looks through a backbone's blocks: for this project's own models, choose"):
        EndToEndConfig(init="x", loss=LossSpec.parse("gan"), critic="start")


def run(few, **options) -> RunConfig:
    trainer = {"updates": 3, "batch_size": 2, "warmup": 1, "ema_decay": 0.5, "log_every": 1, "preview_every": 100}
    return RunConfig(config("l2+gan", **options), DataConfig(path=str(few), resolution=32), TrainerConfig(**trainer))


def state(folder) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").glob("*")) / "model.safetensors")


def test_a_stopped_training_goes_on_bit_for_bit_and_saves_the_heads_alone(few, tmp_path, monkeypatch):
    given = run(few)
    whole, parts = map(state, whole_and_resumed(given, tmp_path, monkeypatch, 2))
    assert {name.split(".")[1] for name in whole if name.startswith("adversary.")} == {"heads"}
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert "discriminator" in read_metrics(tmp_path / "whole")[-1].numbers


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--trainer.shard",)], ids=["whole", "sharded"])
def test_two_processes_and_their_heads_learn_what_one_does(few, tmp_path, more):
    """Processes of their own, each of which imports torch."""
    given = run(few)
    given = replace(given, trainer=replace(given.trainer, mixed_precision="no", preview_every=1000))
    own = ("--backbone", "tiny:sd3", "--critic", "start", "--decode", "latent", "--no-checkpointed")
    in_two("sd15-l2-lpips", *own, *words(given, tmp_path / "two"), *more)
    assert train(replace(given, trainer=replace(given.trainer, accumulate=2)), tmp_path / "one")
    assert_equal(state(tmp_path / "two"), state(tmp_path / "one"))
