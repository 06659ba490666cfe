"""Making studies and changing them: a spec is written once, and an amendment is a new version."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from study.clock import now
from study.errors import StudyError
from study.protocol.balanced import commitment, part_of_quota, quota, rater_count
from study.protocol.spec import OPERATIONS, StudySpec
from study.store.chain import add_entry, tail
from study.store.database import Database
from study.store.signing import Key
from study.store.store import Store
from study.store.tables import Arm, Entry, Event, Rater, StoredAssignment, StoredPair, StoredStimulus, Study, Vote

STATES = ("active", "silent", "finished", "dropped", "excluded")
A_SCREEN = timedelta(seconds=20)  # for one screen, until sessions have been seen
LEAST_PATIENCE = timedelta(minutes=5)
SESSIONS = 200  # whose median counts
MOST_SPECS = 32
SPECS: dict[tuple[str, str], StudySpec] = {}  # by hash and operations
FEW = [  # columns of a study that are small
    getattr(Study, name)
    for name in (
        "id",
        "name",
        "version",
        "spec_hash",
        "operations",
        "token",
        "secret",
        "plan_secret",
        "reason",
        "closed",
    )
]


@dataclass(frozen=True)
class StudyInfo:
    """One version of a study, apart from the database."""

    id: int
    name: str
    version: int
    spec: StudySpec
    token: str  # names the study in links
    secret: str  # signs its personal links
    plan_secret: str  # what its plan draws from
    reason: str  # of the amendment
    closed: bool


@dataclass(frozen=True)
class Progress:
    """How far a study is. Counts."""

    raters_planned: int
    raters: dict[str, int]  # started, and of them: active, silent, finished, dropped, excluded
    votes: int  # current answers, of whoever has not withdrawn
    pairs: int  # comparisons that the study has; of an adaptive one, prompts (and copies)
    pairs_complete: int  # of them, with all the raters that they need


def create_study(database: Database, spec: StudySpec) -> StudyInfo:
    """With a secret for its plan, to which the stored spec commits. Raises StudyError where the name is taken."""
    try:
        with database.write() as session:
            return _insert(session, spec, 1, "")
    except IntegrityError:
        raise StudyError(f"There is a study {spec.name!r} already: choose another name, or amend it.") from None


def amend_study(store: Store, name: str, reason: str, **changes: Any) -> StudyInfo:
    """A new version; the old one takes nobody new. Its raters may finish.

    Raises:
        StudyError: no such study, no reason, no change, or a spec that cannot be.
    """
    if not reason.strip():
        raise StudyError("An amendment needs a reason: it is recorded with the new version.")
    with store.database.write() as session:
        row = session.scalars(newest(name).with_for_update()).first()
        old = info(row, name)
        spec = replace(old.spec, **changes)
        if spec == old.spec:
            raise StudyError("The amendment changes nothing.")
        if not old.closed:
            close_within(session, old, "amended", store.key)
        return _insert(session, spec, old.version + 1, reason.strip())


def adjust_study(database: Database, name: str, **changes: Any) -> StudyInfo:
    """The newest version goes on with other values of the spec's OPERATIONS; what is frozen stays. It is logged.

    Raises:
        StudyError: no such study, nothing to change, or a value that cannot be.
    """
    if not changes:
        raise StudyError(f"Say what to change: {', '.join(OPERATIONS)}. Everything else needs an amendment.")
    with database.write() as session:
        study = info(session.scalars(newest(name).with_for_update()).first(), name)
        study.spec.operated(**changes)
        row = session.get_one(Study, study.id)
        row.operations = json.dumps(json.loads(row.operations) | changes, sort_keys=True)
        detail = json.dumps(changes, sort_keys=True)
        session.add(Event(study_id=study.id, rater_id=None, name="adjusted", detail=detail, time=now()))
        return info(row, name)


def close_study(store: Store, name: str) -> str:
    """Nobody new takes part; who has begun may finish. The head of the chain is signed.

    Closing again signs what came since.

    Returns:
        The public key.
    """
    study = find_study(store.database, name)
    with store.database.write() as session:
        close_within(session, study, "by hand", store.key)
    return store.key.public


def close_within(session: Session, study: StudyInfo, why: str, key: Key) -> None:
    """Closes, and signs the chain up to here."""
    row = session.scalars(select(Study).where(Study.id == study.id).with_for_update()).one()
    moment = now()
    row.closed = row.closed or moment
    last = session.scalars(
        select(Entry).where(Entry.study_id == study.id).order_by(Entry.number.desc()).limit(1)
    ).first()
    if last and last.kind == "closed" and last.number == tail(session, study.id)[0]:
        return
    entry = add_entry(session, study.id, study.spec.hash, "closed", None, moment, why)
    head = {"study": study.name, "version": study.version, "spec": study.spec.hash, "number": entry.number}
    entry.signature = json.dumps(key.sign(head | {"hash": entry.hash}), sort_keys=True)


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
        raters = session.scalars(select(Rater).where(Rater.study_id == study.id)).all()
        silent_since = now() - patience(session, study)
        votes = select(func.count()).select_from(Vote).join(Rater, Rater.id == Vote.rater_id)
        votes = votes.where(Vote.study_id == study.id, Vote.is_current, Rater.dropped == "")
        answered, wanted = answered_quota(session, study), quota(study.spec)
        states = Counter(state(rater, silent_since) for rater in raters)
        return Progress(
            raters_planned=rater_count(study.spec),
            raters={"started": len(raters)} | {name: states[name] for name in STATES},
            votes=session.scalars(votes).one(),
            pairs=len(wanted),
            pairs_complete=sum(answered.get(part, 0) >= count for part, count in wanted.items()),
        )


def state(rater: Rater, silent_since: datetime) -> str:
    """One of STATES."""
    if rater.dropped:
        return "dropped"
    if rater.excluded:
        return "excluded"
    if rater.status == "finished":
        return "finished"
    return "silent" if rater.status == "abandoned" or rater.last_seen < silent_since else "active"


def patience(session: Session, study: StudyInfo) -> timedelta:
    """How long a rater may be silent before their open pairs are free: twice the median session, within limits."""
    query = select(Rater.started, Rater.finished).where(
        Rater.study_id == study.id, Rater.finished.is_not(None), Rater.dropped == ""
    )
    rows = session.execute(query.limit(SESSIONS))
    minutes = [(finished - started) / timedelta(minutes=1) for started, finished in rows if finished]
    spec = study.spec
    screens = spec.pairs_per_rater * (1 if spec.mode == "joint" else len(spec.questions))
    usual = timedelta(minutes=median(minutes)) if minutes else screens * A_SCREEN
    return min(max(2 * usual, LEAST_PATIENCE), timedelta(minutes=spec.abandoned_after_minutes))


def answered_quota(session: Session, study: StudyInfo, held_since: datetime | None = None) -> Mapping[str, int]:
    """Part of the quota to its raters who answered all questions; with `held_since`, also who began and was seen since.

    Raters whose answers do not count hold nothing: somebody else is asked.
    """
    votes = select(func.count()).where(Vote.assignment_id == StoredAssignment.id, Vote.is_current).scalar_subquery()
    counted = votes == len(study.spec.questions)
    if held_since:
        counted |= (Rater.status == "active") & (Rater.last_seen >= held_since) & has_voted()
    query = (
        select(StoredPair.key, func.count())
        .select_from(StoredAssignment)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(Rater, Rater.id == StoredAssignment.rater_id)
        .where(StoredPair.study_id == study.id, StoredAssignment.kind == "comparison", ~StoredAssignment.released)
        .where(counted, Rater.dropped == "", Rater.excluded == "")
        .group_by(StoredPair.key)
    )
    answered: Counter[str] = Counter()
    for key, count in session.execute(query):
        answered[part_of_quota(study.spec, key)] += count
    return answered


def has_voted():
    """Condition for a query of raters: they have voted."""
    return select(Vote.id).where(Vote.rater_id == Rater.id).exists()


def newest(name: str):
    return select(Study).where(Study.name == name).order_by(Study.version.desc())


def info(row: Study | None, name: str) -> StudyInfo:
    if row is None:
        raise StudyError(f"There is no study {name!r}: `python -m study list` names those there are.")
    return info_from(row, lambda: row.spec)


def info_from(row: Any, text: Callable[[], str]) -> StudyInfo:
    """The study of a row with the attributes FEW; `text` loads its spec if this server has not read it before."""
    spec = _spec((row.spec_hash, row.operations), text)
    closed = row.closed is not None
    return StudyInfo(row.id, row.name, row.version, spec, row.token, row.secret, row.plan_secret, row.reason, closed)


def _spec(known: tuple[str, str], text: Callable[[], str]) -> StudySpec:
    """Specs never change, and a server needs the same one at each request: its text is not read again."""
    if not known[0]:  # the first versions wrote no hash
        known = (text(), known[1])
    if known not in SPECS:
        if len(SPECS) >= MOST_SPECS:
            SPECS.clear()
        SPECS[known] = StudySpec.from_json(text()).operated(**json.loads(known[1]))
    return SPECS[known]


def _insert(session: Session, spec: StudySpec, version: int, reason: str) -> StudyInfo:
    plan_secret = secrets.token_hex(32)
    spec = replace(spec, commitment=commitment(plan_secret))
    row = Study(
        name=spec.name,
        kind=spec.kind,
        version=version,
        spec=spec.to_json(),
        spec_hash=spec.hash,
        operations="{}",
        reason=reason,
        token=secrets.token_urlsafe(12),
        secret=secrets.token_urlsafe(32),
        plan_secret=plan_secret,
        created=now(),
        closed=None,
    )
    session.add(row)
    session.flush()
    arms = {name: Arm(study_id=row.id, name=name) for name in {s.arm: None for s in spec.images}}
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
        for s in spec.images
    )
    session.flush()
    return info(row, spec.name)
