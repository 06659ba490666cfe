"""The rater's next pair, and votes that are never lost, never doubled and never overwritten."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from study.clock import now
from study.errors import StudyError
from study.protocol.parts import ANSWERS, Question
from study.store.chain import SHOWN, add_entry, chain_hash, payload_of, shown_of, tail
from study.store.database import Database
from study.store.places import hand_out, somebody_was_faster
from study.store.raters import Participation
from study.store.tables import Event, Rater, StoredAssignment, StoredPair, Study, Vote

WITHDRAWN = "Your answers were withdrawn from this study, so nothing more is asked of you. Thank you."
FASTER = "Somebody else was faster with this pair, so your answer to it is not needed: go on with another pair."
MAX_MS = 2**31 - 1  # about 24 days

# What each request of a rater reads; building a query takes longer than running it.
ANSWERS_OF = select(Vote.assignment_id, Vote.question, Vote.answer).where(
    Vote.rater_id == bindparam("rater"), Vote.is_current
)
PAIRS_OF = (
    select(StoredAssignment.id, StoredAssignment.left_token, StoredAssignment.right_token, StoredPair.prompt)
    .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
    .where(StoredAssignment.rater_id == bindparam("rater"), ~StoredAssignment.released)
    .order_by(StoredAssignment.position)
)
SENT_BEFORE = (
    select(Vote.number, Vote.hash, Vote.question, Vote.assignment_id, Vote.answer)
    .where(Vote.rater_id == bindparam("rater"), Vote.request == bindparam("request"))
    .order_by(Vote.number)
)
SHOWN_IN = SHOWN.where(StoredAssignment.id == bindparam("assignment"))
LOCKED = select(Study.id).where(Study.id == bindparam("study")).with_for_update()


@dataclass(frozen=True)
class Screen:
    """One screen to answer: all questions of a pair, or one of them in separate mode."""

    assignment: str
    prompt: str
    left: str  # tokens of the images
    right: str
    questions: tuple[Question, ...]
    answers: Mapping[str, str]  # question to the answer given before; empty on a new screen
    step: int  # 0.. in the rater's session
    steps: int
    ahead: tuple[str, ...] = ()  # tokens of the images of the next pair, to be fetched in advance


@dataclass(frozen=True)
class Ballot:
    """What a screen sends back. Times in ms."""

    assignment: str
    request: str  # drawn by the page; the same again is the same vote
    answers: Mapping[str, str]
    response_ms: Mapping[str, int]  # by question, from the moment that both pictures were seen
    clock: str  # who measured: client or server
    server_ms: int | None = None  # between sending the screen and receiving this
    decode_ms: int | None = None
    viewport: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-fA-F-]{16,40}", self.request):
            raise StudyError("This page sent an incomplete answer: reload it and answer again.", 409)
        if any(answer not in ANSWERS for answer in self.answers.values()):
            raise StudyError("This answer is none of A, B and tie: reload the page and answer again.", 409)


@dataclass(frozen=True)
class Receipt:
    """Proof that votes are stored."""

    number: int  # of the last of them in the study's chain, from 1
    hash: str  # its SHA-256, 64 hexadecimal digits


def next_screen(database: Database, rater: Participation) -> Screen | None:
    """The first screen with an answer missing; None when all are given."""
    with database.read() as session:
        screens = _screens(session, rater)
    missing = [screen for screen in screens if len(screen.answers) < len(screen.questions)]
    if not missing:
        return None
    later = next((screen for screen in missing if screen.assignment != missing[0].assignment), None)
    return replace(missing[0], ahead=(later.left, later.right) if later else ())


def last_screen(database: Database, rater: Participation) -> Screen | None:
    """The screen answered just before the next one, for undo; None before the first."""
    with database.read() as session:
        screens = _screens(session, rater)
        done = [screen for screen in screens if len(screen.answers) == len(screen.questions)]
    return done[-1] if done else None


def cast(database: Database, rater: Participation, ballot: Ballot) -> Receipt:
    """Stores the answers; returns only after the commit.

    Raises:
        StudyError: not this rater's pair, not its questions, or not its turn; or somebody else has taken the place of
            the rater, who has a new one then.
    """
    with database.write() as session:
        receipt = _cast(session, rater, ballot)
    if receipt is None:
        raise StudyError(FASTER, 409)
    return receipt


def _cast(session: Session, rater: Participation, ballot: Ballot) -> Receipt | None:
    """None where the rater's place was taken: other pairs were handed out."""
    session.execute(LOCKED, {"study": rater.study.id}).one()  # one chain
    row = session.get_one(Rater, rater.id)
    if row.dropped:
        raise StudyError(WITHDRAWN, 403)
    if receipt := _repeated(session, rater, ballot):
        return receipt
    screens = _screens(session, rater)
    screen = _screen_of(screens, ballot)
    if not any(s.answers for s in screens) and somebody_was_faster(session, rater.study, row):
        hand_out(session, rater.study, row, now())
        return None
    changed = [q.key for q in screen.questions if screen.answers.get(q.key) != ballot.answers[q.key]]
    if changed and screen.answers and rater.study.spec.by_visitor:
        raise StudyError("You have seen which picture is whose, so your answer stays as it is.", 409)
    moment = now()
    receipt = _append(session, rater, ballot, changed, moment) if changed else receipt_of(session, rater)
    _mark(session, rater, screens, screen, moment)
    return receipt


def is_through(database: Database, rater: Participation) -> bool:
    """Whether all has been answered, now and not when `rater` was read."""
    with database.read() as session:
        return session.scalars(select(Rater.status).where(Rater.id == rater.id)).one() == "finished"


def note(database: Database, rater: Participation, name: str, detail: str = "") -> None:
    """An event: what the rater did besides voting."""
    with database.write() as session:
        session.add(Event(study_id=rater.study.id, rater_id=rater.id, name=name, detail=detail, time=now()))


def finish(database: Database, rater: Participation) -> None:
    """For a rater who came back to find every open pair answered by others."""
    with database.write() as session:
        session.scalars(select(Study.id).where(Study.id == rater.study.id).with_for_update()).one()
        row = session.get_one(Rater, rater.id)
        if row.status != "finished":
            _finish(session, rater, row, now())


def _finish(session: Session, rater: Participation, row: Rater, moment: datetime) -> None:
    """Once: an entry of the chain says so, in studies that have such entries."""
    row.status, row.finished = "finished", moment
    if rater.study.spec.commitment:
        add_entry(session, rater.study.id, rater.study.spec.hash, "finished", rater.id, moment)


def last_receipt(database: Database, rater: Participation) -> Receipt:
    with database.read() as session:
        return receipt_of(session, rater)


def receipt_of(session: Session, rater: Participation) -> Receipt:
    """Of the rater's latest vote; since each hash covers the one before, of all votes until then."""
    query = select(Vote).where(Vote.rater_id == rater.id).order_by(Vote.number.desc())
    vote = session.scalars(query.limit(1)).first()
    return Receipt(vote.number, vote.hash) if vote else Receipt(0, "")


def _screens(session: Session, rater: Participation) -> list[Screen]:
    """The whole session in order: pairs, or in separate mode a pass over them for each question."""
    questions = rater.study.spec.questions
    passes = [questions] if rater.mode == "joint" else [(question,) for question in questions]
    answers: dict[str, dict[str, str]] = {}
    for assignment, question, answer in session.execute(ANSWERS_OF, {"rater": rater.id}):
        answers.setdefault(assignment, {})[question] = answer
    shown = session.execute(PAIRS_OF, {"rater": rater.id}).all()
    asked = [(row, asks) for asks in passes for row in shown]
    return [
        Screen(
            row.id,
            row.prompt,
            row.left_token,
            row.right_token,
            asks,
            {q.key: answers[row.id][q.key] for q in asks if q.key in answers.get(row.id, {})},
            step,
            len(asked),
        )
        for step, (row, asks) in enumerate(asked)
    ]


def _repeated(session: Session, rater: Participation, ballot: Ballot) -> Receipt | None:
    """The receipt of the same request, where it came before."""
    votes = session.execute(SENT_BEFORE, {"rater": rater.id, "request": ballot.request}).all()
    if not votes:
        return None
    if any((v.assignment_id, v.answer) != (ballot.assignment, ballot.answers.get(v.question)) for v in votes):
        raise StudyError("This answer was sent already, with another choice: reload the page.", 409)
    return Receipt(votes[-1].number, votes[-1].hash)


def _screen_of(screens: Sequence[Screen], ballot: Ballot) -> Screen:
    for screen in screens:
        if screen.assignment == ballot.assignment and {q.key for q in screen.questions} == ballot.answers.keys():
            return screen
        if len(screen.answers) < len(screen.questions):
            break
    raise StudyError("This pair is not yours to answer now: go on from your personal link.", 409)


def _append(
    session: Session, rater: Participation, ballot: Ballot, questions: Sequence[str], moment: datetime
) -> Receipt:
    """New revisions at the end of the chain."""
    of_pair = (Vote.assignment_id == ballot.assignment, Vote.question.in_(questions))
    before = select(Vote.question, func.max(Vote.revision)).where(*of_pair).group_by(Vote.question)
    revisions = {question: revision for question, revision in session.execute(before)}
    if revisions:
        session.execute(update(Vote).where(*of_pair, Vote.is_current).values(is_current=False))
    number, previous = tail(session, rater.study.id)
    shown = shown_of(session.execute(SHOWN_IN, {"assignment": ballot.assignment}).one(), rater.study.spec)
    for question in questions:
        number += 1
        vote = Vote(
            study_id=rater.study.id,
            number=number,
            rater_id=rater.id,
            assignment_id=ballot.assignment,
            question=question,
            answer=ballot.answers[question],
            revision=revisions.get(question, 0) + 1,
            is_current=True,
            request=ballot.request,
            clock=ballot.clock,
            server_ms=ballot.server_ms,
            response_ms=min(max(ballot.response_ms.get(question, 0), 0), MAX_MS),
            decode_ms=ballot.decode_ms,
            viewport=ballot.viewport,
            time=moment,
            previous=previous,
        )
        vote.hash = previous = chain_hash(payload_of(vote, shown, rater.study.spec.hash))
        session.add(vote)
    session.flush()
    return Receipt(number, previous)


def _mark(
    session: Session, rater: Participation, screens: Sequence[Screen], answered: Screen, moment: datetime
) -> None:
    """The rater was here, and perhaps is through."""
    open_screens = [s for s in screens if s.step != answered.step and len(s.answers) < len(s.questions)]
    row = session.get_one(Rater, rater.id)
    row.last_seen = moment
    if row.status == "finished":
        return
    if open_screens:
        row.status = "active"
    else:
        _finish(session, rater, row, moment)
