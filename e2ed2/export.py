"""`python -m e2ed2 export`: a model to move or upload, or a page that generates pictures in the browser."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from e2ed2.errors import UserError
from e2ed2.inference.request import is_stock, model_path
from e2ed2.web import MANIFEST

NEEDED = ("onnx", "onnxscript")


@dataclass(frozen=True)
class Export:
    """Copy a model with everything that it shares with others, to move or upload it.

    `export web --model NAME --out FOLDER` writes a page that generates pictures in the browser: see its --help.
    """

    model: Annotated[str, tyro.conf.Positional]
    """A bundled model's name, a training's, or a model's folder."""
    out: Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class ExportWeb:
    """Write a static page that generates pictures in the visitor's browser, without a server: any file host will do."""

    model: str
    """A bundled model's name, a training's, or a model's folder."""
    out: Path
    """The page's folder; a page written there before is replaced."""

    def __post_init__(self) -> None:
        if is_stock(model_path(self.model)):
            raise UserError(f"{self.model} is a pipeline of diffusers' own, too large for a browser: choose another.")
        if self.out.exists() and not (self.out / MANIFEST).is_file():
            raise UserError(f"{self.out} exists already: choose another folder.")
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise UserError(f"{' and '.join(missing)} must be installed first: run `pip install -r requirements.txt`.")


def export_command(arguments: list[str]) -> None:
    if arguments[:1] == ["web"]:
        return web_command(arguments[1:])
    options = tyro.cli(Export, prog="python -m e2ed2 export", args=arguments)
    from e2ed2.models.references import model_folder
    from e2ed2.models.weights import export_whole

    folder = model_folder(options.model)
    if is_stock(folder):
        raise UserError(f"{folder} is a pipeline of diffusers' own, and whole: copy or upload it as it is.")
    export_whole(folder, options.out)
    print(options.out)


def web_command(arguments: list[str]) -> None:
    options = tyro.cli(ExportWeb, prog="python -m e2ed2 export web", args=arguments)
    from e2ed2.web.writing import write_page

    try:
        for line in write_page(options.model, options.out):
            print(line, flush=True)
    except KeyboardInterrupt:
        print("Stopped: nothing was written, and the same command begins again.", file=sys.stderr)
        raise SystemExit(130) from None
