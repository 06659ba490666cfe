"""Certificates of blindness: what an attack on a study's pages found, kept with the study."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from study.clock import now
from study.errors import StudyError
from study.store.database import Database
from study.store.studies import StudyInfo
from study.store.tables import Event

CERTIFIED = "certified"  # the event's name


def keep_certificate(database: Database, study: StudyInfo, certificate: Mapping[str, Any]) -> None:
    """Store a certificate with this version of the study; the latest one counts."""
    with database.write() as session:
        detail = json.dumps(dict(certificate), sort_keys=True)
        session.add(Event(study_id=study.id, rater_id=None, name=CERTIFIED, detail=detail, time=now()))


def certificate_of(database: Database, study: StudyInfo) -> dict[str, Any]:
    """The latest; empty where there is none."""
    query = select(Event.detail).where(Event.study_id == study.id, Event.name == CERTIFIED).order_by(Event.id.desc())
    with database.read() as session:
        detail = session.scalars(query.limit(1)).first()
    return json.loads(detail) if detail else {}


def passed(database: Database, study: StudyInfo) -> bool:
    return bool(certificate_of(database, study).get("passed"))


def check_certified(database: Database, study: StudyInfo) -> None:
    """Raises StudyError where the study has not passed."""
    if not passed(database, study):
        known = certificate_of(database, study)
        why = "failed its certification: its pages give the arms away" if known else "has no certificate yet"
        raise StudyError(f"{study.name!r} {why}. Run python -m study certify {study.name}, then open it.")
