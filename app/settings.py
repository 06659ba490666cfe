"""What the environment says about serving the pages."""

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

# Gradio reads these while it is imported: no request to the outside, and no proxy that hides mounted routes.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_SSR_MODE"] = "False"


# Gradio would give it to each of its apps, of which one is at /admin.
ROOT_PATH = os.environ.pop("GRADIO_ROOT_PATH", "").rstrip("/")
PERSISTENT = Path("/data")  # of a Hugging Face Space that has one; the rest is lost when it restarts
MIN_SECRET = 12  # characters
ADDED = "added"  # such a model is called `added/<name>`
MODELS = "E2ED2_MODELS"


@dataclass(frozen=True)
class ServerSettings:
    host: str = "127.0.0.1"
    port: int = 7860  # 0..65535; 0 takes any free one
    checkpoints: Path | None = None  # the models' folder; None is the bundled one
    runs: Path = field(default_factory=runs_folder)  # trainings
    added: Mapping[str, Path] = field(default_factory=dict)  # models that the owner adds
    study_data: Path | None = None  # votes; None leaves it to the study's own settings
    admin_secret: str = field(default="", repr=False)  # opens the admin pages; without one there are none
    root_path: str = ""  # where a proxy shows the pages, "/sub/studio"; it takes that away from what it passes on

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

        A Hugging Face Space is reached from outside its container, and keeps its state in its persistent folder.
        """
        port = os.environ.get("PORT", "7860")
        if not (port.isascii() and port.isdigit()):
            raise UserError(f"PORT is {port!r}: choose a whole number from 0 to 65535.")
        folder = os.environ.get("E2ED2_CHECKPOINTS")
        kept = PERSISTENT if "SPACE_ID" in os.environ and os.access(PERSISTENT, os.W_OK) else None
        return cls(
            host=os.environ.get("HOST", "0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1"),
            port=int(port),
            checkpoints=Path(folder) if folder else None,
            runs=kept / "runs" if kept and "E2ED2_RUNS" not in os.environ else runs_folder(),
            added=added_models(os.environ.get(MODELS, "")),
            study_data=kept / "study-data" if kept and "STUDY_DATA" not in os.environ else None,
            admin_secret=os.environ.get("E2ED2_ADMIN_SECRET", ""),
            root_path=ROOT_PATH,
        )


def added_models(told: str) -> Mapping[str, Path]:
    """Of folders with the separator of paths between them; each is called as its folder, or a training's run.

    Raises:
        UserError: a folder holds no model, or two are called alike.
    """
    found: dict[str, Path] = {}
    for part in filter(None, map(str.strip, told.split(os.pathsep))):
        called = folder = Path(part).expanduser().resolve()
        if not folder.exists() and ID.fullmatch(part):  # its snapshot is called as a commit
            called, folder = Path(part), hub_folder(part)
        if not is_stock(folder) and not (folder / "denoiser").is_dir():
            raise UserError(
                f"{MODELS} names {part}, which holds no model: give folders of diffusers pipelines or of models of "
                f"this project, with {os.pathsep!r} between them."
            )
        named = called.parent.name if called.name == "model" else called.name
        plain = re.sub(r"[^\w.-]+", "-", named)
        name = f"{ADDED}/{plain}"
        if name in found:
            raise UserError(f"{MODELS} names two models that would be called {name}: rename one of the folders.")
        found[name] = folder
    return found


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
    """A folder for the pictures of this server alone: one that ends deletes what another still serves."""
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="e2ed2-studio-")
        atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)


@contextmanager
def quickly() -> Generator[None]:
    """Imports without what costs seconds and is of no use to whoever serves pages.

    Gradio writes type stubs for editors beside its components, and for that parses itself whenever it is imported; it
    leaves out classes that have no file. And what is imported stays: nothing of it is garbage.
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
    """A mistake in the environment, or an argument, is one sentence and exit code 2; `--help` is what there is."""
    ArgumentParser(description=USAGE, formatter_class=RawDescriptionHelpFormatter).parse_args(arguments)
    try:
        return ServerSettings.from_environment()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
