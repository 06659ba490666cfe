"""Rehearsals and certifications of studies: the study's command in a separate process, one at a time."""

import atexit
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from study.errors import StudyError
from study.store.studies import StudyInfo

REHEARSE, CERTIFY = "rehearse", "certify"
# The command draws its progress bar only for terminals: this makes it write one into a file.
TERMINAL = {"TTY_COMPATIBLE": "1", "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
PERCENT = re.compile(r"(\d+)%")
NICENESS = 10  # so that the pages stay responsive


@dataclass(frozen=True)
class Trial:
    """The trial that is running, or the last one."""

    study: str
    command: str
    going: bool
    percent: int | None  # of what the bar counts; the work after it takes a moment more
    output: str  # its table and sentences, or its error; empty while it runs


class Trials:
    def __init__(self, data: Path):
        """`data`: the folder of the studies."""
        self.data = data
        self._folder = tempfile.TemporaryDirectory(prefix="trials-")
        self._process: subprocess.Popen | None = None
        self._about = ("", "")
        self._lock = Lock()

    def start(self, study: StudyInfo, command: str) -> None:
        """Start a trial. Raises StudyError: one is running."""
        with self._lock:
            if (last := self.last()) and last.going:
                raise StudyError(f"{last.study} is being tried out: wait for that, or stop it.")
            folder = Path(self._folder.name)
            with open(folder / "said", "w") as output, open(folder / "progress", "w") as progress:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "study", command, study.name, "--version", str(study.version)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=progress,
                    env=os.environ | TERMINAL | {"STUDY_DATA": str(self.data)},
                    preexec_fn=lambda: os.nice(NICENESS),
                )
            self._about = (f"{study.name}, version {study.version}", command)
            atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the running trial, if any; it leaves nothing behind."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self.wait()

    def wait(self) -> None:
        """Wait until the running trial has ended."""
        if self._process:
            self._process.wait()

    def last(self) -> Trial | None:
        if self._process is None:
            return None
        going = self._process.poll() is None
        output, shown = ((Path(self._folder.name) / name).read_text(errors="replace") for name in ("said", "progress"))
        counted = PERCENT.findall(shown)
        ended = "" if going else output.strip() or _mistake(shown)
        return Trial(*self._about, going, int(counted[-1]) if counted else None, ended)


def _mistake(shown: str) -> str:
    """The last line that is no progress bar."""
    lines = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line).strip() for line in shown.splitlines()]
    messages = [line for line in lines if line and not PERCENT.search(line)]
    return messages[-1] if messages else "It was stopped."
