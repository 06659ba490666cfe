"""Raters who leave: their open pairs are free, or their answers count no more."""

from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from study.clock import now
from study.errors import StudyError
from study.store.chain import ERASED, chain_hash, payload_of_withdrawal, tail
from study.store.database import Database
from study.store.studies import StudyInfo
from study.store.tables import Entry, Event, Rater, Study, Vote, Withdrawal


def find_named(database: Database, study: StudyInfo, name: str) -> str:
    """The id of a rater, from that id, their completion code, or who they are as `study people` has it.

    Raises:
        StudyError: nobody is called so, or several are.
    """
    same = or_(
        Rater.id == name.removeprefix("open:"),
        (Rater.code == name) & (Rater.code != ""),
        Rater.person == name,
        Rater.person == Rater.channel + ":" + name,
    )
    with database.read() as session:
        numbers = session.scalars(select(Rater.id).where(Rater.study_id == study.id, same)).all()
    if len(numbers) != 1:
        many = "several raters" if numbers else "no rater"
        raise StudyError(
            f"{study.name!r} has {many} called {name!r}: `python -m study people {study.name}` names them."
        )
    return numbers[0]


def release(database: Database, study: StudyInfo, rater: str) -> None:
    """The rater's open pairs go to others at once; what they answered stays, and they may come back."""
    with database.write() as session:
        session.execute(update(Rater).where(Rater.id == rater, Rater.status == "active").values(status="abandoned"))
        session.add(Event(study_id=study.id, rater_id=rater, name="released", detail="", time=now()))


def drop(database: Database, study: StudyInfo, rater: str, reason: str, erase: bool = False) -> None:
    """The rater's answers stay in the chain, and count nowhere; the withdrawal is an entry of the chain itself.

    Args:
        erase: also what identifies the person: the platform's ID or the label, the completion code, what is noted
            besides votes, and what an answer says of its circumstances: times, window. Exports have the hashes
            alone of these answers' entries.

    Raises:
        StudyError: no reason is given.
    """
    if not reason.strip():
        raise StudyError("Say why: --reason is printed in the report. It must not name the person.")
    with database.write() as session:
        session.scalars(select(Study.id).where(Study.id == study.id).with_for_update()).one()
        row = session.get_one(Rater, rater)
        if not row.dropped:
            row.dropped = reason.strip()
            number, previous = tail(session, study.id)
            entry = Withdrawal(
                study_id=study.id, number=number + 1, rater_id=rater, reason=row.dropped, time=now(), previous=previous
            )
            entry.hash = chain_hash(payload_of_withdrawal(entry, study.spec.hash))
            session.add(entry)
        if erase:
            withdrawn = session.scalars(select(Withdrawal.time).where(Withdrawal.rater_id == rater)).one()
            _erase(session, row, withdrawn)
    if erase:
        database.scrub()


def _erase(session: Session, row: Rater, moment: datetime) -> None:
    """All times become that of the withdrawal: a platform knows who began and ended when."""
    row.person, row.browser, row.code = f"{ERASED}:{row.id}", "", ""
    row.started = row.last_seen = moment
    row.finished = row.finished and moment
    row.dealt = row.dealt and moment
    session.execute(delete(Event).where(Event.rater_id == row.id))
    nothing = {"response_ms": 0, "server_ms": None, "decode_ms": None, "viewport": "", "time": moment}
    session.execute(update(Vote).where(Vote.rater_id == row.id).values(nothing))
    session.execute(update(Entry).where(Entry.rater_id == row.id).values(time=moment))


def mark_excluded(database: Database, rater: str, rules: str) -> None:
    """Which rules a finished rater broke, "" for none: an excluded rater's pairs are asked again."""
    with database.write() as session:
        session.execute(update(Rater).where(Rater.id == rater).values(excluded=rules))
