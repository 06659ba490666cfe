"""An evaluation as JSON: its figures, their intervals, and every choice that changes a number."""

import json
import os
from pathlib import Path
from typing import Any

from e2ed2.errors import UserError
from e2ed2.evaluation.metrics.figure import Figures

Result = dict[str, Any]
GROUPS = ("distance", "alignment", "cost")
SINGLE = ("diversity_ratio", "nearest_training_lpips")


def as_result(settings: dict[str, Any], choices: dict[str, Any], figures: Figures) -> Result:
    """Figures `group.name` stand in their group, the others by themselves: null if they were not measured."""
    result: Result = {"settings": settings, "choices": choices, **{group: {} for group in GROUPS}}
    result |= dict.fromkeys(SINGLE)
    for key, figure in figures.items():
        group, _, name = key.rpartition(".")
        (result[group] if group else result)[name] = figure.value
    result["intervals"] = {key: [one.low, one.high] for key, one in figures.items() if one.low is not None}
    return result


def read_result(file: Path) -> Result:
    """A file of any release: `limit` was what is now `captions`, and `captions` what is now `variety`."""
    result = json.loads(file.read_text())
    settings = result["settings"]
    if "limit" in settings:
        settings["variety"], settings["captions"] = settings["captions"], settings.pop("limit")
    return {"intervals": {}, "ceilings": {}} | result


def prompts_label(settings: dict[str, Any]) -> str:
    """A label of the model's inputs: the prompts of a split, or what they were read as."""
    return f"{settings['split']}, read" if settings.get("read") else settings["split"]


def check_out(file: Path) -> None:
    """Check the output before any work; no folder is created yet. Raises UserError: no file can be written there."""
    if file.is_dir():
        raise UserError(f"{file} is a folder: name a file to write, such as {file / 'evaluation.json'}.")
    check_folder(file.parent)


def check_folder(folder: Path) -> None:
    """Raises UserError: the folder can be neither written to nor created."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not place.is_dir():
        raise UserError(f"{folder} cannot be a folder, since {place} is a file: choose another --out.")
    if not os.access(place, os.W_OK):
        raise UserError(f"{folder} cannot be written, since {place} cannot: choose another --out.")


def write_result(result: Result, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + "\n")


def rows(result: Result) -> list[tuple[str, str, str, str]]:
    """Table rows: each figure's name, value, interval, and the best value that can be expected."""
    singles = {name: result[name] for name in SINGLE}
    figures = {f"{group}.{name}": value for group in GROUPS for name, value in result[group].items()} | singles
    return [
        (key, _number(value), " to ".join(map(_number, result["intervals"].get(key, ()))), _ceilings(result, key))
        for key, value in figures.items()
    ]


def _ceilings(result: Result, key: str) -> str:
    name = key.removeprefix("alignment.")
    return ", ".join(f"{kind} {rates[name]:.2f}" for kind, rates in result["ceilings"].items() if name in rates)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
