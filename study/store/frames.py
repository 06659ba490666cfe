"""A study's data as tables, with the columns that `study.protocol.columns` names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from study.protocol.columns import RATER_COLUMNS, VOTE_COLUMNS
from study.protocol.spec import StudySpec
from study.store.chain import SHOWN, payload_of, shown_of
from study.store.database import Database
from study.store.studies import StudyInfo
from study.store.tables import Arm, Rater, StoredAssignment, StoredPair, StoredStimulus, Vote


@dataclass(frozen=True)
class Tables:
    spec: StudySpec
    votes: pd.DataFrame  # VOTE_COLUMNS
    raters: pd.DataFrame  # RATER_COLUMNS
    revisions: tuple[Mapping[str, Any], ...]  # every revision in the order of the chain, each with its hash


def read_tables(database: Database, study: StudyInfo) -> Tables:
    """One consistent moment of a study, whether or not it is finished."""
    with database.read() as session:
        raters = session.scalars(select(Rater).where(Rater.study_id == study.id).order_by(Rater.number)).all()
        return Tables(
            study.spec,
            pd.DataFrame(_vote_rows(session, study), columns=list(VOTE_COLUMNS)).astype({"response_ms": float}),
            pd.DataFrame(
                [(r.id, r.mode, r.status, _iso(r.started), _iso(r.finished), r.channel) for r in raters],
                columns=list(RATER_COLUMNS),
            ),
            tuple(_revisions(session, study)),
        )


def image_name(sha256: str) -> str:
    return f"images/{sha256}.png"


def _iso(time: datetime | None) -> str:
    return time.isoformat(timespec="microseconds") if time else ""


def _revisions(session: Session, study: StudyInfo) -> Iterable[dict[str, Any]]:
    votes = session.scalars(select(Vote).where(Vote.study_id == study.id).order_by(Vote.number)).all()
    of_study = SHOWN.where(StoredPair.study_id == study.id)
    shown = {row[0]: shown_of(row) for row in session.execute(of_study)}
    for vote in votes:
        yield payload_of(vote, shown[vote.assignment_id], study.spec.hash) | {"hash": vote.hash}


def _vote_rows(session: Session, study: StudyInfo) -> Iterable[tuple]:
    left, right = aliased(StoredStimulus), aliased(StoredStimulus)
    passes = {question.key: i for i, question in enumerate(study.spec.questions)}
    lengths: dict[str, int] = {}
    of_study = select(StoredAssignment.rater_id).join(Rater).where(Rater.study_id == study.id)
    for rater in session.scalars(of_study):
        lengths[rater] = lengths.get(rater, 0) + 1
    arms = {arm.id: arm.name for arm in session.scalars(select(Arm).where(Arm.study_id == study.id))}
    query = (
        select(Vote, Rater, StoredAssignment, StoredPair, left, right)
        .join(StoredAssignment, StoredAssignment.id == Vote.assignment_id)
        .join(Rater, Rater.id == Vote.rater_id)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(left, left.id == StoredAssignment.left_id)
        .join(right, right.id == StoredAssignment.right_id)
        .where(Vote.study_id == study.id, Vote.is_current)
        .order_by(Vote.number)
    )
    for vote, rater, shown, pair, of_left, of_right in session.execute(query):
        past = passes[vote.question] * lengths[rater.id] if rater.mode == "separate" else 0
        yield (
            rater.id,
            shown.id,
            pair.key,
            pair.prompt,
            of_left.category,
            arms[of_left.arm_id],
            arms[of_right.arm_id],
            shown.kind,
            shown.repeat_of or "",
            vote.question,
            vote.answer,
            rater.mode,
            past + shown.position,
            float(vote.response_ms),
            shown.gold,
            image_name(of_left.sha256),
            image_name(of_right.sha256),
            _iso(vote.time),
        )
