"""A copy of a study without its raters, in a folder of its own: whatever happens there is forgotten with the folder."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from study.clock import now
from study.store.certificates import certificate_of, keep_certificate
from study.store.database import Database, open_database
from study.store.signing import Key
from study.store.store import Store
from study.store.studies import StudyInfo, find_study
from study.store.tables import Arm, StoredStimulus, Study


def copy_study(store: Store, study: StudyInfo, folder: Path, **changes: Any) -> tuple[Store, StudyInfo]:
    """The study as it was before its first rater: its spec, secrets and pictures; open, if the original is closed.

    The pictures are read where they are, and nothing else of the original is. Its key signs nothing here.

    Args:
        changes: of the spec's fields, for a copy that has room for everybody.
    """
    database = open_database(folder, f"sqlite:///{folder}/rehearsal.db")
    with store.database.read() as session:
        rows = {table: _rows(session, table, study.id) for table in (Study, Arm, StoredStimulus)}
    spec = replace(study.spec, **changes)
    rows[Study] = [row | {"closed": None, "created": now(), "operations": _others(row, changes)} for row in rows[Study]]
    if spec != study.spec:
        rows[Study] = [row | {"spec": spec.to_json(), "spec_hash": spec.hash} for row in rows[Study]]
    _insert(database, rows)
    certificate = certificate_of(store.database, study)
    copy = Store(database, store.library, Key(folder / "signing-key"))
    copied = find_study(database, study.name, study.version)
    if certificate:
        keep_certificate(database, copied, certificate)
    return copy, copied


def _rows(session: Any, table: Any, study: int) -> list[dict[str, Any]]:
    of_study = table.id == study if table is Study else table.study_id == study
    columns = table.__table__.columns
    return [dict(row._mapping) for row in session.execute(select(*columns).where(of_study).order_by(table.id))]


def _others(row: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """The operations that nothing of `changes` overrides."""
    known = json.loads(row["operations"])
    return json.dumps({name: value for name, value in known.items() if name not in changes})


def _insert(database: Database, rows: Mapping[Any, list[dict[str, Any]]]) -> None:
    with database.write() as session:
        for table, values in rows.items():
            session.execute(insert(table), values)
