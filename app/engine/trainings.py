"""Visitors' short trainings: the project's own command line in a separate process, one at a time."""

import atexit
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import psutil

from app.engine.catalogue import OWN, Models
from app.engine.orders import Order, command_of, learning_command
from app.engine.runs import Run
from app.engine.standing import State, last_line, seconds_left
from app.engine.uploads import take
from e2ed2.errors import UserError
from e2ed2.inference.request import slug
from e2ed2.models.weights import export_whole
from e2ed2.preference.files import accuracies
from e2ed2.training.presets import PRESETS

KEPT = 20  # trainings
NICENESS = 10  # so that the pages stay responsive
VOTES = "votes"  # folder of the export that a preference learns from; deleted once it has learned


class Trainings:
    def __init__(self, models: Models):
        self.models, self.folder = models, models.runs / OWN
        self._process: subprocess.Popen | None = None
        self._launched: str | None = None
        self._stopping: str | None = None
        self._lock = Lock()

    def start(self, order: Order) -> str:
        """Start a training and return its name.

        Raises UserError: another one is running, there is no room, or the pictures are unusable.
        """
        liked = self.learned(order.preference) if order.preference else None

        def prepare(run: Path) -> dict[str, Any]:
            if order.files:
                take(order.files, run / "data", order.captions)
            settings = {"updates": order.updates, "command": self.command(order, run), "note": order.note}
            return settings | ({"preference": liked} if liked else {})

        return self._begin(order.name, f"{order.base.replace('/', '-')}-{order.loss}", prepare)

    def learn(self, study: str, export: Callable[[Path], object], name: str = "") -> str:
        """Learn a preference from a study's votes, which `export` writes into a folder; return its name.

        The export is deleted once the preference has learned from it. Raises as `start`, and what `export` raises.
        """

        def prepare(run: Path) -> dict[str, Any]:
            export(run / VOTES)
            updates = PRESETS["preference"].trainer.updates
            return {"updates": updates, "command": learning_command(run / VOTES, run), "study": study}

        return self._begin(name, "liked", prepare)  # not named after the study: everybody may read the name

    def _begin(self, name: str, stem: str, prepare: Callable[[Path], dict[str, Any]]) -> str:
        """`prepare` fills the folder and describes the training; if it fails, the folder is removed."""
        with self._lock:
            self.check_free()
            if len(self.all_names()) >= KEPT:
                raise UserError(f"There are {KEPT} trainings already: delete some first.")
            name = self._free_name(name, stem)
            run = self.folder / name
            run.mkdir(parents=True)
            try:
                (run / "order.json").write_text(json.dumps(prepare(run)))
            except Exception:
                shutil.rmtree(run)
                raise
            self._launch(name)
        return name

    def go_on(self, name: str) -> None:
        """Resume a stopped training by running the same command again."""
        with self._lock:
            self.check_free()
            self._launch(name)

    def stop(self) -> None:
        """Stop after the current update; progress is saved."""
        if process := self._alive():
            self._stopping = self.going()
            process.send_signal(signal.SIGINT)

    def going(self) -> str | None:
        """The name of the running training, if any."""
        return json.loads(self._note.read_text())["name"] if self._alive() else None

    def all_names(self) -> list[str]:
        return [path.parent.name for path in sorted(self.folder.glob("*/order.json"))]

    def names(self) -> list[str]:
        """Names of the trainings of models, which everybody can see."""
        return [name for name in self.all_names() if not self.is_preference(name)]

    def preferences(self) -> list[str]:
        """Names of preferences, learned or still learning from votes; only for people who may see the votes."""
        return [name for name in self.all_names() if self.is_preference(name)]

    def is_preference(self, name: str) -> bool:
        return "study" in self.record(name)

    def record(self, name: str) -> dict[str, Any]:
        """What was ordered, as stored when the training began."""
        return json.loads((self.folder / name / "order.json").read_text())

    def learned(self, name: str) -> dict[str, Any]:
        """A finished preference's name, its study, and how well it predicts votes over all questions.

        Raises UserError: no preference has this name, or it is damaged.
        """
        if name not in self.preferences() or not self.state(name).finished:
            raise UserError(f"There is no finished preference called {name!r}: choose another one.")
        return {
            "name": name,
            "study": self.record(name)["study"],
            "accuracy": accuracies(self.folder / name / "model")[""],
        }

    def state(self, name: str) -> State:
        run, learning = self.folder / name, self.is_preference(name)
        lines = Run(name, run).lines()
        sheets = Run(name, run).sheets()
        going, finished = self.going() == name, (run / "model" / "README.md").is_file()
        done = lines[-1].update if lines else 0
        updates = self.record(name)["updates"]
        saved = any((run / "checkpoints").glob("*"))
        lost = not saved and self._stopping != name  # stopped right at the start, it ends before it can say so
        broken = not going and not finished and (lost or self._failed(name))
        if learning and finished and not going:
            shutil.rmtree(run / VOTES, ignore_errors=True)
        return State(
            name,
            done,
            updates,
            going,
            stopping=going and self._stopping == name,
            finished=finished,
            sheet=sheets[-1] if sheets and not learning else None,
            trouble=last_line(run / "log.txt") if broken else "",
            seconds_left=seconds_left(lines, updates),
            learning=learning,
        )

    def note(self, name: str) -> str:
        return self.record(name).get("note", "")

    def start_of(self, name: str) -> str:
        """The name of the model that the training started from."""
        command = self.record(name)["command"]
        folder = command[command.index("--init") + 1] if "--init" in command else ""
        return next((known for known, path in self.models.folders().items() if str(path) == folder), "")

    def delete(self, name: str) -> None:
        """Delete a training and its model. Raises UserError: it is running, or no training has this name."""
        with self._lock:
            if name not in self.preferences():
                self.known(name)
            if self.going() == name:
                raise UserError(f"{name} is going on: stop it first.")
            shutil.rmtree(self.folder / name)

    def package(self, name: str, folder: Path) -> str:
        """Zip its model as a self-contained folder that diffusers can load; return the path.

        Raises UserError: it is not finished, or no training has this name.
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
        """Whether it failed by itself, so that resuming would fail again; known only for the training started last."""
        return name == self._launched and self._process is not None and self._process.poll() in (1, 2)

    @property
    def _note(self) -> Path:
        """The file that records the process, so that a restarted server finds it."""
        return self.folder / "going.json"

    def _alive(self) -> psutil.Process | None:
        if self._process:
            self._process.poll()  # reaps a child that has ended
        try:
            note = json.loads(self._note.read_text())
            process = psutil.Process(note["pid"])
            return process if process.create_time() == note["created"] else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    def check_free(self) -> None:
        """Raises UserError: a training is running."""
        if name := self.going():
            raise UserError(f"The training {name} is going on, and there is room for one: wait for it, or stop it.")

    def _free_name(self, wanted: str, stem: str) -> str:
        if wanted:
            name = slug(wanted)
            if (self.folder / name).exists():
                raise UserError(f"There is a training called {name} already: choose another name, or delete it.")
            return name
        return next(name for name in (f"{stem}-{n}" for n in range(1, KEPT + 2)) if not (self.folder / name).exists())

    def command(self, order: Order, run: Path) -> list[str]:
        """The project's command line that carries out the order."""
        preference = self.folder / order.preference / "model" if order.preference else None
        return command_of(order, run, self.models, preference)

    def _launch(self, name: str) -> None:
        command = self.record(name)["command"]
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
