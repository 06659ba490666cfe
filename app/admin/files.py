"""A study's report and export, made on request. They never enter Gradio's cache, which anyone may read.

What makes them takes two seconds to import, so it is imported late: the first page need not wait for it.
"""

import tempfile
import zipfile
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from study.store.store import Store
from study.store.studies import find_study


def report_page(store: Store, name: str, version: int) -> str:
    """The report as of now. Raises StudyError: no such study, or nothing to report yet."""
    from study.reporting.report import page_now

    return page_now(store, find_study(store.database, name, version))


def export_zip(store: Store, name: str, version: int) -> FileResponse:
    """A zip of what `study export` writes: spec, tables, all revisions, images. Raises StudyError: no such study."""
    from study.reporting.export import export_study

    study = find_study(store.database, name, version)
    with tempfile.TemporaryDirectory() as folder:
        export_study(store, study, Path(folder))
        return _packed(Path(folder), f"{name}-{version}")


def methods_zip(store: Store, name: str, version: int, pay: str, ethics: str) -> FileResponse:
    """A zip of the methods section that `study methods` writes. Raises StudyError: no such study, or no answers yet."""
    from study.reporting.export import export_pooled
    from study.reporting.methods import Methods, write

    study = find_study(store.database, name, version)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        export_pooled(store, study, Path(folder))
        write(Methods(name, Path(out), pay=pay, ethics=ethics), Path(folder))
        return _packed(Path(out), f"{name}-{version}-methods")


def _packed(folder: Path, name: str) -> FileResponse:
    packed = Path(tempfile.mkstemp(suffix=".zip")[1])
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(part for part in folder.rglob("*") if part.is_file()):
            archive.write(file, f"{name}/{file.relative_to(folder)}")
    return FileResponse(
        packed,
        filename=f"{name}.zip",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(packed.unlink),
    )
