"""Tiny real parts: a codec of a few thousand weights, a denoiser to match, the bundled pictures at 32x32."""

import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache, partial
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState
from huggingface_hub.errors import OfflineModeIsEnabled

from e2ed2.assets import EMOJI
from e2ed2.cli import main
from e2ed2.data.config import DataConfig
from e2ed2.losses.spec import LossSpec
from e2ed2.models import bert, minilm
from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.codec import build_codec
from e2ed2.models.config import CodecConfig, DenoiserConfig
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import save_model
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.training.config import KINDS, RunConfig
from e2ed2.training.flops import update_flops
from e2ed2.training.trainer import TrainerConfig
from e2ed2.types import CaptionedBatch, TextEmbedding

TINY_CODEC = CodecConfig(latent_channels=4, widths=(8,), encoder_layers=(1,), decoder_layers=(1,))
TINY_DENOISER = DenoiserConfig(channels=4, grid=8, width=16, depth=1, heads=2, coarse_width=32, choices=4)


@pytest.fixture(autouse=True, scope="session")
def text_encoder_read_once() -> Iterator[None]:
    """Every model reads captions with the same frozen weights and the same tokenizer; hundreds are loaded here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "load_file", cache(bert.load_file))
        patch.setattr(minilm, "Tokenizer", SimpleNamespace(from_file=cache(minilm.Tokenizer.from_file)))
        yield


@pytest.fixture(autouse=True)
def precision_of_its_own() -> None:
    """accelerate keeps that of a process's first training: where `auto` is bf16, none in float32 could follow."""
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


@pytest.fixture(scope="session")
def parquet(tmp_path_factory):
    """Forty pictures of the bundled set, so that loading them takes no time."""
    file = tmp_path_factory.mktemp("data") / "few.parquet"
    table = pq.read_table(EMOJI).slice(0, 48)
    pq.write_table(table, file)
    return file


@pytest.fixture(scope="session")
def few(parquet, tmp_path_factory):
    """Eight of them."""
    file = tmp_path_factory.mktemp("few") / "few.parquet"
    pq.write_table(pq.read_table(parquet).slice(0, 8), file)
    return file


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """An untrained model's folder whose layout is that of a finished one."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    save_model(build_codec(TINY_CODEC), folder / "codec")
    save_model(build_denoiser(TINY_DENOISER), folder / "denoiser")
    return folder


def options(config: RunConfig, **given) -> RunConfig:
    """The same run with other options of its objective."""
    if "loss" in given:
        given["loss"] = LossSpec.parse(given["loss"])
    return replace(config, objective=replace(config.objective, **given))


def of_kind(config: RunConfig, kind: str, **given) -> RunConfig:
    """The same run of another kind; options that both have are as they were."""
    names = {one.name for one in fields(KINDS[kind])} & {one.name for one in fields(config.objective)}
    shared = {name: getattr(config.objective, name) for name in names}
    return replace(config, objective=KINDS[kind](**shared | given))


@pytest.fixture
def run_config(parquet, tiny_model):
    return RunConfig(
        EndToEndConfig(init=str(tiny_model), loss=LossSpec.parse("l2"), sampling_steps=(1, 2)),
        data=DataConfig(path=str(parquet), resolution=32),
        trainer=TrainerConfig(
            updates=4, batch_size=4, lr=1e-3, warmup=1, ema_decay=0.5, log_every=1, preview_every=4, save_every=100
        ),
    )


@pytest.fixture(autouse=True)
def uncounted(monkeypatch):
    """The FLOPs on a card are made up: counting takes longer than a tiny training."""
    monkeypatch.setattr("e2ed2.training.run.update_flops", lambda *given: 1e9)


@pytest.fixture
def unreached(monkeypatch):
    """No hub answers. A list of the kinds of repositories that it was asked for: once each, where libraries ask on."""
    asked = []

    def ask(api, name, *, repo_type, timeout):
        asked.append(repo_type)
        raise OfflineModeIsEnabled("as where there is no network")

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", ask)
    return asked


@pytest.fixture
def counted(uncounted, monkeypatch):
    """They are those of one update, not the mean of eight."""
    monkeypatch.setattr("e2ed2.training.run.update_flops", partial(update_flops, updates=1))


@pytest.fixture
def text():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(3, 5, MiniLM.width, generator=generator)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 2 + [False] * 3])
    pooled = torch.nn.functional.normalize(torch.randn(3, MiniLM.width, generator=generator), dim=-1)
    return TextEmbedding(tokens * mask[..., None], mask, pooled)


@pytest.fixture
def called(monkeypatch, capsys):
    """`python -m e2ed2 ...` within this process: a function of the arguments that gives what was printed."""

    def call(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["e2ed2", *map(str, arguments)])
        try:
            main()
            left = 0
        except SystemExit as stopped:
            left = stopped.code
        printed = capsys.readouterr()
        assert left == code, printed.err
        return printed

    return call


def two_pictures(made, prompts) -> CaptionedBatch:
    """Random pictures of 32 by 32 pixels for two prompts, coded as the backbone's objective reads them."""
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        text, latents = made.encoder("cpu")(prompts), made.codec.encode(images)
    return CaptionedBatch(images, latents, text, torch.zeros(2, dtype=torch.bool))
