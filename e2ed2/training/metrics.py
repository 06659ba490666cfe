"""A training's log: lines of `metrics.jsonl`, and a progress bar. The only writer and reader of the file."""

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from e2ed2.losses.spec import LossSpec
from e2ed2.training.config import TrainerConfig, upgraded

CURVE = "metrics.jsonl"
BESIDE = ("grad_norm", "discriminator")  # in older lines: numbers that are not terms of the loss


class Weighted(NamedTuple):
    value: float | None  # without the weight; None if it was not finite
    weight: float  # in the sum


@dataclass(frozen=True)
class Logged:
    """A line: one update, as `{"update": 10, "seconds": 3.1, "terms": {"l2": {"value": 0.2, "weight": 0.3}}, ...}`."""

    update: int
    seconds: float  # of training until then
    terms: dict[str, Weighted]
    numbers: dict[str, float | None]  # loss, grad_norm, lr; if there are: discriminator, held_out

    def value(self, name: str) -> float | None:
        """A term without its weight, or one of the other numbers; None if there is none."""
        return self.terms[name].value if name in self.terms else self.numbers.get(name)

    def names(self) -> list[str]:
        return [*self.terms, *self.numbers]

    def plain(self) -> dict[str, Any]:
        terms = {name: term._asdict() for name, term in self.terms.items()}
        return {"update": self.update, "seconds": self.seconds, "terms": terms} | self.numbers

    @classmethod
    def read(cls, line: dict[str, Any], weights: dict[str, float]) -> Self:
        """Parse a line. `weights`: of the terms, for older lines, which have the products and no weights."""
        if "step" not in line:
            terms = {name: Weighted(**term) for name, term in line["terms"].items()}
            numbers = {name: value for name, value in line.items() if name not in ("update", "seconds", "terms")}
            return cls(line["update"], line["seconds"], terms, numbers)
        logged = {name: value for name, value in line.items() if name not in ("step", "seconds")}
        parts = {name: value for name, value in logged.items() if name not in BESIDE}
        terms = {
            name: Weighted(None if value is None else value / weights.get(name, 1), weights.get(name, 1))
            for name, value in parts.items()
        }
        loss = None if None in parts.values() else sum(parts.values())
        beside = {name: value for name, value in logged.items() if name in BESIDE}
        return cls(line["step"], line["seconds"], terms, {"loss": loss} | beside)


def read_metrics(folder: Path) -> list[Logged]:
    """The log lines in a run's or a model's folder, without an incomplete last one."""
    lines = list(_lines(folder / CURVE))
    weights = _weights(folder / "run.json") if any("step" in line for line in lines) else {}
    return [Logged.read(line, weights) for line in lines]


def write_metrics(folder: Path, lines: list[Logged]) -> None:
    (folder / CURVE).write_text("".join(json.dumps(line.plain()) + "\n" for line in lines))


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        return
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and "seconds" in line and ({"update", "terms"} <= line.keys() or "step" in line):
                yield line


def _weights(settings: Path) -> dict[str, float]:
    """Weights of the terms in an older run's lines; empty if its settings do not record them."""
    if not settings.is_file():
        return {}
    objective = upgraded(json.loads(settings.read_text())["config"])["objective"]
    if "loss" in objective:
        return LossSpec.parse(objective["loss"]).weights
    return {"lpips": objective["lpips"]} if "lpips" in objective else {}


@dataclass(frozen=True)
class Measured:
    """The result of one update: scalars on the device, which nothing waits for unless they are logged."""

    terms: dict[str, Tensor]  # of the loss, without their weights
    weights: dict[str, float]
    numbers: dict[str, Tensor | float]

    def __str__(self) -> str:
        values = {**self.terms, **self.numbers}
        return ", ".join(f"{name} {float(value):.4g}" for name, value in values.items())

    def with_number(self, name: str, value: Tensor | float) -> Self:
        return replace(self, numbers=self.numbers | {name: value})

    def logged(self, update: int, seconds: float) -> Logged:
        terms = {name: Weighted(_finite(value), self.weights[name]) for name, value in self.terms.items()}
        return Logged(update, seconds, terms, {name: _finite(value) for name, value in self.numbers.items()})


class Metrics:
    """Appends to `metrics.jsonl` and shows a bar, or plain lines without a terminal."""

    def __init__(self, folder: Path, config: TrainerConfig, done: int, processes: int, main: bool):
        """`done`: updates made before; later lines in the file are dropped."""
        self.folder, self.config, self.first, self.main = folder, config, done, main
        self.pictures = config.pictures * processes  # per update
        lines = [line for line in read_metrics(folder) if line.update <= done]
        self.before = lines[-1].seconds if lines else 0.0
        if main:
            folder.mkdir(parents=True, exist_ok=True)
            write_metrics(folder, lines)

    def __enter__(self) -> Self:
        columns = (  # a narrow terminal cuts off the last ones
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
        )
        self.terminal = sys.stdout.isatty()
        self.started = time.monotonic()
        self.stack = ExitStack()
        if self.main:
            self.file = self.stack.enter_context(open(self.folder / CURVE, "a", buffering=1))
        self.bar = self.stack.enter_context(Progress(*columns, disable=not (self.main and self.terminal)))
        self.task = self.bar.add_task("training", total=self.config.updates, completed=self.first)
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def add(self, update: int, measured: Measured) -> Logged | None:
        """Log an update; returns the line if one was due."""
        logged = None
        due = update % self.config.log_every == 0 or update == self.config.updates or "held_out" in measured.numbers
        if due and self.main:
            seconds = time.monotonic() - self.started
            logged = measured.logged(update, round(self.before + seconds, 1))
            self.file.write(json.dumps(logged.plain()) + "\n")
            rate = f"{(update - self.first) * self.pictures / seconds:.1f} samples/s, {measured}"
            self.bar.update(self.task, description=rate)
            if not self.terminal:
                left = (self.config.updates - update) * seconds / (update - self.first)
                print(f"{update}/{self.config.updates}, {timedelta(seconds=round(left))} left, {rate}", flush=True)
        self.bar.update(self.task, completed=update)
        return logged


def _finite(value: Tensor | float) -> float | None:
    """None for values that are not finite, since JSON has no NaN."""
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None
