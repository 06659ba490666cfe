"""The pictures for a visitor's training: files, a zip or a folder, and their captions in a table."""

from html import escape
from pathlib import Path
from typing import Any, Self

import gradio as gr
from gradio.components.dataframe import DataframeData
from gradio.data_classes import ListFiles

from app.engine.uploads import FEWEST, MOST, SUFFIXES, previews
from app.errors import ForgedError
from app.look.handlers import MISTAKES, SAYING, Updates, warn
from app.look.tables import cached

HINT = (
    f"{FEWEST} to {MOST} pictures: files, a folder, or a zip. Their file names are the captions (`red-apple-1.png`), "
    "unless there is a `metadata.csv` with the columns file_name and text; you can correct them below. A tenth of the "
    "pictures is not trained on, but measured."
)
FORGED = "captions must be a table whose rows are a picture, its file name and its caption, or null."


# Files and tables of a hand-made request are validated before any handler runs: mistakes get a sentence there too.


class Uploads(ListFiles):
    @classmethod
    def model_validate(cls, *values: Any, **options: Any) -> Self:
        try:
            return super().model_validate(*values, **options)
        except ValueError:
            message = "files must be a list of uploaded files (gradio_client.handle_file), or null for the drawings."
            raise gr.Error(message, print_exception=False) from None


class Captions(DataframeData):
    @classmethod
    def model_validate(cls, *values: Any, **options: Any) -> Self:
        try:
            return super().model_validate(*values, **options)
        except ValueError:
            raise gr.Error(FORGED, print_exception=False) from None


class OwnPictures:
    def __init__(self) -> None:
        gr.Markdown(HINT, elem_classes="hint")
        self.files = gr.File(
            file_count="multiple", file_types=["image", ".csv", ".zip"], label="Your pictures", height=160
        )
        self.files.data_model = Uploads
        self.folder = gr.UploadButton("Choose a folder", file_count="directory", size="md")
        self.captions: Any = gr.Dataframe(
            headers=["", "File", "Caption"],
            datatype=["html", "str", "str"],
            column_widths=["8%", "34%", "54%"],
            static_columns=[0, 1],
            interactive=True,
            wrap=True,
            max_height=420,
            buttons=[],
            label="Captions: click on one to change it",
            visible=False,
            elem_id="captions",
        )
        self.captions.data_model = Captions
        self.folder.upload(self.of_folder, self.folder, self.files, preprocess=False, **SAYING)
        self.files.change(self.offer, self.files, self.captions, preprocess=False, **SAYING)

    def of_folder(self, files: list[dict[str, Any]] | None) -> list[str]:
        """The files in a folder that may be a picture or the table."""
        paths = [Path(file["path"]) for file in files or ()]
        return [str(path) for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]

    def offer(self, files: list[dict[str, Any]] | None, request: gr.Request) -> Updates:
        """Show the captions that these pictures have so far."""
        if not files:
            return {self.captions: gr.Dataframe(value=None, visible=False)}
        try:
            source = cached(self.captions.GRADIO_CACHE)
            rows = [
                [f'<img src="{source(image)}" alt="{escape(name)}" height="40">', name, caption]
                for name, caption, image in previews(paths_of(files))
            ]
        except MISTAKES as mistake:
            warn(mistake, request)
            return {self.captions: gr.Dataframe(value=None, visible=False)}
        return {self.captions: gr.Dataframe(value=rows, visible=True)}


def paths_of(files: list[dict[str, Any]] | None) -> tuple[str, ...]:
    return tuple(file["path"] for file in files or ())


def captions_in(table: object) -> dict[str, str]:
    """The table's captions by file name. Raises ForgedError: it is no such table."""
    rows = table.get("data") if isinstance(table, dict) else [] if table is None else table
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        raise ForgedError(FORGED)
    if not all(isinstance(cell, str) for row in rows for cell in row[1:]):
        raise ForgedError(FORGED)
    return {name: caption for _, name, caption in rows if name}
