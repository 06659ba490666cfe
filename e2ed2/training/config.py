"""One training run, whole: what, on which data, how long; and how `run.json` keeps it."""

import json
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Annotated, Any

import tyro

from e2ed2.data.pictures import DataConfig
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.coarse import CoarseConfig
from e2ed2.objectives.end_to_end import EndToEndConfig
from e2ed2.objectives.reconstruction import ReconstructionConfig
from e2ed2.objectives.single_step import SingleStepConfig
from e2ed2.training.trainer import TrainerConfig

AnyObjective = ReconstructionConfig | CoarseConfig | SingleStepConfig | EndToEndConfig
KINDS: dict[str, type[AnyObjective]] = {
    one.kind: one for one in (ReconstructionConfig, CoarseConfig, SingleStepConfig, EndToEndConfig)
}


@dataclass(frozen=True)
class RunConfig:
    objective: Annotated[AnyObjective, tyro.conf.arg(name="")]
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def plain(self) -> dict[str, Any]:
        """As `run.json` has it."""
        settings = plain(self)
        return settings | {"objective": {"kind": self.objective.kind} | settings["objective"]}


def plain(value: Any) -> Any:
    """A config as JSON reads it back: dicts, lists, strings and numbers."""
    if isinstance(value, LossSpec):
        return str(value)
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return json.loads(json.dumps(value))


def upgraded(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a `run.json` of any version, as `RunConfig.plain` has them now.

    Files of before had the options of all objectives side by side, read or not. What is younger than a file is as it
    is by default.
    """
    given = settings["objective"]
    given = given if isinstance(given, dict) else settings | {"kind": given}
    usual = defaults(KINDS[given["kind"]])
    objective = filled({name: given[name] for name in usual if name in given}, usual)
    if "loss" in objective:
        objective["loss"] = str(LossSpec.parse(objective["loss"]))
    return {
        "objective": {"kind": given["kind"]} | objective,
        "data": filled(settings.get("data", {}), defaults(DataConfig)),
        "trainer": filled(settings.get("trainer", {}), defaults(TrainerConfig)),
    }


def defaults(config: Any) -> dict[str, Any]:
    return {one.name: plain(_default(one)) for one in fields(config)}


def _default(one: Field) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def filled(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """`given`, and what it lacks as usual."""
    return usual | {
        name: filled(value, usual[name]) if isinstance(value, dict) and name in usual else value
        for name, value in given.items()
    }


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Each setting by the name that the command line has for it."""
    found = {}
    for name, value in settings.items():
        option = prefix + name.replace("_", "-")
        inside = "" if name == "objective" else f"{option}."
        found |= flat(value, inside) if isinstance(value, dict) else {option: value}
    return found
