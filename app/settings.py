"""The server's settings, from environment variables."""

import atexit
import gc
import inspect
import os
import re
import shutil
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from e2ed2.errors import UserError
from e2ed2.files import runs_folder
from e2ed2.inference.hub import ID, hub_folder
from e2ed2.inference.request import is_stock

# Gradio reads these on import: no requests to other hosts, and no proxy that hides mounted routes.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_SSR_MODE"] = "False"


# Gradio would apply it to each of its apps, including the one at /admin.
ROOT_PATH = os.environ.pop("GRADIO_ROOT_PATH", "").rstrip("/")
PERSISTENT = Path("/data")  # persistent storage of a Hugging Face Space, if it has any; the rest is lost at a restart
MIN_SECRET = 12  # characters
ADDED = "added"  # such a model is named `added/<name>`
MODELS = "E2ED2_MODELS"


@dataclass(frozen=True)
class ServerSettings:
    host: str = "127.0.0.1"
    port: int = 7860  # 0..65535; 0 takes any free one
    checkpoints: Path | None = None  # the models' folder; None means the bundled one
    runs: Path = field(default_factory=runs_folder)  # trainings
    added: Mapping[str, Path] = field(default_factory=dict)  # models that the owner adds, by name
    study_data: Path | None = None  # where votes are stored; None leaves that to the study's own settings
    admin_secret: str = field(default="", repr=False)  # opens the admin pages; if empty, there are none
    root_path: str = ""  # where a proxy serves the pages, like "/sub/studio"; the proxy must strip it

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"PORT is {self.port}: choose a whole number from 0 to 65535.")
        if self.checkpoints and not self.checkpoints.is_dir():
            raise UserError(f"E2ED2_CHECKPOINTS is {self.checkpoints}, which is not a folder.")
        if self.admin_secret and len(self.admin_secret) < MIN_SECRET:
            raise UserError(f"E2ED2_ADMIN_SECRET is too short: use {MIN_SECRET} characters at least, or unset it.")

        if self.root_path and not re.fullmatch(r"(/[\w.~-]+)+", self.root_path):
            raise UserError(f"GRADIO_ROOT_PATH is {self.root_path!r}: write a path such as /sub/studio.")

    @classmethod
    def from_environment(cls) -> Self:
        """HOST, PORT, GRADIO_ROOT_PATH, E2ED2_CHECKPOINTS, E2ED2_RUNS, E2ED2_MODELS, E2ED2_ADMIN_SECRET.

        On a Hugging Face Space the server listens on all addresses and keeps its state in persistent storage.
        """
        port = os.environ.get("PORT", "7860")
        if not (port.isascii() and port.isdigit()):
            raise UserError(f"PORT is {port!r}: choose a whole number from 0 to 65535.")
        folder = os.environ.get("E2ED2_CHECKPOINTS")
        disk = PERSISTENT if "SPACE_ID" in os.environ and os.access(PERSISTENT, os.W_OK) else None
        return cls(
            host=os.environ.get("HOST", "0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1"),
            port=int(port),
            checkpoints=Path(folder) if folder else None,
            runs=disk / "runs" if disk and "E2ED2_RUNS" not in os.environ else runs_folder(),
            added=added_models(os.environ.get(MODELS, "")),
            study_data=disk / "study-data" if disk and "STUDY_DATA" not in os.environ else None,
            admin_secret=os.environ.get("E2ED2_ADMIN_SECRET", ""),
            root_path=ROOT_PATH,
        )


def added_models(told: str) -> Mapping[str, Path]:
    """Models by name, from folders or hub ids separated by `os.pathsep`; each is named after its folder or its run.

    Raises:
        UserError: a folder holds no model, or two would get the same name.
    """
    models: dict[str, Path] = {}
    for part in filter(None, map(str.strip, told.split(os.pathsep))):
        called = folder = Path(part).expanduser().resolve()
        if not folder.exists() and ID.fullmatch(part):  # its snapshot's folder is named after a commit
            called, folder = Path(part), hub_folder(part)
        if not is_stock(folder) and not (folder / "denoiser").is_dir():
            raise UserError(
                f"{MODELS} names {part}, which holds no model: give folders of diffusers pipelines or of models of "
                f"this project, with {os.pathsep!r} between them."
            )
        named = called.parent.name if called.name == "model" else called.name
        plain = re.sub(r"[^\w.-]+", "-", named)
        name = f"{ADDED}/{plain}"
        if name in models:
            raise UserError(f"{MODELS} names two models that would be called {name}: rename one of the folders.")
        models[name] = folder
    return models


USAGE = """Opens the pages. Its settings are variables of the environment, as in `PORT=8080 python app.py`:

  HOST                 127.0.0.1 by default; 0.0.0.0 lets other machines in
  PORT                 7860 by default; 0 takes any free one
  GRADIO_ROOT_PATH     /sub/studio where a proxy shows the pages there, and takes that away from what it passes on
  E2ED2_CHECKPOINTS    a folder of models, instead of the bundled ones
  E2ED2_DATA           where caches, trainings and votes are kept; the user's data folder by default
  E2ED2_RUNS           where trainings are kept
  E2ED2_MODELS         more models: folders of diffusers pipelines (or their ids on a hub), or of models of this
                       project, with : between them
  E2ED2_DEVICE         cpu, cuda, cuda:1 or mps; the best there is by default
  E2ED2_ADMIN_SECRET   opens the organiser's pages; without one there are none
"""


def own_cache() -> None:
    """Give this server a picture cache of its own: Gradio deletes its cache on exit, even if another server uses it."""
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="e2ed2-studio-")
        atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)


@contextmanager
def quickly() -> Generator[None]:
    """Speed up imports by skipping seconds of work that serving pages does not need.

    Gradio parses itself on import to write type stubs for editors, but skips classes that have no file. And imported
    modules stay in memory, so garbage collection is paused.
    """
    find = inspect.getfile

    def file_of(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError
        return find(thing)

    gc.disable()
    inspect.getfile = file_of  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        inspect.getfile = find
        gc.enable()
        gc.freeze()


def settings_or_exit(arguments: Sequence[str] = ()) -> ServerSettings:
    """Print help for `--help`; for a mistake in the environment or an argument, exit with a sentence and code 2."""
    ArgumentParser(description=USAGE, formatter_class=RawDescriptionHelpFormatter).parse_args(arguments)
    try:
        return ServerSettings.from_environment()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
