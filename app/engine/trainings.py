"""A visitor's short training: the project's own command line, in a process of its own, one at a time."""

import atexit
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import psutil

from app.engine.catalogue import OWN, Models
from app.engine.runs import Run
from app.engine.uploads import CAPTION, take
from app.look.words import counted
from e2ed2.errors import STOPPED_EARLY, UserError
from e2ed2.inference.request import STEPS, slug
from e2ed2.models.config import DenoiserConfig
from e2ed2.models.weights import export_whole
from e2ed2.objectives.config import EndToEndConfig
from e2ed2.training.metrics import Logged
from e2ed2.training.presets import PRESETS

# Any number of steps: a training of one's own takes those of the model that it starts from.
LOSSES = {
    name: str(preset.objective.loss)
    for name, preset in PRESETS.items()
    if isinstance(preset.objective, EndToEndConfig)
    and preset.objective.sampling_steps == STEPS
    and not preset.objective.gradient_cache  # wants hundreds of pictures an update
}
FEWEST, MOST = 10, 300  # updates
SHOWN_EVERY = 10  # updates at most between two sheets of samples
BATCH = 16  # pictures an update
KEPT = 20  # trainings
NICENESS = 10  # the pages come first


@dataclass(frozen=True)
class Order:
    """A short end-to-end training from a finished model."""

    base: str
    loss: str  # a key of LOSSES
    updates: int
    files: Sequence[str] = ()  # uploaded pictures; none means the bundled ones
    captions: Mapping[str, str] = field(default_factory=dict)  # by file name, where a person wrote another one
    name: str = ""  # of the training and its model; one is made up without
    note: str = ""  # for the person's own memory


@dataclass(frozen=True)
class State:
    """How a training is getting on."""

    name: str
    done: int  # updates
    updates: int  # in all
    going: bool
    stopping: bool  # it is still going on, until it has saved
    finished: bool
    sheet: Path | None = None  # its latest samples, below the drawings of the same captions
    trouble: str = ""  # what it said before it died
    seconds_left: float | None = None  # None where that is not known


class Trainings:
    def __init__(self, models: Models):
        self.models, self.folder = models, models.runs / OWN
        self._process: subprocess.Popen | None = None
        self._launched: str | None = None
        self._stopping: str | None = None
        self._lock = Lock()

    def start(self, order: Order) -> str:
        """The new training's name. Raises UserError: one is going on, or there is no room, or the pictures are bad."""
        with self._lock:
            self.check_free()
            if len(self.names()) >= KEPT:
                raise UserError(f"There are {KEPT} trainings already: delete some first.")
            name = self._free_name(order)
            run = self.folder / name
            run.mkdir(parents=True)
            try:
                if order.files:
                    take(order.files, run / "data", order.captions)
            except UserError:
                shutil.rmtree(run)
                raise
            said = {"updates": order.updates, "command": self.command(order, run), "note": order.note}
            (run / "order.json").write_text(json.dumps(said))
            self._launch(name)
        return name

    def go_on(self, name: str) -> None:
        """From where it was stopped: the same command again."""
        with self._lock:
            self.check_free()
            self._launch(name)

    def stop(self) -> None:
        """Saves after the update that is being made."""
        if process := self._alive():
            self._stopping = self.going()
            process.send_signal(signal.SIGINT)

    def going(self) -> str | None:
        """The name of the training that is going on."""
        return json.loads(self._note.read_text())["name"] if self._alive() else None

    def names(self) -> list[str]:
        return [path.parent.name for path in sorted(self.folder.glob("*/order.json"))]

    def state(self, name: str) -> State:
        run = self.folder / name
        lines = Run(name, run).lines()
        sheets = Run(name, run).sheets()
        going, finished = self.going() == name, (run / "model" / "README.md").is_file()
        done = lines[-1].update if lines else 0
        updates = json.loads((run / "order.json").read_text())["updates"]
        saved = any((run / "checkpoints").glob("*"))
        broken = not going and not finished and (not saved or self._failed(name))
        stopping = going and self._stopping == name
        return State(
            name,
            done,
            updates,
            going,
            stopping,
            finished,
            sheets[-1] if sheets else None,
            _last_line(run / "log.txt") if broken else "",
            _seconds_left(lines, updates),
        )

    def note(self, name: str) -> str:
        return json.loads((self.folder / name / "order.json").read_text()).get("note", "")

    def start_of(self, name: str) -> str:
        """The name of the model that it started from."""
        command = json.loads((self.folder / name / "order.json").read_text())["command"]
        folder = command[command.index("--init") + 1] if "--init" in command else ""
        return next((known for known, path in self.models.folders().items() if str(path) == folder), "")

    def delete(self, name: str) -> None:
        """With its model. Raises UserError: it is going on, or there is none of the name."""
        with self._lock:
            if self.going() == self.known(name):
                raise UserError(f"{name} is going on: stop it first.")
            shutil.rmtree(self.folder / name)

    def package(self, name: str, folder: Path) -> str:
        """Its model as a zip that shares nothing with others: a folder that diffusers loads.

        Raises UserError: it is not finished, or there is none of the name.
        """
        if not self.state(self.known(name)).finished:
            raise UserError(f"{name} is not finished, so it has no model to download.")
        export_whole(self.folder / name / "model", folder / name)
        return shutil.make_archive(str(folder / name), "zip", folder, name)

    def known(self, name: object) -> str:
        if name not in self.names():
            raise UserError("There is no such training any more: choose another one.")
        return str(name)

    def _failed(self, name: str) -> bool:
        """By itself, so that going on would fail again; known of the training that these pages began last."""
        return name == self._launched and self._process is not None and self._process.poll() in (1, 2)

    @property
    def _note(self) -> Path:
        """Which process it is: a server that starts again finds it."""
        return self.folder / "going.json"

    def _alive(self) -> psutil.Process | None:
        if self._process:
            self._process.poll()  # a child that has ended leaves no trace
        try:
            note = json.loads(self._note.read_text())
            process = psutil.Process(note["pid"])
            return process if process.create_time() == note["created"] else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    def check_free(self) -> None:
        """Raises UserError: a training is going on."""
        if name := self.going():
            raise UserError(f"The training {name} is going on, and there is room for one: wait for it, or stop it.")

    def _free_name(self, order: Order) -> str:
        if order.name:
            name = slug(order.name)
            if (self.folder / name).exists():
                raise UserError(f"There is a training called {name} already: choose another name, or delete it.")
            return name
        stem = f"{order.base.replace('/', '-')}-{order.loss}"
        return next(name for name in (f"{stem}-{n}" for n in range(1, KEPT + 2)) if not (self.folder / name).exists())

    def command(self, order: Order, run: Path) -> list[str]:
        """Of the project's own command line."""
        own = ["--data.path", str(run / "data"), "--data.caption-column", CAPTION]
        return [
            "train",
            order.loss,
            "--init",
            str(self.models.folders()[order.base]),
            "--coarse-from",
            "",
            "--denoiser.choice",
            DenoiserConfig.choice,  # no other than the model that it starts from has
            "--out",
            str(run),
            *([*own, "--data.held-out", "0.1"] if order.files else ["--no-precompute"]),
            "--trainer.held-out-every",
            str(max(FEWEST, order.updates // 5)),  # it takes as long as an update or two
            "--sampling-steps",
            *map(str, self.models.steps(order.base)),
            "--trainer.updates",
            str(order.updates),
            "--trainer.batch-size",
            str(BATCH),
            "--trainer.lr",
            "3e-4",
            "--trainer.warmup",
            "5",
            "--trainer.ema-decay",
            "0.9",
            "--trainer.log-every",
            "1",
            "--trainer.preview-every",
            str(min(SHOWN_EVERY, order.updates // 10)),
            "--trainer.save-every",
            str(order.updates // 5),
        ]

    def _launch(self, name: str) -> None:
        command = json.loads((self.folder / name / "order.json").read_text())["command"]
        with open(self.folder / name / "log.txt", "w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "e2ed2", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._launched, self._stopping = name, None
        atexit.register(self.stop)
        process = psutil.Process(self._process.pid)
        process.nice(NICENESS)
        self._note.write_text(json.dumps({"name": name, "pid": process.pid, "created": process.create_time()}))


def sentence(state: State) -> str:
    """For a visitor."""
    if state.trouble:
        return f"{state.name} stopped unexpectedly after {counted(state.done, 'update')}: {state.trouble}"
    if state.stopping:
        return f"{state.name} stops after the update that is being made, and saves."
    if state.finished:
        return f"{state.name} is finished: it is on the Generate page as {OWN}/{state.name}."
    if not state.going:
        return f"{state.name} was stopped after {state.done} of {counted(state.updates, 'update')}; it can go on."
    if not state.done:
        return f"{state.name} is getting ready: the first pictures come in about a minute."
    if state.done >= state.updates:
        return f"{state.name} has made all {counted(state.updates, 'update')}, and is being saved."
    left = f" About {duration(state.seconds_left)} left." if state.seconds_left is not None else ""
    return f"{state.name}: {state.done} of {counted(state.updates, 'update')} done.{left}"


def _seconds_left(lines: Sequence[Logged], updates: int) -> float | None:
    """At the pace of the updates after the first, which is slower."""
    if len(lines) < 2:
        return None
    first, last = lines[0], lines[-1]
    return (last.seconds - first.seconds) / (last.update - first.update) * (updates - last.update)


def duration(seconds: float) -> str:
    return counted(round(seconds), "second") if seconds < 90 else counted(round(seconds / 60), "minute")


def _last_line(log: Path) -> str:
    """What it said before it died; empty where it was only stopped."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if lines and lines[-1] == STOPPED_EARLY:
        return ""
    return lines[-1][:300] if lines else "it said nothing."
