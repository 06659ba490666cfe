"""A study's chain of votes, withdrawals and other entries: each hash covers an entry and the hash before it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, literal_column, select, union_all
from sqlalchemy.orm import Session, aliased

from study.protocol.spec import StudySpec
from study.store.tables import Entry, Rater, StoredAssignment, StoredPair, StoredStimulus, Vote, Withdrawal

ERASED = "erased"  # who a rater is of whom nothing is kept, and what the entries say that only their hash is left of


def _last(kind: type[Vote] | type[Withdrawal] | type[Entry]):
    of_study = select(kind.number, kind.hash).where(kind.study_id == bindparam("study"))
    last = of_study.order_by(kind.number.desc()).limit(literal_column("1")).subquery()
    return select(last.c.number, last.c.hash)


ENDS = union_all(*(_last(kind) for kind in (Vote, Withdrawal, Entry)))


def chain_hash(payload: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a vote, which names the hash of the vote before."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def tail(session: Session, study: int) -> tuple[int, str]:
    """Number and hash of the last entry; 0 and "" before the first."""
    session.flush()
    ends = session.connection().execute(ENDS, {"study": study})
    number, hash = max(map(tuple, ends), default=(0, ""))
    return number, hash


def add_entry(
    session: Session, study: int, spec_hash: str, kind: str, rater: str | None, time: datetime, detail: str = ""
) -> Entry:
    """At the end of the chain, whose study the session has locked."""
    number, previous = tail(session, study)
    entry = Entry(
        study_id=study,
        number=number + 1,
        kind=kind,
        rater_id=rater,
        detail=detail,
        time=time,
        previous=previous,
        signature="",
    )
    entry.hash = chain_hash(payload_of_entry(entry, spec_hash))
    session.add(entry)
    session.flush()
    return entry


def payload_of_entry(entry: Entry, spec_hash: str) -> dict[str, Any]:
    return {
        "spec": spec_hash,
        "number": entry.number,
        "entry": entry.kind,
        "rater": entry.rater_id or "",
        "detail": entry.detail,
        "time": entry.time.isoformat(timespec="microseconds"),
        "previous": entry.previous,
    }


def payload_of_withdrawal(entry: Withdrawal, spec_hash: str) -> dict[str, Any]:
    return {
        "spec": spec_hash,
        "number": entry.number,
        "rater": entry.rater_id,
        "withdrawn": entry.reason,
        "time": entry.time.isoformat(timespec="microseconds"),
        "previous": entry.previous,
    }


def remains_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What an erased rater's entry keeps: its place in the chain, and the rater's random number."""
    return {name: payload[name] for name in ("spec", "number", "rater", "previous")} | {ERASED: True}


def payload_of(vote: Mapping[str, Any], shown: Mapping[str, Any], spec_hash: str) -> dict[str, Any]:
    """What the hash of a vote covers: the answer, its circumstances, and what was shown.

    Args:
        vote: the columns of its row, by name.
    """
    measured = {} if vote["server_ms"] is None else {"server_ms": vote["server_ms"]}
    return {
        "spec": spec_hash,
        "number": vote["number"],
        "rater": vote["rater_id"],
        "assignment": vote["assignment_id"],
        "question": vote["question"],
        "answer": vote["answer"],
        "revision": vote["revision"],
        "request": vote["request"],
        "response_ms": vote["response_ms"],
        "clock": vote["clock"],
        "decode_ms": vote["decode_ms"],
        "viewport": vote["viewport"],
        "time": vote["time"].isoformat(timespec="microseconds"),
        "previous": vote["previous"],
        **measured,
        **shown,
    }


def _shown_query():
    left, right = aliased(StoredStimulus), aliased(StoredStimulus)
    return (
        select(
            StoredAssignment.id,
            StoredPair.key,
            StoredAssignment.kind,
            left.sha256,
            right.sha256,
            StoredAssignment.position,
            Rater.mode,
            StoredAssignment.propensity,
        )
        .join(Rater, Rater.id == StoredAssignment.rater_id)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(left, left.id == StoredAssignment.left_id)
        .join(right, right.id == StoredAssignment.right_id)
    )


SHOWN = _shown_query()  # assignments with what they showed: id, pair, kind, images' hashes, position, mode, propensity


def shown_of(row: Sequence[Any], spec: StudySpec) -> dict[str, Any]:
    """What a vote's hash covers of it: position and mode, too, since there are commitments."""
    names = ("pair", "kind", "left", "right", *(("position", "mode") if spec.commitment else ()))
    names += ("propensity",) if spec.adaptive else ()
    return dict(zip(names, row[1:], strict=False))
