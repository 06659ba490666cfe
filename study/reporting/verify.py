"""Checks an export from its files alone."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.protocol.spec import DEGRADED, MODES, StudySpec
from study.protocol.times import own_times
from study.reporting.export import read_export
from study.store.chain import chain_hash
from study.store.frames import Tables, image_name


@dataclass(frozen=True)
class Verification:
    """Counts of what was checked; `problems` is empty where all is as it was written."""

    revisions: int
    votes: int
    images: int
    head: str  # hash of the last vote
    problems: tuple[str, ...]


def verify_export(folder: Path) -> Verification:
    """Recomputes every hash from the export alone, and the votes from their revisions."""
    tables = read_export(folder)
    problems = [*_chain_problems(tables), *_vote_problems(tables), *_rater_problems(tables)]
    hashes = {s.sha256 for s in tables.spec.images}
    for sha256 in sorted(hashes):
        file = folder / image_name(sha256)
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            problems.append(f"The image {image_name(sha256)} is missing or changed.")
    head = tables.revisions[-1]["hash"] if tables.revisions else ""
    return Verification(len(tables.revisions), len(tables.votes), len(hashes), head, tuple(problems))


def _chain_problems(tables: Tables) -> Iterable[str]:
    previous = ""
    for number, revision in enumerate(tables.revisions, 1):
        payload = {name: value for name, value in revision.items() if name != "hash"}
        if revision["number"] != number or revision["previous"] != previous:
            yield f"Entry {number} does not follow the one before: the chain is broken."
        if chain_hash(payload) != revision["hash"]:
            yield f"Entry {number} is not what was written: its hash differs."
        if revision["spec"] != tables.spec.hash:
            yield f"Entry {number} was given for another spec."
        previous = revision["hash"]


def _vote_problems(tables: Tables) -> Iterable[str]:
    """The vote table must say what the latest revisions say."""
    withdrawn = _withdrawn(tables)
    votes = [r for r in tables.revisions if "answer" in r and r["rater"] not in withdrawn]
    latest = {(r["assignment"], r["question"]): r for r in votes}
    own = own_times(
        ((r["rater"], r["request"]), r["number"], float(r["response_ms"]), r.get("server_ms")) for r in votes
    )
    written = {
        key: (
            r["rater"],
            r["pair"],
            r["kind"],
            r["answer"],
            float(r["response_ms"]),
            image_name(r["left"]),
            image_name(r["right"]),
            r["time"],
        )
        for key, r in latest.items()
    }
    columns = ["rater", "pair", "kind", "answer", "response_ms", "image_left", "image_right", "time"]
    arms = {(s.prompt, s.arm, image_name(s.sha256)) for s in tables.spec.images}
    pairs = {(r["rater"], r["assignment"]): r["pair"] for r in votes}
    categories = {prompt.text: prompt.category for prompt in tables.spec.prompts}
    timed = "answer_ms" in tables.votes  # exports of earlier versions do not have it
    seen = set()
    for row in tables.votes.to_dict("records"):
        key = (row["assignment"], row["question"])
        took = own[latest[key]["number"]] if timed and key in latest else None
        if key in seen or written.get(key) != tuple(row[column] for column in columns) or row.get("answer_ms") != took:
            yield f"The answer to {key[1]!r} of assignment {key[0]} is not what its revisions say."
        shown = {(row["prompt"], row["left"], row["image_left"]), (row["prompt"], row["right"], row["image_right"])}
        if not shown <= arms:
            yield f"Assignment {key[0]} names an arm that its images are not of."
        if row["category"] != categories.get(row["prompt"], "") or not _follows(row, tables.spec, pairs):
            yield f"Assignment {key[0]} has another category, mode, expected answer or first showing than it had."
        seen.add(key)
    for assignment, question in sorted(written.keys() - seen):
        yield f"The answer to {question!r} of assignment {assignment} is missing from the votes."


def _withdrawn(tables: Tables) -> dict[str, str]:
    """Rater to the reason."""
    return {r["rater"]: r["withdrawn"] for r in tables.revisions if "withdrawn" in r}


def _rater_problems(tables: Tables) -> Iterable[str]:
    """Whose answers count no more must be as the chain says."""
    if "withdrawn" not in tables.raters:  # before there were withdrawals
        return
    listed = {row["rater"]: row["withdrawn"] for row in tables.raters.to_dict("records") if row["withdrawn"]}
    statuses = set(tables.raters.loc[tables.raters["status"] == "dropped", "rater"])
    if listed != _withdrawn(tables) or statuses != listed.keys():
        yield "The table of raters names other withdrawals than the chain."


def _follows(row: Mapping[str, Any], spec: StudySpec, pairs: Mapping[tuple[str, str], str]) -> bool:
    """What the hashes do not cover of a row, since the spec and the other rows say it."""
    intact = "left" if row["right"] == DEGRADED else "right"
    right = {question.key: question.right(intact) for question in spec.questions}
    first = pairs.get((row["rater"], row["repeat_of"])) if row["kind"] == "repeat" else row["pair"]
    return (
        row["mode"] in (MODES if spec.mode == "randomised" else (spec.mode,))
        and row["gold"] == (right.get(row["question"]) if row["kind"] == "gold" else "")
        and first == row["pair"]
    )
