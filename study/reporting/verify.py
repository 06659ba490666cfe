"""Checks an export from its files alone."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from study.protocol.columns import PROPENSITY
from study.protocol.parts import DEGRADED, MODES
from study.protocol.spec import StudySpec
from study.protocol.times import own_times
from study.reporting.closing import head_of, head_problems, plan_problems, signature_problems, state_problems
from study.reporting.export import read_export, spreadsheet
from study.reporting.manifest import manifest_hash, manifest_problems, signer
from study.store.chain import ERASED, chain_hash
from study.store.frames import Tables


@dataclass(frozen=True)
class Verification:
    """How much was checked; `problems` is empty if everything is as it was written."""

    revisions: int
    votes: int
    images: int
    head: str  # hash of the last vote
    manifest: str  # its hash; "" where there is none
    key: str  # the public key of whoever signed the manifest; "" where nobody did
    closing: str  # how certain the end of the chain is
    problems: tuple[str, ...]


def verify_export(
    folder: Path, manifest: str = "", receipt: tuple[int, str] | None = None, key: str = ""
) -> Verification:
    """Recomputes every hash from the export alone, and the votes from their revisions.

    Args:
        manifest: its hash, as it was printed when the folder was written.
        receipt: number and hash of a vote, as a rater kept them.
        key: the public key that must have signed the manifest, and the head of a closed study.
    """
    tables = read_export(folder)
    problems = [*manifest_problems(folder), *_chain_problems(tables), *_vote_problems(tables)]
    problems += [*_rater_problems(tables), *_position_problems(tables), *copy_problems(folder, tables)]
    problems += [*state_problems(tables), *plan_problems(folder, tables)]
    problems += [*signature_problems(folder, key), *head_problems(folder, tables, key)]
    computed = manifest_hash(folder)
    if manifest and manifest != computed:
        problems.append(
            f"The manifest's hash is {computed or 'none'}, not {manifest}: these are not the original files."
        )
    if receipt and not _has_entry(tables, *receipt):
        problems.append(
            f"Entry {receipt[0]} is missing, or is not that of the receipt: the chain was made anew or cut."
        )
    hashes = set(tables.spec.image_hashes)
    for sha256 in sorted(hashes):
        name = tables.spec.image_name(sha256)
        file = folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            problems.append(f"The image {name} is missing or changed.")
    head = tables.revisions[-1]["hash"] if tables.revisions else ""
    by, closing = ("", "") if problems else (signer(folder), head_of(folder, tables))
    counts = (len(tables.revisions), len(tables.votes), len(hashes))
    return Verification(*counts, head, computed, by, closing, tuple(problems))


def _has_entry(tables: Tables, number: int, hash: str) -> bool:
    return 0 < number <= len(tables.revisions) and tables.revisions[number - 1]["hash"] == hash


def _chain_problems(tables: Tables) -> Iterable[str]:
    previous, withdrawn = "", _withdrawn(tables)
    for number, revision in enumerate(tables.revisions, 1):
        payload = {name: value for name, value in revision.items() if name != "hash"}
        if revision["number"] != number or revision["previous"] != previous:
            yield f"Entry {number} does not follow the one before: the chain is broken."
        if ERASED in revision:  # nothing is left to compute the hash from, and nothing that counts
            if revision["rater"] not in withdrawn or "answer" in revision:
                yield f"Entry {number} is said to be erased, and its rater did not withdraw."
        elif chain_hash(payload) != revision["hash"]:
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
            tables.spec.image_name(r["left"]),
            tables.spec.image_name(r["right"]),
            r["time"],
            *((r["mode"],) if tables.spec.commitment else ()),
            *((r[PROPENSITY],) if tables.spec.adaptive else ()),
        )
        for key, r in latest.items()
    }
    columns = ["rater", "pair", "kind", "answer", "response_ms", "image_left", "image_right", "time"]
    columns += ["mode"] if tables.spec.commitment else []
    columns += [PROPENSITY] if tables.spec.adaptive else []
    arms = {(s.prompt, s.arm, tables.spec.image_name(s.sha256)) for s in tables.spec.images}
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
        if row["category"] != categories.get(row["prompt"], "") or not _follows_from_spec(row, tables.spec, pairs):
            yield f"Assignment {key[0]} has another category, mode, expected answer or first showing than it had."
        seen.add(key)
    for assignment, question in sorted(written.keys() - seen):
        yield f"The answer to {question!r} of assignment {assignment} is missing from the votes."


def _withdrawn(tables: Tables) -> dict[str, str]:
    """Why each rater withdrew, by rater."""
    return {r["rater"]: r["withdrawn"] for r in tables.revisions if "withdrawn" in r}


def _rater_problems(tables: Tables) -> Iterable[str]:
    """Everybody in the chain is in the table, in one mode, and withdrew only if the chain says so."""
    missing = {r["rater"] for r in tables.revisions if r["rater"]} - set(tables.raters["rater"])
    if missing:
        yield f"The table of raters lacks {len(missing)} who answered: {', '.join(sorted(missing))}."
    modes = dict(zip(tables.raters["rater"], tables.raters["mode"], strict=True))
    if any(modes.get(rater) != mode for rater, mode in zip(tables.votes["rater"], tables.votes["mode"], strict=True)):
        yield "The votes and the table of raters name different modes."
    if "withdrawn" not in tables.raters:  # before there were withdrawals
        return
    listed = {row["rater"]: row["withdrawn"] for row in tables.raters.to_dict("records") if row["withdrawn"]}
    statuses = set(tables.raters.loc[tables.raters["status"] == "dropped", "rater"])
    if listed != _withdrawn(tables) or statuses != listed.keys():
        yield "The table of raters names other withdrawals than the chain."


def _position_problems(tables: Tables) -> Iterable[str]:
    """As the chain has them, where it does. Raters answer in their order, but for a last answer that was changed."""
    if tables.spec.commitment:
        yield from _moved_answers(tables)
    first = {}
    for r in tables.revisions:
        if "answer" in r:
            first.setdefault((r["assignment"], r["question"]), r["number"])
    rows = tables.votes.assign(number=[first.get(key) for key in zip(*_key(tables.votes), strict=True)])
    for rater, answers in rows.groupby("rater"):
        if not answers.sort_values(["number"])["position"].is_monotonic_increasing:
            yield f"The positions of rater {rater} do not follow the order of the answers."


def _moved_answers(tables: Tables) -> Iterable[str]:
    """Asked one by one, each question has the positions of a pass of its own, all of a rater's passes as long."""
    chained = {(r["assignment"], r["question"]): r["position"] for r in tables.revisions if "answer" in r}
    passes = {question.key: number for number, question in enumerate(tables.spec.questions)}
    lengths: dict[str, set[float]] = {}
    for row in tables.votes.to_dict("records"):
        past = row["position"] - chained.get((row["assignment"], row["question"]), -1)
        number = passes.get(row["question"], 0) if row["mode"] == "separate" else 0
        if number:
            lengths.setdefault(row["rater"], set()).add(past / number)
        if past < 0 or (past and not number) or len(lengths.get(row["rater"], ())) > 1:
            yield f"The answer to {row['question']!r} of assignment {row['assignment']} stood at another position."


def _key(votes: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return votes["assignment"], votes["question"]


def copy_problems(folder: Path, tables: Tables) -> Iterable[str]:
    """The tables as CSV and JSON must say what they say as Parquet; CSV of earlier versions held formulas as typed."""
    for name, table in (("votes", tables.votes), ("raters", tables.raters)):
        read: dict[str, Callable[[Any], Any]] = {"csv": pd.read_csv, "json": json.load}
        fresh = {"csv": [spreadsheet(table), table.to_csv(index=False)], "json": [table.to_json(orient="records")]}
        for suffix, parse in read.items():
            file = folder / f"{name}.{suffix}"
            try:
                with open(file, encoding="utf-8-sig") as opened:
                    found = parse(opened)
                same = any(_equal(found, parse(io.StringIO(text))) for text in fresh[suffix])
            except (OSError, ValueError):
                same = False
            if not same:
                yield f"{file.name} does not say what {name}.parquet says."


def _equal(one: Any, other: Any) -> bool:
    return one.equals(other) if isinstance(one, pd.DataFrame) else one == other


def _follows_from_spec(row: Mapping[str, Any], spec: StudySpec, pairs: Mapping[tuple[str, str], str]) -> bool:
    """Whether the parts of a row that no hash covers follow from the spec and the other rows."""
    intact = "left" if row["right"] == DEGRADED else "right"
    right = {question.key: question.right(intact) for question in spec.questions}
    first = pairs.get((row["rater"], row["repeat_of"])) if row["kind"] == "repeat" else row["pair"]
    return (
        row["mode"] in (MODES if spec.mode == "randomised" else (spec.mode,))
        and row["gold"] == (right.get(row["question"]) if row["kind"] == "gold" else "")
        and first == row["pair"]
        and (row["kind"] == "repeat") == bool(row["repeat_of"])
    )
