"""What raters write besides their answers: a questionnaire about them, and a comment."""

import json
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from study.clock import now
from study.store.database import Database
from study.store.raters import Participation
from study.store.studies import StudyInfo
from study.store.tables import Event, Rater

REMARKED = "said"  # the event's name in the database
COMMENT = "comment"  # the key of the free comment


def keep_remarks(database: Database, rater: Participation, given: Mapping[str, str]) -> None:
    """Stores answers to the questionnaire, empty ones too, so that nobody is asked twice."""
    with database.write() as session:
        detail = json.dumps(dict(given), sort_keys=True)
        session.add(Event(study_id=rater.study.id, rater_id=rater.id, name=REMARKED, detail=detail, time=now()))


def has_remarked(database: Database, rater: Participation) -> bool:
    """Whether there is nothing left to ask the rater, who has answered or whose study asks nothing."""
    page = rater.study.spec.page
    if not page.questionnaire and not page.comment:
        return True
    with database.read() as session:
        return (
            session.scalars(select(Event.id).where(Event.rater_id == rater.id, Event.name == REMARKED)).first()
            is not None
        )


def remarks(session: Session, study: StudyInfo) -> list[tuple[str, str, str]]:
    """Rater, key and words, of whoever was not withdrawn; the latest of each, none that is empty."""
    query = (
        select(Event.rater_id, Event.detail)
        .join(Rater, Rater.id == Event.rater_id)
        .where(Event.study_id == study.id, Event.name == REMARKED, Rater.dropped == "")
        .order_by(Event.id)
    )
    latest = {str(rater): json.loads(detail) for rater, detail in session.execute(query)}
    return [(rater, key, words) for rater, given in latest.items() for key, words in given.items() if words]
