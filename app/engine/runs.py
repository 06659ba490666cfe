"""Trainings on disk, those of bundled models and those in the runs folder. Nothing here writes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.catalogue import Models
from e2ed2.objectives.config import PreferenceConfig
from e2ed2.objectives.denoiser_config import SingleStepConfig
from e2ed2.training.config import upgraded
from e2ed2.training.metrics import CURVE, Logged, read_metrics


@dataclass(frozen=True)
class Run:
    """A training's folder, which has a loss curve."""

    name: str
    folder: Path

    def lines(self) -> list[Logged]:
        """One for each logged update; a line that is only half written is left out."""
        return read_metrics(self.folder)

    def curve(self, name: str, over: str) -> list[tuple[float, float]]:
        """Pairs of `over` (`update` or `seconds`) and a value; terms are unweighted, so that runs can be compared."""
        return [(getattr(line, over), value) for line in self.lines() if (value := line.value(name)) is not None]

    def single_step(self) -> bool:
        """Whether it is trained one step at a time, so that its loss is not comparable to that of whole chains."""
        return self.kind() == SingleStepConfig.kind

    def kind(self) -> str:
        """The kind of its objective; empty if unknown."""
        return self.config().get("objective", {}).get("kind", "")

    def config(self) -> dict[str, Any]:
        file = self.folder / "run.json"
        return upgraded(json.loads(file.read_text())["config"]) if file.is_file() else {}

    def sheets(self) -> list[Path]:
        """Sample sheets in order of time, the newest last."""
        return sorted(self.folder.glob("previews/*.png")) or sorted(self.folder.glob("preview.*"))


def find_runs(models: Models) -> dict[str, Run]:
    """Runs by name: bundled ones by the model's name, others by their path below the runs folder.

    Preferences are left out: their sheets show a study's pictures.
    """
    bundled = {path.parent.name: path.parent for path in sorted(models.checkpoints.glob(f"*/{CURVE}"))}
    files = [*models.runs.glob(f"*/{CURVE}"), *models.runs.glob(f"own/*/{CURVE}")]
    others = {f"runs/{path.parent.relative_to(models.runs)}": path.parent for path in sorted(files)}
    runs = {name: Run(name, folder) for name, folder in (bundled | others).items()}
    return {name: run for name, run in runs.items() if run.kind() != PreferenceConfig.kind}


def sharing_pair(runs: dict[str, Run]) -> list[str]:
    """Runs with a network for each step, and those that differ from them only in sharing one (Fig. 4)."""
    configs = {name: run.config() for name, run in runs.items() if name.partition("/")[0] != "runs"}
    objectives = {name: config["objective"] for name, config in configs.items() if config}
    kinds = {name: (objective["kind"], objective.get("loss")) for name, objective in objectives.items()}
    alone = [name for name, one in objectives.items() if one.get("denoiser", {}).get("sharing") == "independent"]
    return [name for name in kinds if kinds[name] in {kinds[one] for one in alone}]
