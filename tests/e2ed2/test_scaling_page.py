"""docs/scaling.md names presets, options and benchmarks that exist; its rehearsal runs, its tables are counted."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.scaling import BACKBONES, DECODERS, decoder_of, network_of, trainings
from e2ed2.data.config import CacheOptions, DataConfig
from e2ed2.evaluation.protocols.config import BENCHMARKS, CLIP, INCEPTION, Protocol, SideBySide
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.training.config import TrainerConfig
from e2ed2.training.presets import PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")


def names(config: type, prefix: str = "") -> set[str]:
    return {prefix + one.name.replace("_", "-") for one in fields(config)}


def test_every_option_on_the_page_exists():
    known = names(BackboneEndToEndConfig) | names(DataConfig, "data.") | names(TrainerConfig, "trainer.")
    known |= names(CacheOptions) | names(DataConfig)  # of `data cache`
    known |= names(Protocol) | names(SideBySide) | {"track", "dry-run", "out", "prompt", "model", "steps"}
    known |= {"multi-gpu", "num-processes", "nproc-per-node"}  # of launchers
    used = {word.replace("_", "-") for word in re.findall(r"--([a-z][\w.-]*\w)", PAGE)}
    assert len(used) > 20
    assert used <= known


def test_every_preset_and_benchmark_on_the_page_exists():
    named = set(re.findall(r"(?:e2ed2 train |`)((?:sd15|sana|pixart)-[\w-]+)", PAGE))
    backbones = {name for name, preset in PRESETS.items() if hasattr(preset.objective, "backbone")}
    assert named == backbones
    assert set(re.findall(r"--benchmark (\w+)", PAGE)) == set(BENCHMARKS)
    assert INCEPTION in PAGE
    assert CLIP in PAGE


def test_no_row_of_a_table_stands_alone():
    """A blank line ends a table, and what follows is shown as raw text."""
    rows = [line.startswith("|") for line in PAGE.splitlines()]
    starts = [i for i, row in enumerate(rows) if row and not rows[i - 1]]
    assert all(PAGE.splitlines()[i + 1].startswith("|---") for i in starts)


def test_the_arms_on_the_page_can_be_meant(tmp_path):
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.S)
    (tmp_path / "arms.json").write_text(text)
    parsed = SideBySide(arms=(str(tmp_path / "arms.json"),)).parsed
    assert [arm.name for arm in parsed] == [entry["label"] for entry in json.loads(text)]


@pytest.fixture
def images(tmp_path):
    """A folder of pictures as most on the hub are."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(8):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    lines = [f"{seed}.png,a picture of {seed}" for seed in range(8)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,text", *lines]))
    return folder


@pytest.mark.slow
def test_the_rehearsal_on_the_page_runs(images, tmp_path, called, monkeypatch):
    monkeypatch.setenv("E2ED2_RUNS", str(tmp_path / "runs"))
    section = PAGE.partition("## A rehearsal")[2].partition("\n## ")[0]
    commands = re.findall(r"^    python -m e2ed2 (.*)$", section, re.M)
    assert len(commands) == 8
    for command in commands:
        called(*shlex.split(command.replace("/tmp/", f"{tmp_path}/").replace("my/images", str(images))))
    assert json.loads((tmp_path / "found.json").read_text())["distance"]
    assert (tmp_path / "side-by-side" / "grid.jpg").is_file()
    assert (tmp_path / "uncached" / "model").is_dir()
    assert len(list((tmp_path / "apples").glob("*.png"))) == 2


@pytest.mark.slow
def test_what_a_training_costs_is_what_is_counted():
    table = trainings(
        {name: network_of(*given) for name, given in BACKBONES.items()},
        {name: decoder_of(*given) for name, given in DECODERS.items()},
    )
    counted = list(zip(*(column.cells for column in table.columns), strict=True))
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    for name, _, *cells in counted:
        (network, _, *how) = name.split(", ")
        told = " | ".join(cells) + " |"
        assert any(row.startswith(f"| {network}, {how[0]}") and row.endswith(told) for row in rows), (name, told)
