"""Trainings on disk: the bundled models' and those in the runs folder. Read only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.catalogue import Models
from e2ed2.objectives.config import PreferenceConfig, SingleStepConfig
from e2ed2.training.config import upgraded
from e2ed2.training.metrics import CURVE, Logged, read_metrics


@dataclass(frozen=True)
class Run:
    """A folder with a curve."""

    name: str
    folder: Path

    def lines(self) -> list[Logged]:
        """One for each logged update; a line that is being written is left out."""
        return read_metrics(self.folder)

    def curve(self, name: str, over: str) -> list[tuple[float, float]]:
        """`over`, which is `update` or `seconds`, and a value; terms without their weights, so that they compare."""
        return [(getattr(line, over), value) for line in self.lines() if (value := line.value(name)) is not None]

    def single_step(self) -> bool:
        """Whether it is trained on one step at a time, whose loss is another than that of whole chains."""
        return self.kind() == SingleStepConfig.kind

    def kind(self) -> str:
        """Of its objective; empty where that is not known."""
        return self.config().get("objective", {}).get("kind", "")

    def config(self) -> dict[str, Any]:
        file = self.folder / "run.json"
        return upgraded(json.loads(file.read_text())["config"]) if file.is_file() else {}

    def sheets(self) -> list[Path]:
        """Sample sheets over time, the newest last."""
        return sorted(self.folder.glob("previews/*.png")) or sorted(self.folder.glob("preview.*"))


def find_runs(models: Models) -> dict[str, Run]:
    """Bundled ones by their name; others by their place below the runs folder.

    Without preferences: what they show are pictures of a study.
    """
    bundled = {path.parent.name: path.parent for path in sorted(models.checkpoints.glob(f"*/{CURVE}"))}
    files = [*models.runs.glob(f"*/{CURVE}"), *models.runs.glob(f"own/*/{CURVE}")]
    others = {f"runs/{path.parent.relative_to(models.runs)}": path.parent for path in sorted(files)}
    runs = {name: Run(name, folder) for name, folder in (bundled | others).items()}
    return {name: run for name, run in runs.items() if run.kind() != PreferenceConfig.kind}


def sharing_pair(runs: dict[str, Run]) -> list[str]:
    """Runs with a network for each step, and those that differ from them in the sharing only (Fig. 4)."""
    configs = {name: run.config() for name, run in runs.items() if name.partition("/")[0] != "runs"}
    objectives = {name: config["objective"] for name, config in configs.items() if config}
    kinds = {name: (objective["kind"], objective.get("loss")) for name, objective in objectives.items()}
    alone = [name for name, one in objectives.items() if one.get("denoiser", {}).get("sharing") == "independent"]
    return [name for name in kinds if kinds[name] in {kinds[one] for one in alone}]
