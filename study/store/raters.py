"""Who takes part: entry, personal links, and the quotas that decide what a rater is handed."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from itsdangerous import BadData, Signer, URLSafeTimedSerializer
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from study.clock import now
from study.errors import StudyError
from study.protocol.balanced import part_of_quota, rater_mode
from study.store.database import Database
from study.store.places import free_seat, hand_out, missing
from study.store.studies import FEW, StudyInfo, has_voted, info, info_from, patience
from study.store.tables import Event, Rater, StoredAssignment, StoredPair, Study, Vote

INVITATION_DAYS = 90
ENTERED = "entered"  # the event that keeps what a crowd platform's link said
ELSEWHERE = (
    "This person has begun in another browser. Go on there, or by the personal link on the page behind Pause; if you "
    "have lost both, write to whoever runs the study."
)
WHO = (  # whose address it is, at each request of a rater
    select(
        Rater.id.label("rater"),
        Rater.channel,
        Rater.mode,
        Rater.status,
        Rater.dropped,
        Rater.code,
        Rater.practised,
        *FEW,
    )
    .join(Study, Study.id == Rater.study_id)
    .where(Rater.id == bindparam("rater"))
)
SPEC_OF = select(Study.spec).where(Study.id == bindparam("study"))
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is easily taken for another


@dataclass(frozen=True)
class Person:
    """Whoever takes part, as the entry knows them: the pair is unique in a study."""

    channel: str  # invite | open | prolific | mturk
    id: str


@dataclass(frozen=True)
class Participation:
    """A rater, apart from the database."""

    id: str
    study: StudyInfo
    channel: str
    mode: str
    status: str  # active | finished | abandoned | dropped
    code: str
    practised: int  # practice pairs seen; -1 before the instructions were read


def invite(study: StudyInfo, label: str) -> str:
    """The signed end of a personal link; one label, one participation."""
    return URLSafeTimedSerializer(study.secret, salt="invite").dumps(label)


def read_invitation(study: StudyInfo, token: str) -> Person:
    """Raises StudyError where it is forged, or older than INVITATION_DAYS."""
    try:
        label = URLSafeTimedSerializer(study.secret, salt="invite").loads(token, max_age=INVITATION_DAYS * 86400)
    except BadData:
        raise StudyError("This invitation is not valid, or no longer: ask for a new one.", 403) from None
    return Person("invite", label)


def find_by_token(database: Database, token: str) -> StudyInfo:
    """The study that a link names. Raises StudyError."""
    with database.read() as session:
        row = session.scalars(select(Study).where(Study.token == token)).first()
        if row is None:
            raise StudyError("There is no study at this address: check the link that you were given.", 403)
        return info(row, row.name)


def personal_token(participation: Participation) -> str:
    """What a rater's link ends with, on any device."""
    return Signer(participation.study.secret, salt="rater").sign(participation.id).decode()


def find_rater(database: Database, token: str) -> Participation:
    """Raises StudyError where the token is not one that `personal_token` made."""
    with database.look() as connection:
        row = connection.execute(WHO, {"rater": token.partition(".")[0]}).first()
        if row is not None:
            study = info_from(row, lambda: connection.execute(SPEC_OF, {"study": row.id}).scalar_one())
            participation = _participation_in(study, row.rater, row)
            if secrets.compare_digest(personal_token(participation).encode(), token.encode()):
                return participation
    raise StudyError("This personal link is not valid: check that you copied all of it.", 403)


def find_person(database: Database, study: StudyInfo, person: Person, browser: str = "") -> Participation | None:
    """Raises StudyError where the person took part with another browser."""
    with database.read() as session:
        return _find_person(session, study, person, browser)


def refusal(database: Database, study: StudyInfo, person: Person | None) -> str:
    """Why a newcomer cannot take part, for whoever reads the link; "" where there is a place."""
    with database.read() as session:
        return _refusal(session, study, person.channel if person else "open")


def enrol(database: Database, study: StudyInfo, person: Person, browser: str = "") -> Participation:
    """A new rater; the same one again where this person has taken part already. It takes no place in the plan.

    Args:
        browser: its mark, where nobody else may come in as this person.

    Raises:
        StudyError: the study is closed, has all the raters it needs, or the person came with another browser.
    """
    with database.write() as session:
        session.scalars(select(Study.id).where(Study.id == study.id).with_for_update()).one()
        if known := _find_person(session, study, person, browser):
            return known
        if reason := _refusal(session, study, person.channel):
            raise StudyError(reason, 403)
        number = session.scalars(select(func.count()).where(Rater.study_id == study.id)).one()
        rater = Rater(
            id=secrets.token_hex(8),
            study_id=study.id,
            number=number,
            person=f"{person.channel}:{person.id}",
            channel=person.channel,
            mode=rater_mode(study.spec, number, study.plan_secret),
            status="active",
            browser=browser,
            excluded="",
            dropped="",
            practised=-1,
            code="".join(secrets.choice(CODE_LETTERS) for _ in range(8)),
            started=now(),
            last_seen=now(),
        )
        session.add(rater)
        session.flush()
        return _participation(session, rater)


def deal(database: Database, participation: Participation) -> None:
    """Hands out the rater's pairs, once. Whoever has come so far is not sent away, even if others were faster."""
    study = participation.study
    with database.write() as session:
        session.scalars(select(Study.id).where(Study.id == study.id).with_for_update()).one()
        rater = session.get_one(Rater, participation.id)
        if rater.dealt:
            return
        moment = now()
        session.execute(_abandoning(study, moment - patience(session, study)))
        rater.last_seen, rater.status = moment, "active"
        hand_out(session, study, rater, moment)


def set_practised(database: Database, rater: str, practised: int) -> None:
    """Never backwards, whichever of two tabs asks last."""
    with database.write() as session:
        session.execute(
            update(Rater)
            .where(Rater.id == rater, Rater.practised < practised)
            .values(practised=practised, last_seen=now())
        )


def welcome_back(database: Database, participation: Participation) -> None:
    """A rater who was away too long goes on; pairs that others have answered meanwhile are not asked again."""
    study = participation.study
    with database.write() as session:
        session.scalars(select(Study.id).where(Study.id == study.id).with_for_update()).one()
        needed = missing(session, study)
        voted = select(Vote.assignment_id).where(Vote.rater_id == participation.id)
        open_pairs = (
            select(StoredAssignment.id, StoredPair.key)
            .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
            .where(StoredAssignment.rater_id == participation.id)
            .where(StoredAssignment.kind.in_(("comparison", "repeat")), StoredAssignment.id.not_in(voted))
        )
        released = [id for id, key in session.execute(open_pairs) if part_of_quota(study.spec, key) not in needed]
        session.execute(update(StoredAssignment).where(StoredAssignment.id.in_(released)).values(released=True))
        session.execute(
            update(Rater)
            .where(Rater.id == participation.id, Rater.status == "abandoned")
            .values(status="active", last_seen=now())
        )


def _abandoning(study: StudyInfo, silent_since: datetime):
    return (
        update(Rater)
        .where(Rater.study_id == study.id, Rater.status == "active", Rater.last_seen < silent_since)
        .values(status="abandoned")
    )


def _refusal(session: Session, study: StudyInfo, channel: str) -> str:
    if session.get_one(Study, study.id).closed:
        return "This study is closed. Thank you for your interest."
    cap = study.spec.open_cap
    if channel == "open" and cap is not None:
        began = select(func.count()).where(Rater.study_id == study.id, Rater.channel == "open", has_voted())
        began = began.where(Rater.dropped == "")
        if session.scalars(began).one() >= cap:
            return "This study has all the raters that it takes through this link. Thank you for coming."
    if free_seat(session, study) is None and not missing(session, study):
        return "This study has all the raters it needs. Thank you for coming."
    return ""


def _find_person(session: Session, study: StudyInfo, person: Person, browser: str) -> Participation | None:
    """The person's participation in this version, or in another one in which they voted: nobody takes part twice."""
    query = (
        select(Rater)
        .join(Study, Study.id == Rater.study_id)
        .where(Study.name == study.name, Rater.person == f"{person.channel}:{person.id}")
        .where((Study.id == study.id) | has_voted())
        .order_by(Study.id != study.id, Study.version.desc())
    )
    row = session.scalars(query).first()
    if row and row.browser and not secrets.compare_digest(row.browser.encode(), browser.encode()):
        raise StudyError(ELSEWHERE, 403)
    return _participation(session, row) if row else None


def _participation(session: Session, row: Rater) -> Participation:
    study = session.get_one(Study, row.study_id)
    return _participation_in(info(study, study.name), row.id, row)


def _participation_in(study: StudyInfo, id: str, row: Any) -> Participation:
    status = "dropped" if row.dropped else row.status
    return Participation(id, study, row.channel, row.mode, status, row.code, row.practised)


def people(database: Database, study: StudyInfo) -> list[tuple[str, str, str, str]]:
    """Person, status, completion code and the platform's parameters of everyone: for paying them, never exported."""
    query = select(Rater).where(Rater.study_id == study.id).order_by(Rater.number)
    with database.read() as session:
        return [(_printable_name(row), row.status, row.code, _entry(session, row.id)) for row in session.scalars(query)]


def _printable_name(row: Rater) -> str:
    """As `study people` prints it: never a cookie, and nothing that could be taken for another line or column."""
    shown = f"open:{row.id}" if row.channel == "open" else row.person
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def entry_of(database: Database, rater: Participation) -> dict[str, str]:
    """The platform's parameters that a rater's link had."""
    with database.read() as session:
        return dict(parse_qsl(_entry(session, rater.id)))


def _entry(session: Session, rater: str) -> str:
    query = select(Event.detail).where(Event.rater_id == rater, Event.name == ENTERED).order_by(Event.id.desc())
    return session.scalars(query.limit(1)).first() or ""
