"""What raters say besides their answers: a questionnaire about them, and a comment."""

import json
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from study.clock import now
from study.store.database import Database
from study.store.raters import Participation
from study.store.studies import StudyInfo
from study.store.tables import Event, Rater

SAID = "said"  # the event's name
COMMENT = "comment"  # the key of what was said freely


def say(database: Database, rater: Participation, said: Mapping[str, str]) -> None:
    """Keeps it; empty answers, too, so that nobody is asked twice."""
    with database.write() as session:
        detail = json.dumps(dict(said), sort_keys=True)
        session.add(Event(study_id=rater.study.id, rater_id=rater.id, name=SAID, detail=detail, time=now()))


def has_said(database: Database, rater: Participation) -> bool:
    """Whether the rater needs not be asked: because it was said, or because the study asks nothing."""
    page = rater.study.spec.page
    if not page.questionnaire and not page.comment:
        return True
    with database.read() as session:
        return (
            session.scalars(select(Event.id).where(Event.rater_id == rater.id, Event.name == SAID)).first() is not None
        )


def remarks(session: Session, study: StudyInfo) -> list[tuple[str, str, str]]:
    """Rater, key and words, of whoever was not withdrawn; the latest of each, none that is empty."""
    query = (
        select(Event.rater_id, Event.detail)
        .join(Rater, Rater.id == Event.rater_id)
        .where(Event.study_id == study.id, Event.name == SAID, Rater.dropped == "")
        .order_by(Event.id)
    )
    latest = {str(rater): json.loads(detail) for rater, detail in session.execute(query)}
    return [(rater, key, words) for rater, said in latest.items() for key, words in said.items() if words]
