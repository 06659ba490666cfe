"""docs/scaling.md names presets, options and benchmarks that exist."""

import re
from dataclasses import fields
from pathlib import Path

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
