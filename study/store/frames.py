"""A study's data as tables, with the columns that `study.protocol.columns` names."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, aliased

from study.protocol.columns import PROPENSITY, RATER_COLUMNS, VOTE_COLUMNS
from study.protocol.spec import StudySpec
from study.protocol.times import own_times
from study.store.chain import ERASED, SHOWN, payload_of, payload_of_entry, payload_of_withdrawal, remains_of, shown_of
from study.store.database import Database
from study.store.remarks import remarks
from study.store.studies import StudyInfo
from study.store.tables import Arm, Entry, Rater, StoredAssignment, StoredPair, StoredStimulus, Vote, Withdrawal


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
            _votes(study.spec, _vote_rows(session, study)),
            pd.DataFrame(
                [_rater_row(rater) for rater in raters],
                columns=list(RATER_COLUMNS),
            ),
            tuple(_revisions(session, study)),
        )


def read_votes(database: Database, study: StudyInfo, rater: str) -> pd.DataFrame:
    """The current answers of one rater."""
    with database.read() as session:
        return _votes(study.spec, _vote_rows(session, study, rater))


def read_remarks(database: Database, study: StudyInfo) -> pd.DataFrame:
    """Rater, key and words of what raters said after their last pair."""
    with database.read() as session:
        return pd.DataFrame(remarks(session, study), columns=["rater", "key", "words"])


def plan_of(database: Database, study: StudyInfo) -> dict[str, Any]:
    """What each rater's pairs were drawn from, of a study that is closed; nothing before, nor without a commitment.

    For each rater the place in the plan; who had none was given `pairs`, and draws by their number. In an adaptive
    study all have pairs, with their propensities, and the number of the chain's entry after which they were drawn.
    """
    if not study.closed or not study.spec.commitment:
        return {}
    of_study = select(Rater).where(Rater.study_id == study.id, Rater.dealt.is_not(None)).order_by(Rater.number)
    with database.read() as session:
        raters = {rater.id: _pairs_of(session, study, rater) for rater in session.scalars(of_study)}
    return {"secret": study.plan_secret, "raters": raters}


def _pairs_of(session: Session, study: StudyInfo, rater: Rater) -> dict[str, Any]:
    plan: dict[str, Any] = {"number": rater.number, "seat": rater.seat, "pairs": None}
    if rater.seat is not None and not study.spec.adaptive:
        return plan
    compared = (
        select(StoredPair.key, StoredAssignment.propensity)
        .join(StoredAssignment, StoredAssignment.pair_id == StoredPair.id)
        .where(StoredAssignment.kind == "comparison", StoredAssignment.rater_id == rater.id)
        .order_by(StoredPair.key)
    )
    propensities = {key: propensity for key, propensity in session.execute(compared)}
    return plan | (
        {"pairs": propensities, "after": rater.dealt_after} if study.spec.adaptive else {"pairs": list(propensities)}
    )


def head_of(database: Database, study: StudyInfo) -> dict[str, Any]:
    """The end of the chain as it was signed when the study was closed last; nothing before."""
    closed = select(Entry.signature).where(Entry.study_id == study.id, Entry.kind == "closed")
    with database.read() as session:
        signature = session.scalars(closed.order_by(Entry.number.desc()).limit(1)).first()
    return json.loads(signature) if signature else {}


def _votes(spec: StudySpec, rows: Iterable[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=[*VOTE_COLUMNS, PROPENSITY])
    table = table.astype({"response_ms": float, "answer_ms": float, PROPENSITY: float})
    return table if spec.adaptive else table.drop(columns=PROPENSITY)


def _rater_row(r: Rater) -> tuple:
    status = "dropped" if r.dropped else r.status
    times = ("", "") if r.person == f"{ERASED}:{r.id}" else (_iso(r.started), _iso(r.finished))
    return r.id, r.mode, status, *times, r.channel, r.dropped


def _iso(time: datetime | None) -> str:
    return time.isoformat(timespec="microseconds") if time else ""


def _revisions(session: Session, study: StudyInfo) -> Iterable[dict[str, Any]]:
    """The whole chain, in its order; of raters who are erased only the hashes and the withdrawal."""
    erased = set(
        session.scalars(select(Rater.id).where(Rater.study_id == study.id, Rater.person == ERASED + ":" + Rater.id))
    )
    withdrawn = session.scalars(select(Withdrawal).where(Withdrawal.study_id == study.id))
    entries = [payload_of_withdrawal(entry, study.spec.hash) | {"hash": entry.hash} for entry in withdrawn]
    others = session.scalars(select(Entry).where(Entry.study_id == study.id))
    chained = [
        *_vote_entries(session, study),
        *(payload_of_entry(e, study.spec.hash) | {"hash": e.hash} for e in others),
    ]
    entries += [remains_of(e) | {"hash": e["hash"]} if e["rater"] in erased else e for e in chained]
    return sorted(entries, key=lambda entry: entry["number"])


def _vote_entries(session: Session, study: StudyInfo) -> Iterable[dict[str, Any]]:
    votes = session.scalars(select(Vote).where(Vote.study_id == study.id).order_by(Vote.number)).all()
    of_study = SHOWN.where(StoredPair.study_id == study.id)
    shown = {row[0]: shown_of(row, study.spec) for row in session.execute(of_study)}
    for vote in votes:
        yield payload_of(vars(vote), shown[vote.assignment_id], study.spec.hash) | {"hash": vote.hash}


def _vote_rows(session: Session, study: StudyInfo, rater: str | None = None) -> Iterable[tuple]:
    left, right = aliased(StoredStimulus), aliased(StoredStimulus)
    passes = {question.key: i for i, question in enumerate(study.spec.questions)}
    questions = {question.key: question for question in study.spec.questions}
    of_study = select(StoredAssignment.rater_id, func.count()).join(Rater).where(Rater.study_id == study.id)
    of_study = of_study.where(true() if rater is None else Rater.id == rater).group_by(StoredAssignment.rater_id)
    lengths = {who: count for who, count in session.execute(of_study)}
    arms = {arm.id: arm.name for arm in session.scalars(select(Arm).where(Arm.study_id == study.id))}
    of_whom = (Vote.study_id == study.id, true() if rater is None else Vote.rater_id == rater)
    times = select(Vote.rater_id, Vote.request, Vote.id, Vote.response_ms, Vote.server_ms).where(*of_whom)
    own = own_times(
        ((row.rater_id, row.request), row.id, row.response_ms, row.server_ms) for row in session.execute(times)
    )
    query = (
        select(Vote, Rater, StoredAssignment, StoredPair, left, right)
        .join(StoredAssignment, StoredAssignment.id == Vote.assignment_id)
        .join(Rater, Rater.id == Vote.rater_id)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(left, left.id == StoredAssignment.left_id)
        .join(right, right.id == StoredAssignment.right_id)
        .where(*of_whom, Vote.is_current, Rater.dropped == "")
        .order_by(Vote.number)
    )
    for vote, by, shown, pair, of_left, of_right in session.execute(query):
        past = passes[vote.question] * lengths[by.id] if by.mode == "separate" else 0
        yield (
            by.id,
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
            by.mode,
            past + shown.position,
            float(vote.response_ms),
            float(own[vote.id]),
            questions[vote.question].right(shown.gold),
            study.spec.image_name(of_left.sha256),
            study.spec.image_name(of_right.sha256),
            _iso(vote.time),
            shown.propensity,
        )
