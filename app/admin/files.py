"""A study's report and export, made when they are asked for. They never enter Gradio's cache, which anyone may read."""

import tempfile
import zipfile
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from study.reporting.export import export_study
from study.reporting.report import build
from study.store.store import Store
from study.store.studies import find_study


def report_page(store: Store, name: str, version: int) -> str:
    """As it is now. Raises StudyError: no such study, or nothing to report yet."""
    study = find_study(store.database, name, version)
    with tempfile.TemporaryDirectory() as folder:
        export_study(store, study, Path(folder))
        return build(Path(folder), Path(folder), store.key).read_text("utf-8")


def export_zip(store: Store, name: str, version: int) -> FileResponse:
    """Spec, tables, all revisions and images, as `study export` writes them. Raises StudyError: no such study."""
    study = find_study(store.database, name, version)
    with tempfile.TemporaryDirectory() as folder:
        export_study(store, study, Path(folder))
        packed = Path(tempfile.mkstemp(suffix=".zip")[1])
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(part for part in Path(folder).rglob("*") if part.is_file()):
                archive.write(file, f"{name}-{version}/{file.relative_to(folder)}")
    return FileResponse(
        packed,
        filename=f"{name}-{version}.zip",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(packed.unlink),
    )
