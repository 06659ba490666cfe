"""Versions of one study: what each of them changed, and which may be counted together."""

from dataclasses import fields
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from study.protocol.spec import OPERATIONS, StudySpec
from study.store.database import Database
from study.store.studies import StudyInfo, info
from study.store.tables import Study, Vote

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


def registration(study: StudyInfo, database: Database) -> dict[str, Any]:
    """When the version was frozen, and the first answer came, by this server's clock; nothing without hypotheses."""
    if not study.spec.hypotheses and not study.spec.analysis:
        return {}
    first = select(Vote.time).where(Vote.study_id == study.id).order_by(Vote.number).limit(1)
    with database.read() as session:
        created, answered = session.get_one(Study, study.id).created, session.scalars(first).first()
    return {"spec": study.spec.hash, "time": _iso(created), "first_answer": _iso(answered) if answered else ""}


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def pooled(database: Database, study: StudyInfo) -> list[StudyInfo]:
    """Earlier versions whose answers may be counted with this one's: they differ in FREE fields alone."""
    return [old for old, _ in _up_to(database, study)[:-1] if _science(old.spec) == _science(study.spec)]


def changes(old: StudySpec, new: StudySpec) -> list[str]:
    """Fields that differ, short values with what they were."""
    sentences = []
    for field in fields(StudySpec):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if was != now and field.name != "commitment":
            short = all(isinstance(value, int | str | None) for value in (was, now))
            sentences.append(f"{field.name}: {was!r} to {now!r}" if short else field.name)
    return sentences


def _science(spec: StudySpec) -> dict[str, Any]:
    return {field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in FREE}


def _up_to(database: Database, study: StudyInfo) -> list[tuple[StudyInfo, str]]:
    query = select(Study).where(Study.name == study.name, Study.version <= study.version).order_by(Study.version)
    with database.read() as session:
        return [(info(row, row.name), _iso(row.created)) for row in session.scalars(query)]
