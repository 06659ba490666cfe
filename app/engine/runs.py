"""Trainings on disk: the bundled models' and those in the runs folder. Read only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.catalogue import Models
from e2ed2.losses.spec import LossSpec
from e2ed2.training.config import upgraded

CURVE = "metrics.jsonl"


@dataclass(frozen=True)
class Run:
    """A folder with a curve."""

    name: str
    folder: Path

    def lines(self) -> list[dict[str, float]]:
        """One for each logged update: step, seconds and the loss terms; a line that is being written is left out."""
        lines = []
        for line in (self.folder / CURVE).read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
        return lines

    def curve(self, term: str, over: str) -> list[tuple[float, float]]:
        """`over`, and the term without its weight in the sum, so that the curves of different losses compare."""
        weight = self.weights().get(term, 1.0)
        return [(line[over], line[term] / weight) for line in self.lines() if term in line]

    def weights(self) -> dict[str, float]:
        objective = self.config().get("objective", {})
        loss = LossSpec.parse(objective["loss"]).weights if "loss" in objective else {}
        return loss | {name: objective[name] for name in ("lpips", "edges") if objective.get(name)}

    def config(self) -> dict[str, Any]:
        file = self.folder / "run.json"
        return upgraded(json.loads(file.read_text())["config"]) if file.is_file() else {}

    def sheets(self) -> list[Path]:
        """Sample sheets over time, the newest last."""
        return sorted(self.folder.glob("previews/*.png")) or sorted(self.folder.glob("preview.png"))


def find_runs(models: Models) -> dict[str, Run]:
    """Bundled ones by their name; others by their place below the runs folder."""
    bundled = {path.parent.name: path.parent for path in sorted(models.checkpoints.glob(f"*/{CURVE}"))}
    files = [*models.runs.glob(f"*/{CURVE}"), *models.runs.glob(f"own/*/{CURVE}")]
    others = {f"runs/{path.parent.relative_to(models.runs)}": path.parent for path in sorted(files)}
    return {name: Run(name, folder) for name, folder in (bundled | others).items()}


def sharing_pair(runs: dict[str, Run]) -> list[str]:
    """Runs with a network for each step, and those that differ from them in the sharing only (Fig. 4)."""
    configs = {name: run.config() for name, run in runs.items() if name.partition("/")[0] != "runs"}
    objectives = {name: config["objective"] for name, config in configs.items() if config}
    kinds = {name: (objective["kind"], objective.get("loss")) for name, objective in objectives.items()}
    alone = [name for name, one in objectives.items() if one.get("denoiser", {}).get("sharing") == "independent"]
    return [name for name in kinds if kinds[name] in {kinds[one] for one in alone}]
