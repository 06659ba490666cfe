"""The trainings that have names: each starts in a fresh clone."""

from dataclasses import replace

import pytest

from e2ed2.data import captions, pictures
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models import references
from e2ed2.objectives.backbone_config import BackboneConfig, BackboneEndToEndConfig
from e2ed2.objectives.config import PreferenceConfig
from e2ed2.training import describe
from e2ed2.training.presets import PRESETS, check_start

from .voted import write_votes


@pytest.fixture(autouse=True)
def no_trainings(tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("E2ED2_RUNS", raising=False)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_starts_from_what_is_bundled(name, tmp_path):
    config = PRESETS[name]
    if isinstance(config.objective, BackboneConfig):  # from a hub; here, from a tiny one of its family
        family = name.partition("-")[0].removesuffix("15")
        converted = isinstance(config.objective, BackboneEndToEndConfig) and family == "pixart"
        objective = replace(config.objective, backbone="tiny:sd" if converted else f"tiny:{family}")
        config = replace(config, objective=objective, data=replace(config.data, resolution=32))
    if isinstance(config.objective, PreferenceConfig):  # from a study
        config = replace(config, objective=replace(config.objective, votes=str(write_votes(tmp_path / "export"))))
    check_start(config.objective)
    assert config.objective.build(config.data.resolution).config is config.objective


@pytest.mark.parametrize("name", [name for name, config in PRESETS.items() if config.objective.models()])
def test_a_preset_without_its_start_names_the_command_that_makes_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(references, "CHECKPOINTS", tmp_path)
    with pytest.raises(UserError, match="python -m e2ed2 train ") as refused:
        check_start(PRESETS[name].objective)
    command = str(refused.value).rpartition("python -m e2ed2 train ")[2].split("`")[0]
    assert command in PRESETS
    assert command != name


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"loss": LossSpec.parse("gan"), "critic": "no/critic"}, "vision transformer 'no/critic'"),
        ({"decode": "tiny", "tiny_codec": "no/codec"}, "AutoencoderTiny 'no/codec'"),
    ],
)
def test_a_network_that_is_nowhere_is_told_before_the_backbone_is_opened(options, what, unreached):
    with pytest.raises(UserError, match=f"There is no {what} .the hub cannot be reached from here"):
        check_start(BackboneEndToEndConfig(backbone="tiny:sd", **options))
    assert unreached == ["model"]


def test_a_bundled_curve_is_no_model_to_start_from():
    assert {"l2", "codec", "coarse"} <= set(references.bundled_names())
    assert not {"shared-twin", "single-step-long", "reader", "retrieval"} & set(references.bundled_names())


def test_a_dry_run_turns_no_drawings_and_embeds_few_captions(called, monkeypatch):
    """It would be minutes before it says how many minutes the run takes."""
    embedded = []
    monkeypatch.setattr(describe, "FEW", 8)
    monkeypatch.setattr(pictures, "turned_drawings", lambda *given: pytest.fail("drawings are turned"))
    monkeypatch.setattr(
        captions, "embed", lambda texts, encoder, do=captions.embed: embedded.extend(texts) or do(texts, encoder)
    )
    said = called("train", "coarse", "--dry-run", "--trainer.batch-size", "16").out
    assert 0 < len(embedded) < 500
    assert "emoji-colours" in said
