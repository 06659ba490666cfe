"""A study's tables and images as files that anybody can read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from study.errors import StudyError
from study.protocol.spec import StudySpec
from study.reporting.blindness import CERTIFICATE
from study.reporting.manifest import MANIFEST, add_to_manifest
from study.store.certificates import certificate_of
from study.store.frames import Tables, head_of, plan_of, read_remarks, read_tables
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.versions import deviations, pooled, registration

PLAN, HEAD, REMARKS, VERSIONS = "plan.json", "head.json", "remarks.csv", "versions.json"

REGISTRATION = "registration.json"
POOLED = "versions"  # folder of earlier versions


def export_study(store: Store, study: StudyInfo, out: Path) -> Tables:
    """Writes spec, tables as Parquet, CSV and JSON, all revisions, and the images; no name of a person.

    Of a closed study also what its plan drew from, and the head of the chain as it was signed. All of it is signed.
    """
    tables = read_tables(store.database, study)
    out.mkdir(parents=True, exist_ok=True)
    (out / "spec.json").write_text(study.spec.to_json(), encoding="utf-8")
    lines = (json.dumps(revision, sort_keys=True) + "\n" for revision in tables.revisions)
    (out / "revisions.jsonl").write_text("".join(lines), encoding="utf-8")
    for name, table in (("votes", tables.votes), ("raters", tables.raters)):
        table.to_parquet(out / f"{name}.parquet", index=False)
        _write_spreadsheet(table, out / f"{name}.csv")
        table.to_json(out / f"{name}.json", orient="records", indent=1)
    (out / "images").mkdir(exist_ok=True)
    images = {study.spec.image_name(sha256): sha256 for sha256 in study.spec.image_hashes}
    for name, sha256 in images.items():
        shutil.copyfile(store.library.path(sha256), out / name)
    remarks = read_remarks(store.database, study)
    (out / REMARKS).unlink(missing_ok=True)
    if not remarks.empty:
        _write_spreadsheet(remarks, out / REMARKS)
    written = [f"{name}.{suffix}" for name in ("votes", "raters") for suffix in ("parquet", "csv", "json")]
    (out / MANIFEST).unlink(missing_ok=True)
    known: dict[str, Any] = {
        VERSIONS: deviations(store.database, study),
        REGISTRATION: registration(study, store.database),
        PLAN: plan_of(store.database, study),
        HEAD: head_of(store.database, study),
        CERTIFICATE: certificate_of(store.database, study),
    }
    for name, content in known.items():
        (out / name).unlink(missing_ok=True)
        if content:
            (out / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    closing = [name for name, content in known.items() if content]
    remark_files = [] if remarks.empty else [REMARKS]
    add_to_manifest(out, ["spec.json", "revisions.jsonl", *written, *remark_files, *closing, *images], store.key)
    return tables


def _write_spreadsheet(table: pd.DataFrame, file: Path) -> None:
    file.write_text(spreadsheet(table), encoding="utf-8-sig", newline="")


def spreadsheet(table: pd.DataFrame) -> str:
    """CSV in which no text is taken for a formula: such cells begin with an apostrophe (as OWASP has it)."""
    words = table.select_dtypes(exclude="number")
    safe = words.replace(r"^(?=[=+\-@\t\r])", "'", regex=True)
    return table.assign(**{name: safe[name] for name in safe}).to_csv(index=False)


def export_pooled(store: Store, study: StudyInfo, out: Path) -> None:
    """As `export_study`, with the earlier versions that may be counted with it, each whole in a folder of its own."""
    shutil.rmtree(out / POOLED, ignore_errors=True)
    export_study(store, study, out)
    for old in pooled(store.database, study):
        if not read_tables(store.database, old).votes.empty:
            export_study(store, old, out / POOLED / str(old.version))


def pooled_folders(folder: Path) -> list[Path]:
    return sorted((folder / POOLED).glob("[0-9]*"), key=lambda version: int(version.name))


def read_export(folder: Path) -> Tables:
    """The tables of an export. Raises StudyError where the folder is not one."""
    try:
        lines = (folder / "revisions.jsonl").read_text(encoding="utf-8").splitlines()
        return Tables(
            StudySpec.from_json((folder / "spec.json").read_text(encoding="utf-8")),
            pd.read_parquet(folder / "votes.parquet"),
            pd.read_parquet(folder / "raters.parquet"),
            tuple(json.loads(line) for line in lines),
        )
    except (OSError, ValueError) as error:
        raise StudyError(f"{folder} is no complete export ({error}): make one with `python -m study export`.") from None
