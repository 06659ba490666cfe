"""Making studies and changing them: a spec is written once, and an amendment is a new version."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from study.errors import StudyError
from study.protocol.balanced import comparisons, rater_count
from study.protocol.spec import DEGRADED, StudySpec
from study.store.database import Database
from study.store.tables import Arm, Event, Rater, StoredAssignment, StoredPair, StoredStimulus, Study, Vote


@dataclass(frozen=True)
class StudyInfo:
    """One version of a study, apart from the database."""

    id: int
    name: str
    version: int
    spec: StudySpec
    token: str  # names the study in links
    secret: str  # signs its personal links
    reason: str  # of the amendment
    closed: bool


@dataclass(frozen=True)
class Progress:
    """How far a study is. Counts."""

    raters_planned: int
    raters: dict[str, int]  # by status: active, finished, abandoned
    votes: int  # current answers
    pairs: int  # comparisons that the study has
    pairs_complete: int  # of them, with answers of `raters_per_pair` raters


def now() -> datetime:
    return datetime.now(UTC)


def create_study(database: Database, spec: StudySpec) -> StudyInfo:
    """Raises StudyError where the name is taken."""
    try:
        with database.write() as session:
            return _insert(session, spec, 1, "")
    except IntegrityError:
        raise StudyError(f"There is a study {spec.name!r} already: choose another name, or amend it.") from None


def amend_study(database: Database, name: str, reason: str, **changes: Any) -> StudyInfo:
    """A new version; the old one takes nobody new. Its raters may finish.

    Raises:
        StudyError: no such study, no reason, no change, or a spec that cannot be.
    """
    if not reason.strip():
        raise StudyError("An amendment needs a reason: it is recorded with the new version.")
    with database.write() as session:
        row = session.scalars(newest(name).with_for_update()).first()
        old = info(row, name)
        spec = replace(old.spec, **changes)
        if spec == old.spec:
            raise StudyError("The amendment changes nothing.")
        session.execute(update(Study).where(Study.id == old.id).values(closed=now()))
        return _insert(session, spec, old.version + 1, reason.strip())


def close_study(database: Database, name: str) -> None:
    """Nobody new takes part; who has begun may finish."""
    study = find_study(database, name)
    with database.write() as session:
        session.execute(update(Study).where(Study.id == study.id, Study.closed.is_(None)).values(closed=now()))
        session.add(Event(study_id=study.id, rater_id=None, name="closed", detail="", time=now()))


def find_study(database: Database, name: str, version: int | None = None) -> StudyInfo:
    """The newest version, or that one. Raises StudyError where there is none."""
    query = newest(name) if version is None else newest(name).where(Study.version == version)
    with database.read() as session:
        return info(session.scalars(query).first(), name)


def list_studies(database: Database, by_visitors: bool = False) -> Sequence[StudyInfo]:
    """Every version of the designed studies, by name and number; or the pairs that visitors chose."""
    kind = "visitor" if by_visitors else "designed"
    query = select(Study).where(Study.kind == kind).order_by(Study.name, Study.version)
    with database.read() as session:
        return [info(row, row.name) for row in session.scalars(query)]


def progress(database: Database, study: StudyInfo) -> Progress:
    with database.read() as session:
        statuses = select(Rater.status, func.count()).where(Rater.study_id == study.id).group_by(Rater.status)
        votes = select(func.count()).select_from(Vote).where(Vote.study_id == study.id, Vote.is_current)
        answered = answered_comparisons(session, study)
        found: dict[str, int] = {status: count for status, count in session.execute(statuses)}
        return Progress(
            raters_planned=rater_count(study.spec),
            raters={status: found.get(status, 0) for status in ("active", "finished", "abandoned")},
            votes=session.scalars(votes).one(),
            pairs=len(comparisons(study.spec)),
            pairs_complete=sum(count >= study.spec.raters_per_pair for count in answered.values()),
        )


def answered_comparisons(session: Session, study: StudyInfo, held: bool = False) -> dict[str, int]:
    """Pair id to its raters who answered every question; with `held`, also those who are about to."""
    votes = select(func.count()).where(Vote.assignment_id == StoredAssignment.id, Vote.is_current).scalar_subquery()
    counted = votes == len(study.spec.questions)
    query = (
        select(StoredPair.key, func.count())
        .select_from(StoredAssignment)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(Rater, Rater.id == StoredAssignment.rater_id)
        .where(StoredPair.study_id == study.id, StoredAssignment.kind == "comparison", ~StoredAssignment.released)
        .where(counted | (Rater.status == "active") if held else counted)
        .group_by(StoredPair.key)
    )
    return {key: count for key, count in session.execute(query)}


def newest(name: str):
    return select(Study).where(Study.name == name).order_by(Study.version.desc())


def info(row: Study | None, name: str) -> StudyInfo:
    if row is None:
        raise StudyError(f"There is no study {name!r}: `python -m study list` names those there are.")
    return StudyInfo(
        row.id, row.name, row.version, _spec(row.spec), row.token, row.secret, row.reason, row.closed is not None
    )


@lru_cache(maxsize=32)
def _spec(text: str) -> StudySpec:
    """Specs never change, and a server reads the same one at each request."""
    return StudySpec.from_json(text)


def _insert(session: Session, spec: StudySpec, version: int, reason: str) -> StudyInfo:
    row = Study(
        name=spec.name,
        kind=spec.kind,
        version=version,
        spec=spec.to_json(),
        spec_hash=spec.hash,
        reason=reason,
        token=secrets.token_urlsafe(12),
        secret=secrets.token_urlsafe(32),
        created=now(),
        closed=None,
    )
    session.add(row)
    session.flush()
    arms = {name: Arm(study_id=row.id, name=name) for name in (*spec.arms, DEGRADED)}
    session.add_all(arms.values())
    session.flush()
    session.add_all(
        StoredStimulus(
            study_id=row.id,
            arm_id=arms[s.arm].id,
            prompt=s.prompt,
            category=spec.category(s.prompt),
            file=s.file,
            sha256=s.sha256,
        )
        for s in (*spec.stimuli, *spec.degraded)
    )
    session.flush()
    return info(row, spec.name)
