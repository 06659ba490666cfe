"""How much memory an update takes is foretold; where there is too little, that is a sentence."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from e2ed2 import E2ED2Pipeline
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.backbones.families import FAMILIES
from e2ed2.models.backbones.lora import add_lora
from e2ed2.models.backbones.tiny import tiny_pipeline
from e2ed2.objectives import end_to_end
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.alive import bytes_of, kept_bytes, most_alive
from e2ed2.training.flops import differentiate, with_config
from e2ed2.training.memory import first_of, update_memory
from e2ed2.types import CaptionedBatch, TextEmbedding

FLOAT = 4  # bytes


def test_the_most_at_a_time_is_counted_and_not_what_is_freed_or_was_there():
    given = torch.zeros(10)

    def call():
        first = given * 2
        second = first.view(2, 5) + 1  # a view is no memory
        del first
        third = second * 2
        return third.add_(given[0])

    assert most_alive(call) == 2 * 10 * FLOAT
    assert bytes_of([given, given[:3], torch.zeros(3)]) == 13 * FLOAT


def test_what_a_layer_keeps_for_its_gradient_is_its_input_and_no_weight():
    layers = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 2))
    x = torch.zeros(3, 6, requires_grad=True)
    assert kept_bytes(lambda: layers(x), layers) == 3 * (6 + 8 + 8) * FLOAT


@pytest.mark.parametrize("lora", [False, True])
def test_what_is_kept_is_foretold_without_computing_anything(lora):
    """On meta tensors, as the table of the real networks is made."""
    network = tiny_pipeline("sd").unet.train()
    if lora:
        add_lora(network, 4, ("to_q", "to_v"))
    found = []
    for device in ("cpu", "meta"):
        x, tokens = torch.zeros(2, 4, 16, 16, requires_grad=True, device=device), torch.zeros(2, 7, 32, device=device)
        text = TextEmbedding(tokens, torch.ones(2, 7, dtype=torch.bool, device=device), tokens[:, 0])
        network, times = network.to(device), torch.ones(2, device=device)
        predict = FAMILIES["UNet2DConditionModel"].predict
        found.append(kept_bytes(lambda: predict(network, x, times, text), network))  # noqa: B023
    assert found[0] == found[1] > 0


def objective(**options) -> BackboneEndToEnd:
    torch.manual_seed(3)
    given = {"backbone": "tiny:sd", "loss": LossSpec.parse("l2"), "sampling_steps": (1, 2)}
    return BackboneEndToEnd.of(BackboneEndToEndConfig(**given | options), 32)


@pytest.fixture(scope="module")
def batch() -> CaptionedBatch:
    generator = torch.Generator().manual_seed(0)
    images, latents = torch.rand(8, 3, 32, 32, generator=generator), torch.randn(8, 4, 16, 16, generator=generator)
    text = objective().encoder("cpu")(["red apple"] * 8)
    return CaptionedBatch(images, latents, text, torch.zeros(8, dtype=torch.bool))


RECOMPUTED = {"loss": LossSpec.parse("l2+lpips"), "checkpointed": True}
JUDGED = {"loss": LossSpec.parse("l2+gan"), "critic": "start", "decode": "latent"}


@pytest.mark.parametrize(
    "options",
    [{}, *(pytest.param(one, marks=pytest.mark.slow) for one in (RECOMPUTED, JUDGED))],
    ids=["plain", "recomputed", "judged"],
)
def test_an_update_is_foretold_from_a_few_of_its_pictures(batch, options):
    made = objective(decode_batch=2, **options)
    memory = update_memory(made, lambda *_: batch, 8, nullcontext)
    with with_config(made, made.config.longest()):
        differentiate(made, first_of(batch, 2), UpdateSeeds(0, 0))
        measured = most_alive(lambda: differentiate(made, batch, UpdateSeeds(0, 0)))
    assert memory.activations == pytest.approx(measured, rel=0.05)
    learned = bytes_of(trained(made.model))
    heads = bytes_of(made.adversary.learned) if made.adversary else 0
    assert (memory.gradients, memory.optimizer, memory.average) == (learned + heads, 2 * (learned + heads), learned)
    networks = (made.model, made.codec, made.pipeline.text_encoder)
    assert memory.weights >= sum(bytes_of(network.parameters()) for network in networks)
    assert "GB of memory at the most of an update: weights" in str(memory)


def test_at_its_most_an_update_has_what_autograd_keeps_or_less_where_steps_are_recomputed(batch):
    few = first_of(batch, 2)
    plain, recomputed = (
        update_memory(objective(checkpointed=checkpointed), lambda *_: few, 2, nullcontext).activations
        for checkpointed in (False, True)
    )
    made = objective()
    with with_config(made, made.config.longest()):
        kept = kept_bytes(lambda: made(few, UpdateSeeds(0, 0)).total(), made)
    assert plain == pytest.approx(kept, rel=0.05)
    assert recomputed < 0.7 * plain


def full(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_a_training_that_does_not_fit_says_what_to_lower_and_goes_on_with_that(
    called, run_config, tmp_path, monkeypatch
):
    given = ("--data.path", run_config.data.path, "--data.resolution", 32, "--init", run_config.objective.init)
    small = ("--trainer.updates", 3, "--trainer.batch-size", 2, "--sampling-steps", 1, "--trainer.save-every", 1)
    command = ("train", "l2", "--out", tmp_path, "--no-precompute", *given, *small)
    sample, calls = end_to_end.sample, []

    def fits_twice(*arguments, **options):
        calls.append(1)
        return full() if len(calls) > 2 else sample(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(end_to_end, "sample", fits_twice)
        said = called(*command, code=2).err.splitlines()[-1]
    assert "not enough memory: add --checkpointed, with which the same command goes on from what was saved" in said
    assert "lower --trainer.batch-size (2) and raise --trainer.accumulate (1)" in said
    assert (tmp_path / "checkpoints" / "000002").is_dir()
    assert "Finished" in called(*command, "--checkpointed").out


def test_a_dry_run_that_does_not_fit_is_a_sentence(called, monkeypatch):
    monkeypatch.setattr("e2ed2.training.describe.build", full)
    said = called("train", "sd15-l2-lpips", "--dry-run", code=2).err
    assert "add --block-checkpointing, lower --decode-batch (4)" in said
    assert len(said.strip().splitlines()) == 1


def test_sampling_that_does_not_fit_is_a_sentence(called, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("e2ed2.inference.model.sample", full)
    command = ("sample", "--model", tiny_model, "--prompt", "cat", "--exactly", "--out", tmp_path)
    assert called(*command, code=2).err == (
        "There is not enough memory: sample on the CPU with --device cpu, or with a smaller model.\n"
    )
    with pytest.raises(UserError, match="not enough memory: lower batch_size"):
        E2ED2Pipeline.from_pretrained(tiny_model)("cat")


def test_another_error_of_torch_is_no_want_of_memory(tiny_model, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("e2ed2.inference.model.sample", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        E2ED2Pipeline.from_pretrained(tiny_model)("cat")
