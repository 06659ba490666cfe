"""Models and baselines to compare side by side: as `MODEL:STEPS:GUIDANCE`, or as a JSON file with more options."""

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from e2ed2.errors import UserError
from e2ed2.inference.request import MAX_STEPS, check_guidance

WRITTEN = re.compile(r"(?P<model>.+?)(:(?P<steps>\d+))?(:(?P<guidance>\d+(\.\d+)?))?")
Spacing = Literal["", "leading", "linspace", "trailing"]
TIMESTEPS = 1000  # of schedulers
KINDS: dict[str, Any] = {"steps": int, "guidance": (int, float, type(None)), "timesteps": (list, tuple)}


@dataclass(frozen=True)
class Arm:
    model: str
    steps: int = 4  # if timesteps are given, their number
    guidance: float | None = None  # of a pipeline that has it; None: its own
    label: str = ""  # the name in tables
    scheduler: str = ""  # a class of diffusers, instead of the pipeline's own
    spacing: Spacing = ""  # how the scheduler spaces its timesteps; empty: its own
    timesteps: tuple[int, ...] = ()  # used instead of those that the scheduler would choose
    lora: str = ""  # adapters: a file, a folder, or an id on a hub

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise UserError(f"{self.model}: {self.steps} steps are not possible: choose 1 to {MAX_STEPS}.")
        if self.spacing not in get_args(Spacing):
            raise UserError(f"{self.model}: there is no spacing {self.spacing!r}: choose leading, linspace, trailing.")
        if not all(isinstance(one, int) and 0 <= one < TIMESTEPS for one in self.timesteps):
            raise UserError(f"{self.model}: timesteps are whole numbers from 0 to {TIMESTEPS - 1}.")
        check_guidance(self.guidance)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`MODEL`, `MODEL:STEPS` or `MODEL:STEPS:GUIDANCE`. Raises UserError: the text has none of these forms."""
        match = WRITTEN.fullmatch(text)
        if not match:
            raise UserError(f"The arm {text!r} names no model: give MODEL, MODEL:STEPS or MODEL:STEPS:GUIDANCE.")
        guidance = match["guidance"]
        return cls(match["model"], int(match["steps"] or 4), float(guidance) if guidance else None)

    @classmethod
    def of(cls, entry: Any, file: Path) -> Self:
        """An entry of a file. Raises UserError: it has no model, an unknown option, or one of a wrong kind."""
        names = [one.name for one in fields(cls)]
        if not isinstance(entry, dict) or "model" not in entry:
            raise UserError(
                f'{file}: {json.dumps(entry)} names no model: write {{"model": "my/pipeline", "steps": 4}}.'
            )
        if unknown := sorted(entry.keys() - names):
            raise UserError(f"{file}: an arm has no {unknown[0]!r}: choose among {', '.join(names)}.")
        wrong = [name for name, value in entry.items() if not isinstance(value, KINDS.get(name, str))]
        if wrong:
            raise UserError(f"{file}: {wrong[0]} of {entry['model']} cannot be {json.dumps(entry[wrong[0]])}.")
        timesteps = tuple(entry.get("timesteps", ()))
        return cls(**entry | {"timesteps": timesteps} | ({"steps": len(timesteps)} if timesteps else {}))

    @property
    def name(self) -> str:
        """A name for people; a training's model has the name of its run."""
        place = Path(self.model)
        called = place.parent.name if place.name == "model" and place.parent.name else place.name
        guided = "" if self.guidance is None else f", guidance {self.guidance:g}"
        return self.label or f"{called}, {self.steps} step{'s' * (self.steps > 1)}{guided}"

    @property
    def changes(self) -> dict[str, Any]:
        """The options that differ from those in the pipeline's folder."""
        given = {name: getattr(self, name) for name in ("scheduler", "spacing", "timesteps", "lora")}
        return {name: value for name, value in given.items() if value}


def arms_of(texts: tuple[str, ...]) -> list[Arm]:
    """One arm for each text, or those that it lists if it names a JSON file. Raises UserError."""
    return [arm for text in texts for arm in (read_arms(Path(text)) if text.endswith(".json") else [Arm.parse(text)])]


def read_arms(file: Path) -> list[Arm]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as JSON ({error}): give a list of arms.") from error
    if not isinstance(entries, list) or not entries:
        raise UserError(f'{file} is no list of arms: write [{{"model": "my/pipeline", "steps": 4}}].')
    return [Arm.of(entry, file) for entry in entries]
