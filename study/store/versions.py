"""Versions of one study: what each of them changed, and which may be counted together."""

from dataclasses import fields
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from study.protocol.spec import OPERATIONS, StudySpec
from study.store.database import Database
from study.store.studies import StudyInfo, info
from study.store.tables import Study

# What may differ between versions that are pooled: it changes who is shown what how often, and no question or picture.
FREE = (*OPERATIONS, "commitment", "seed", "raters_per_pair", "pairs_per_rater")


def deviations(database: Database, study: StudyInfo) -> list[dict[str, Any]]:
    """Each amendment up to this version: version, reason, time, what changed."""
    rows = _up_to(database, study)
    found = []
    for (old, _), (new, time) in pairwise(rows):
        changed = changes(old.spec, new.spec)
        found.append({"version": new.version, "reason": new.reason, "time": time, "changed": changed})
    return found


def pooled(database: Database, study: StudyInfo) -> list[StudyInfo]:
    """Earlier versions whose answers may be counted with this one's: they differ in FREE fields alone."""
    return [old for old, _ in _up_to(database, study)[:-1] if _science(old.spec) == _science(study.spec)]


def changes(old: StudySpec, new: StudySpec) -> list[str]:
    """Fields that differ, short values with what they were."""
    found = []
    for field in fields(StudySpec):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if was != now and field.name != "commitment":
            short = all(isinstance(value, int | str | None) for value in (was, now))
            found.append(f"{field.name}: {was!r} to {now!r}" if short else field.name)
    return found


def _science(spec: StudySpec) -> dict[str, Any]:
    return {field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in FREE}


def _up_to(database: Database, study: StudyInfo) -> list[tuple[StudyInfo, str]]:
    query = select(Study).where(Study.name == study.name, Study.version <= study.version).order_by(Study.version)
    with database.read() as session:
        return [(info(row, row.name), row.created.isoformat(timespec="seconds")) for row in session.scalars(query)]
