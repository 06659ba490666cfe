"""Places in a study's plan: which are free, who has one, and what a rater is handed.

A place is taken by the first vote of whoever was handed it. Until then several people may look at the last free one.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, select
from sqlalchemy.orm import Session

from study.clock import now
from study.protocol.adaptive import PastAnswer, chosen
from study.protocol.balanced import Assignment, part_of_quota, plan, quota, rater_count, slots
from study.store.chain import tail
from study.store.studies import StudyInfo, answered_quota, has_voted, patience
from study.store.tables import Rater, StoredAssignment, StoredPair, StoredStimulus, Vote


def hand_out(session: Session, study: StudyInfo, rater: Rater, moment: datetime) -> None:
    """Gives the rater, who has answered nothing yet, a place and its pairs; those handed out before are forgotten."""
    session.execute(delete(StoredAssignment).where(StoredAssignment.rater_id == rater.id))
    rater.seat, rater.dealt = free_seat(session, study), moment
    rater.dealt_after = tail(session, study.id)[0] if study.spec.adaptive else None
    _store(session, study, rater.id, _handed_out(session, study, rater))


def somebody_was_faster(session: Session, study: StudyInfo, rater: Rater) -> bool:
    """Whether others took what a rater about to give a first answer was handed, and there is something else to do."""
    if rater.seat is None:
        needed = missing(session, study)
        of_rater = (StoredAssignment.rater_id == rater.id, StoredAssignment.kind == "comparison")
        handed = select(StoredPair.key).join(StoredAssignment).where(*of_rater)
        parts = {part_of_quota(study.spec, key) for key in session.scalars(handed)}
        return bool(needed) and not needed.keys() >= parts
    taken = select(Rater.id).where(Rater.study_id == study.id, Rater.seat == rater.seat, *_holds_its_place())
    if session.scalars(taken.where(Rater.id != rater.id).limit(1)).first() is None:
        return False
    return free_seat(session, study) is not None or bool(missing(session, study))


def _holds_its_place():
    """Conditions for a query of raters: they have voted, and their answers count."""
    return has_voted(), Rater.dropped == "", Rater.excluded == ""


def free_seat(session: Session, study: StudyInfo) -> int | None:
    """The first place that no vote has taken: one that nobody looks at, else the one handed out longest ago."""
    counts = and_(*_holds_its_place())
    of_study = select(Rater.seat, Rater.dealt, counts).where(Rater.study_id == study.id, Rater.seat.is_not(None))
    rows = session.execute(of_study.where(counts | (Rater.status == "active"))).all()
    taken = {seat for seat, _, counts in rows if counts}
    looked_at: dict[Any, Any] = {seat: dealt for seat, dealt, _ in sorted(rows, key=lambda row: row.dealt)}
    free = [seat for seat in range(rater_count(study.spec)) if seat not in taken]
    unseen = [seat for seat in free if seat not in looked_at]
    if unseen or not free:
        return unseen[0] if unseen else None
    return min(free, key=lambda seat: looked_at[seat])


def missing(session: Session, study: StudyInfo) -> dict[str, int]:
    """Parts of the quota to how many raters they still need, beyond those who are at it; none that needs nobody."""
    taken = answered_quota(session, study, held_since=now() - patience(session, study))
    needs = {part: wanted - taken.get(part, 0) for part, wanted in quota(study.spec).items()}
    return {part: count for part, count in needs.items() if count > 0}


def _handed_out(session: Session, study: StudyInfo, rater: Rater) -> tuple[Assignment, ...]:
    """The block of the rater's seat; after the last block, what others left. Of an adaptive study that is prompts."""
    spec, secret = study.spec, study.plan_secret
    number = rater.number if rater.seat is None else rater.seat
    parts = None
    if rater.seat is None:
        needs = missing(session, study) or dict.fromkeys(quota(spec), 0)
        often = {part: min(max(n, 1), len(spec.arm_pairs)) if spec.adaptive else 1 for part, n in needs.items()}
        parts = [part for part in sorted(needs, key=lambda id: -needs[id]) for _ in range(often[part])]
        parts = parts[: spec.pairs_per_rater]
    if not spec.adaptive:
        return plan(spec, number, parts, secret)
    units = slots(spec, number, secret) if parts is None else sorted(parts)
    return plan(spec, number, chosen(spec, units, _past_answers(session, study), number, secret), secret)


def _past_answers(session: Session, study: StudyInfo) -> list[PastAnswer]:
    """Every answer to the first question that was not withdrawn, as `study.protocol.adaptive` reads it."""
    query = (
        select(StoredPair.key, StoredStimulus.sha256, Vote.answer)
        .join(StoredAssignment, StoredAssignment.id == Vote.assignment_id)
        .join(Rater, Rater.id == Vote.rater_id)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(StoredStimulus, StoredStimulus.id == StoredAssignment.left_id)
        .where(Vote.study_id == study.id, Vote.is_current, Vote.question == study.spec.questions[0].key)
        .where(StoredAssignment.kind == "comparison", Rater.dropped == "")
    )
    return [(key, left, answer) for key, left, answer in session.execute(query)]


def _store(session: Session, study: StudyInfo, rater: str, assignments: Sequence[Assignment]) -> None:
    stored = session.scalars(select(StoredStimulus.id).where(StoredStimulus.study_id == study.id).order_by("id"))
    ids = dict(zip(study.spec.images, stored, strict=True))
    pairs = _pair_ids(session, study, assignments)
    names = {a.position: secrets.token_hex(8) for a in assignments}

    session.add_all(
        StoredAssignment(
            id=names[a.position],
            rater_id=rater,
            pair_id=pairs[a.pair],
            position=a.position,
            kind=a.kind,
            gold=a.gold,
            propensity=a.propensity,
            repeat_of=None if a.repeat_of is None else names[a.repeat_of],
            left_id=ids[a.left],
            right_id=ids[a.right],
            released=False,
            left_token=secrets.token_urlsafe(16),
            right_token=secrets.token_urlsafe(16),
        )
        for a in sorted(assignments, key=lambda a: a.repeat_of is not None)
    )
    session.flush()


def _pair_ids(session: Session, study: StudyInfo, assignments: Sequence[Assignment]) -> dict[str, int]:
    wanted = {a.pair: a.prompt for a in assignments}
    query = select(StoredPair).where(StoredPair.study_id == study.id, StoredPair.key.in_(wanted))
    known = {pair.key for pair in session.scalars(query)}
    session.add_all(StoredPair(study_id=study.id, key=key, prompt=wanted[key]) for key in sorted(wanted.keys() - known))
    session.flush()
    return {pair.key: pair.id for pair in session.scalars(query)}
