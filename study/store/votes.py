"""The rater's next pair, and votes that are never lost, never doubled and never overwritten."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, insert, select, update
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

# What each request of a rater reads, in as few queries as can be, by the connection: to build a query takes longer than
# to run it, and so does the way through the ORM.
ANSWERS_OF = select(Vote.assignment_id, Vote.question, Vote.answer).where(
    Vote.rater_id == bindparam("rater"), Vote.is_current
)
ALL_ANSWERS_OF = (
    select(Vote.assignment_id, Vote.question, Vote.answer, Vote.request, Vote.revision, Vote.number, Vote.hash)
    .where(Vote.rater_id == bindparam("rater"))
    .order_by(Vote.number)
)
PAIRS_OF = (
    select(StoredAssignment.id, StoredAssignment.left_token, StoredAssignment.right_token, StoredPair.prompt)
    .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
    .where(StoredAssignment.rater_id == bindparam("rater"), ~StoredAssignment.released)
    .order_by(StoredAssignment.position)
)
SHOWN_IN = SHOWN.where(StoredAssignment.id == bindparam("assignment"))
STATE_OF = select(Rater.dropped, Rater.status).where(Rater.id == bindparam("rater"))
LOCKED = select(Study.id).where(Study.id == bindparam("study")).with_for_update()
SEEN = update(Rater).where(Rater.id == bindparam("rater")).values(last_seen=bindparam("moment"))
AT_IT = SEEN.values(status="active")
THROUGH = SEEN.values(status="finished", finished=bindparam("moment"))
REVISED = (
    update(Vote)
    .where(Vote.assignment_id == bindparam("assignment"), Vote.question == bindparam("of"), Vote.is_current)
    .values(is_current=False)
)


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
    through: bool = field(default=False, compare=False)  # whether nothing is left to answer


def next_screen(database: Database, rater: Participation) -> Screen | None:
    """The first screen with an answer missing; None when all are given."""
    with database.look() as connection:
        screens = _screens_now(connection, rater)
    missing = [screen for screen in screens if len(screen.answers) < len(screen.questions)]
    if not missing:
        return None
    later = next((screen for screen in missing if screen.assignment != missing[0].assignment), None)
    return replace(missing[0], ahead=(later.left, later.right) if later else ())


def last_screen(database: Database, rater: Participation) -> Screen | None:
    """The screen answered just before the next one, for undo; None before the first."""
    with database.look() as connection:
        screens = _screens_now(connection, rater)
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
    run = session.connection().execute
    run(LOCKED, {"study": rater.study.id}).one()  # one chain
    dropped, status = run(STATE_OF, {"rater": rater.id}).one()
    if dropped:
        raise StudyError(WITHDRAWN, 403)
    before = run(ALL_ANSWERS_OF, {"rater": rater.id}).all()
    if receipt := _repeated(before, ballot):
        return replace(receipt, through=status == "finished")
    screens = _screens(rater, before, run(PAIRS_OF, {"rater": rater.id}).all())
    screen = _screen_of(screens, ballot)
    if not before and _lost_its_place(session, rater):
        return None
    changed = [q.key for q in screen.questions if screen.answers.get(q.key) != ballot.answers[q.key]]
    if changed and screen.answers and rater.study.spec.by_visitor:
        raise StudyError("You have seen which picture is whose, so your answer stays as it is.", 409)
    moment = now()
    receipt = _append(session, rater, ballot, changed, before, moment) if changed else receipt_of(session, rater)
    left = any(len(s.answers) < len(s.questions) for s in screens if s.step != screen.step)
    if left or status == "finished":
        run(AT_IT if left and status != "finished" else SEEN, {"rater": rater.id, "moment": moment})
    else:
        _finish(session, rater, moment)
    return replace(receipt, through=status == "finished" or not left)


def _lost_its_place(session: Session, rater: Participation) -> bool:
    """Before the first answer: others took the place, and another one was handed out."""
    row = session.get_one(Rater, rater.id)
    if lost := somebody_was_faster(session, rater.study, row):
        hand_out(session, rater.study, row, now())
    return lost


def note(database: Database, rater: Participation, name: str, detail: str = "") -> None:
    """An event: what the rater did besides voting."""
    with database.write() as session:
        session.add(Event(study_id=rater.study.id, rater_id=rater.id, name=name, detail=detail, time=now()))


def finish(database: Database, rater: Participation) -> None:
    """For a rater who came back to find every open pair answered by others."""
    with database.write() as session:
        run = session.connection().execute
        run(LOCKED, {"study": rater.study.id}).one()
        if run(STATE_OF, {"rater": rater.id}).one().status != "finished":
            _finish(session, rater, now())


def _finish(session: Session, rater: Participation, moment: datetime) -> None:
    """Once: an entry of the chain says so, in studies that have such entries."""
    session.connection().execute(THROUGH, {"rater": rater.id, "moment": moment})
    if rater.study.spec.commitment:
        add_entry(session, rater.study.id, rater.study.spec.hash, "finished", rater.id, moment)


def last_receipt(database: Database, rater: Participation) -> Receipt:
    with database.read() as session:
        return receipt_of(session, rater)


def receipt_of(session: Session, rater: Participation) -> Receipt:
    """Receipt for the rater's latest vote, and so for all votes before it, which its hash covers."""
    query = select(Vote.number, Vote.hash).where(Vote.rater_id == rater.id).order_by(Vote.number.desc())
    vote = session.execute(query.limit(1)).first()
    return Receipt(vote.number, vote.hash) if vote else Receipt(0, "")


def _screens_now(connection: Connection, rater: Participation) -> list[Screen]:
    run, of_rater = connection.execute, {"rater": rater.id}
    return _screens(rater, run(ANSWERS_OF, of_rater).all(), run(PAIRS_OF, of_rater).all())


def _screens(rater: Participation, given: Sequence[Row], shown: Sequence[Row]) -> list[Screen]:
    """The whole session in order: pairs, or in separate mode a pass over them for each question.

    Args:
        given: assignment, question and answer first; of several answers the last counts.
        shown: as PAIRS_OF has them.
    """
    questions = rater.study.spec.questions
    passes = [questions] if rater.mode == "joint" else [(question,) for question in questions]
    answers: dict[str, dict[str, str]] = {}
    for assignment, question, answer, *_ in given:
        answers.setdefault(assignment, {})[question] = answer
    order = [(row, asks) for asks in passes for row in shown]
    return [
        Screen(
            row.id,
            row.prompt,
            row.left_token,
            row.right_token,
            asks,
            {q.key: given_to[q.key] for q in asks if q.key in given_to} if (given_to := answers.get(row.id)) else {},
            step,
            len(order),
        )
        for step, (row, asks) in enumerate(order)
    ]


def _repeated(before: Sequence[Row], ballot: Ballot) -> Receipt | None:
    """The receipt of the same request, where it came before."""
    votes = [vote for vote in before if vote.request == ballot.request]
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
    session: Session,
    rater: Participation,
    ballot: Ballot,
    questions: Sequence[str],
    before: Sequence[Row],
    moment: datetime,
) -> Receipt:
    """New revisions at the end of the chain."""
    run = session.connection().execute
    revisions = {v.question: v.revision for v in before if v.assignment_id == ballot.assignment}
    if revised := [{"assignment": ballot.assignment, "of": key} for key in questions if key in revisions]:
        run(REVISED, revised)
    number, previous = tail(session, rater.study.id)
    shown = shown_of(run(SHOWN_IN, {"assignment": ballot.assignment}).one(), rater.study.spec)
    rows = []
    for question in questions:
        number += 1
        row = {
            "study_id": rater.study.id,
            "number": number,
            "rater_id": rater.id,
            "assignment_id": ballot.assignment,
            "question": question,
            "answer": ballot.answers[question],
            "revision": revisions.get(question, 0) + 1,
            "is_current": True,
            "request": ballot.request,
            "clock": ballot.clock,
            "server_ms": ballot.server_ms,
            "response_ms": min(max(ballot.response_ms.get(question, 0), 0), MAX_MS),
            "decode_ms": ballot.decode_ms,
            "viewport": ballot.viewport,
            "time": moment,
            "previous": previous,
        }
        previous = chain_hash(payload_of(row, shown, rater.study.spec.hash))
        rows.append(row | {"hash": previous})
    run(insert(Vote), rows)
    return Receipt(number, previous)
