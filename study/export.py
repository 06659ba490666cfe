"""A study's data as tables, and their verification from the files alone.

Vote table, one row for each current answer:

    rater        opaque id
    assignment   id of one showing of one pair to one rater
    pair, prompt, category (may be "")
    left, right  arms; "degraded" is the spoilt copy of a gold pair
    kind         comparison | identical | same_arm | repeat | gold
    repeat_of    assignment id of the first showing, or ""
    question     key
    answer       left | tie | right
    mode         joint | separate
    position     int, order within the rater's session
    response_ms  float, from the moment that voting opened to the answer
    gold         expected answer of a gold pair (left | right), or ""
    image_left, image_right   files, relative to the export's folder
    time         UTC, ISO 8601

Rater table: rater, mode, status (active | finished | abandoned), started, finished ("" while it is not), channel.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from study.db import Database
from study.errors import StudyError
from study.images import Library
from study.models import Arm, Rater, StoredAssignment, StoredPair, StoredStimulus, Vote
from study.spec import DEGRADED, MODES, StudySpec
from study.studies import StudyInfo
from study.votes import SHOWN, chain_hash, payload_of, shown_of

VOTE_COLUMNS = (
    "rater",
    "assignment",
    "pair",
    "prompt",
    "category",
    "left",
    "right",
    "kind",
    "repeat_of",
    "question",
    "answer",
    "mode",
    "position",
    "response_ms",
    "gold",
    "image_left",
    "image_right",
    "time",
)
RATER_COLUMNS = ("rater", "mode", "status", "started", "finished", "channel")


@dataclass(frozen=True)
class Tables:
    spec: StudySpec
    votes: pd.DataFrame  # VOTE_COLUMNS
    raters: pd.DataFrame  # RATER_COLUMNS
    revisions: tuple[Mapping[str, Any], ...]  # every revision in the order of the chain, each with its hash


@dataclass(frozen=True)
class Verification:
    """Counts of what was checked; `problems` is empty where all is as it was written."""

    revisions: int
    votes: int
    images: int
    head: str  # hash of the last vote
    problems: tuple[str, ...]


def read_tables(database: Database, study: StudyInfo) -> Tables:
    """One consistent moment of a study, whether or not it is finished."""
    with database.read() as session:
        raters = session.scalars(select(Rater).where(Rater.study_id == study.id).order_by(Rater.number)).all()
        return Tables(
            study.spec,
            pd.DataFrame(_vote_rows(session, study), columns=list(VOTE_COLUMNS)).astype({"response_ms": float}),
            pd.DataFrame(
                [(r.id, r.mode, r.status, _iso(r.started), _iso(r.finished), r.channel) for r in raters],
                columns=list(RATER_COLUMNS),
            ),
            tuple(_revisions(session, study)),
        )


def export_study(database: Database, library: Library, study: StudyInfo, out: Path) -> Tables:
    """Writes spec, tables as Parquet, CSV and JSON, all revisions, and the images; no name of a person."""
    tables = read_tables(database, study)
    out.mkdir(parents=True, exist_ok=True)
    (out / "spec.json").write_text(study.spec.to_json(), encoding="utf-8")
    lines = (json.dumps(revision, sort_keys=True) + "\n" for revision in tables.revisions)
    (out / "revisions.jsonl").write_text("".join(lines), encoding="utf-8")
    for name, table in (("votes", tables.votes), ("raters", tables.raters)):
        table.to_parquet(out / f"{name}.parquet", index=False)
        table.to_csv(out / f"{name}.csv", index=False)
        table.to_json(out / f"{name}.json", orient="records", indent=1)
    (out / "images").mkdir(exist_ok=True)
    for sha256 in {s.sha256 for s in (*study.spec.stimuli, *study.spec.degraded)}:
        shutil.copyfile(library.path(sha256), out / _image(sha256))
    return tables


def read_export(folder: Path) -> Tables:
    """The tables of an export. Raises StudyError where the folder is not one."""
    try:
        lines = (folder / "revisions.jsonl").read_text(encoding="utf-8").splitlines()
        return Tables(
            StudySpec.from_json((folder / "spec.json").read_text(encoding="utf-8")),
            pd.read_parquet(folder / "votes.parquet"),
            pd.read_parquet(folder / "raters.parquet"),
            tuple(json.loads(line) for line in lines),
        )
    except (OSError, ValueError) as error:
        raise StudyError(f"{folder} is no complete export ({error}): make one with `python -m study export`.") from None


def verify_export(folder: Path) -> Verification:
    """Recomputes every hash from the export alone, and the votes from their revisions."""
    tables = read_export(folder)
    problems = [*_chain_problems(tables), *_vote_problems(tables)]
    hashes = {s.sha256 for s in (*tables.spec.stimuli, *tables.spec.degraded)}
    for sha256 in sorted(hashes):
        file = folder / _image(sha256)
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            problems.append(f"The image {_image(sha256)} is missing or changed.")
    head = tables.revisions[-1]["hash"] if tables.revisions else ""
    return Verification(len(tables.revisions), len(tables.votes), len(hashes), head, tuple(problems))


def _chain_problems(tables: Tables) -> Iterable[str]:
    previous = ""
    for number, revision in enumerate(tables.revisions, 1):
        payload = {name: value for name, value in revision.items() if name != "hash"}
        if revision["number"] != number or revision["previous"] != previous:
            yield f"Vote {number} does not follow the one before: the chain is broken."
        if chain_hash(payload) != revision["hash"]:
            yield f"Vote {number} is not what was written: its hash differs."
        if revision["spec"] != tables.spec.hash:
            yield f"Vote {number} was given for another spec."
        previous = revision["hash"]


def _vote_problems(tables: Tables) -> Iterable[str]:
    """The vote table must say what the latest revisions say."""
    latest = {(r["assignment"], r["question"]): r for r in tables.revisions}
    written = {
        key: (
            r["rater"],
            r["pair"],
            r["kind"],
            r["answer"],
            float(r["response_ms"]),
            _image(r["left"]),
            _image(r["right"]),
            r["time"],
        )
        for key, r in latest.items()
    }
    columns = ["rater", "pair", "kind", "answer", "response_ms", "image_left", "image_right", "time"]
    arms = {(s.prompt, s.arm, _image(s.sha256)) for s in (*tables.spec.stimuli, *tables.spec.degraded)}
    pairs = {(r["rater"], r["assignment"]): r["pair"] for r in tables.revisions}
    categories = {prompt.text: prompt.category for prompt in tables.spec.prompts}
    seen = set()
    for row in tables.votes.to_dict("records"):
        key = (row["assignment"], row["question"])
        if key in seen or written.get(key) != tuple(row[column] for column in columns):
            yield f"The answer to {key[1]!r} of assignment {key[0]} is not what its revisions say."
        shown = {(row["prompt"], row["left"], row["image_left"]), (row["prompt"], row["right"], row["image_right"])}
        if not shown <= arms:
            yield f"Assignment {key[0]} names an arm that its images are not of."
        if row["category"] != categories.get(row["prompt"]) or not _follows(row, tables.spec, pairs):
            yield f"Assignment {key[0]} has another category, mode, expected answer or first showing than it had."
        seen.add(key)
    for assignment, question in sorted(written.keys() - seen):
        yield f"The answer to {question!r} of assignment {assignment} is missing from the votes."


def _follows(row: Mapping[str, Any], spec: StudySpec, pairs: Mapping[tuple[str, str], str]) -> bool:
    """What the hashes do not cover of a row, since the spec and the other rows say it."""
    expected = {"left": row["right"], "right": row["left"]}.get(row["gold"]) if row["kind"] == "gold" else DEGRADED
    first = pairs.get((row["rater"], row["repeat_of"])) if row["kind"] == "repeat" else row["pair"]
    return (
        row["mode"] in (MODES if spec.mode == "randomised" else (spec.mode,))
        and (row["kind"] == "gold" or row["gold"] == "")
        and expected == DEGRADED
        and first == row["pair"]
    )


def _image(sha256: str) -> str:
    return f"images/{sha256}.png"


def _iso(time: datetime | None) -> str:
    return time.isoformat(timespec="microseconds") if time else ""


def _revisions(session: Session, study: StudyInfo) -> Iterable[dict[str, Any]]:
    votes = session.scalars(select(Vote).where(Vote.study_id == study.id).order_by(Vote.number)).all()
    of_study = SHOWN.where(StoredPair.study_id == study.id)
    shown = {row[0]: shown_of(row) for row in session.execute(of_study)}
    for vote in votes:
        yield payload_of(vote, shown[vote.assignment_id], study.spec.hash) | {"hash": vote.hash}


def _vote_rows(session: Session, study: StudyInfo) -> Iterable[tuple]:
    left, right = aliased(StoredStimulus), aliased(StoredStimulus)
    passes = {question.key: i for i, question in enumerate(study.spec.questions)}
    lengths: dict[str, int] = {}
    of_study = select(StoredAssignment.rater_id).join(Rater).where(Rater.study_id == study.id)
    for rater in session.scalars(of_study):
        lengths[rater] = lengths.get(rater, 0) + 1
    arms = {arm.id: arm.name for arm in session.scalars(select(Arm).where(Arm.study_id == study.id))}
    query = (
        select(Vote, Rater, StoredAssignment, StoredPair, left, right)
        .join(StoredAssignment, StoredAssignment.id == Vote.assignment_id)
        .join(Rater, Rater.id == Vote.rater_id)
        .join(StoredPair, StoredPair.id == StoredAssignment.pair_id)
        .join(left, left.id == StoredAssignment.left_id)
        .join(right, right.id == StoredAssignment.right_id)
        .where(Vote.study_id == study.id, Vote.is_current)
        .order_by(Vote.number)
    )
    for vote, rater, shown, pair, of_left, of_right in session.execute(query):
        past = passes[vote.question] * lengths[rater.id] if rater.mode == "separate" else 0
        yield (
            rater.id,
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
            rater.mode,
            past + shown.position,
            float(vote.response_ms),
            shown.gold,
            _image(of_left.sha256),
            _image(of_right.sha256),
            _iso(vote.time),
        )
