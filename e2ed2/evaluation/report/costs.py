"""What each model cost to train, according to its run.json."""

import json
from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.evaluation.shown import table
from e2ed2.training.config import upgraded

COLUMNS = ["model", "loss", "pictures", "samples", "PFLOP", "minutes", "on"]
BESIDE = """
Beside the codec, the coarse path and, for the others, `single-step`: see [training.md](training.md)."""
LONGER = (
    " `{0}` went on from its own former training, whose pictures and work its card tells and this row does not count."
)
UNKNOWN = " `{0}` started from `{1}`, which is not kept, and whose work is written nowhere: it comes on top."


def trainings(names: list[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Settings and cost of each training whose curve, at least, is bundled."""
    runs = {name: CHECKPOINTS / name / "run.json" for name in names}
    read = {name: json.loads(file.read_text()) for name, file in runs.items() if file.is_file()}
    return {name: (upgraded(run["config"]), run["cost"]) for name, run in read.items()}


def costs(names: list[str]) -> str:
    trained = trainings(names)
    rows = [[name, *_row(*training)] for name, training in trained.items()]
    return table(COLUMNS, rows) + BESIDE + "".join(_start(name, config) for name, (config, _) in trained.items()) + "\n"


def _row(config: dict[str, Any], cost: dict[str, Any]) -> list[str]:
    trainer, objective = config["trainer"], config["objective"]
    pictures = trainer["updates"] * trainer["batch_size"] * trainer["accumulate"]
    return [
        objective.get("loss", "of one step"),
        f"{pictures:,}",
        f"{pictures * objective.get('samples', 1):,}",
        f"{cost['flop'] / 1e15:.2f}",
        f"{cost['seconds'] / 60:.1f}",
        cost.get("machine", ""),
    ]


def _start(name: str, config: dict[str, Any]) -> str:
    """A sentence about an initial model whose cost is not in any row."""
    start = config["objective"].get("init", "")
    if start == name:
        return LONGER.format(name)
    return UNKNOWN.format(name, start) if start and not (CHECKPOINTS / start).is_dir() else ""
