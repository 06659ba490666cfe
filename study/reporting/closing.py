"""Checks of a closed study's export: against the signed head of the chain, and the plan's secret."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.protocol.adaptive import PastAnswer, chosen
from study.protocol.balanced import Assignment, commitment, part_of_quota, plan, rater_mode, slots
from study.reporting.export import HEAD, PLAN
from study.reporting.manifest import read_json, signer
from study.store.chain import ERASED
from study.store.frames import Tables
from study.store.signing import signed_by


def signature_problems(folder: Path, key: str) -> Iterable[str]:
    """The manifest is signed by `key` if one is given; a wrong signature is a problem in any case."""
    try:
        by = signer(folder)
    except StudyError as error:
        yield str(error)
        return
    if key and by != key:
        yield f"The manifest is signed by {by or 'nobody'}, not by {key}."


def head_of(folder: Path, tables: Tables) -> str:
    """How certain the end of the chain is, in words."""
    if not (folder / HEAD).is_file():
        return "none: the study was not closed, so only receipts show whether the end of the chain is missing"
    number = read_json(folder / HEAD)["said"]["number"]
    return f"entry {number} of {len(tables.revisions)}, signed when the study was closed"


def head_problems(folder: Path, tables: Tables, key: str) -> Iterable[str]:
    """The chain goes on from the entry that was signed when the study was closed."""
    closed = any(entry.get("entry") == "closed" for entry in tables.revisions)
    if not (folder / HEAD).is_file():
        if closed:
            yield f"The study was closed, and {HEAD} is missing."
        return
    signed = read_json(folder / HEAD)
    by = signed_by(signed)
    if not by or (key and by != key):
        yield f"{HEAD} is not signed by {key or 'the key that it names'}."
        return
    head = signed["said"]
    number = head["number"]
    reached = tables.revisions[number - 1] if number <= len(tables.revisions) else {}
    if head["spec"] != tables.spec.hash or reached.get("hash") != head["hash"]:
        yield f"The chain lacks entry {number} as it was signed when the study was closed: it was cut or made anew."


def state_problems(tables: Tables) -> Iterable[str]:
    """Who finished, and when, agrees with the chain, in studies with a commitment."""
    if not tables.spec.commitment:
        return
    chained = {r["rater"]: r["time"] for r in tables.revisions if r.get("entry") == "finished"}
    listed = {r["rater"]: r["finished"] for r in tables.raters.to_dict("records") if r["finished"]}
    done = set(tables.raters.loc[tables.raters["status"] == "finished", "rater"])
    if listed != chained or not done <= chained.keys():
        yield "The table of raters and the chain disagree on who finished, and when."
    if active := sorted(set(tables.raters.loc[tables.raters["status"] == "active", "rater"]) & chained.keys()):
        yield f"These raters finished according to the chain, but the table lists them as active: {', '.join(active)}."


def plan_problems(folder: Path, tables: Tables) -> Iterable[str]:
    """Every pair came as the plan has it, from the secret to which the spec committed."""
    if not tables.spec.commitment or not (folder / PLAN).is_file():
        if tables.spec.commitment and (folder / HEAD).is_file():
            yield f"The study was closed, and {PLAN} is missing."
        return
    written = read_json(folder / PLAN)
    if commitment(written["secret"]) != tables.spec.commitment:
        yield f"The secret of {PLAN} is not the one to which the spec commits."
        return
    if tables.spec.adaptive:
        yield from _choice_problems(tables, written["secret"], written["raters"])
    for rater, rows in tables.votes.groupby("rater"):
        if rater not in written["raters"]:
            yield f"{PLAN} does not say what rater {rater} was handed."
        elif not _as_planned(tables, written["secret"], written["raters"][rater], rows.to_dict("records")):
            yield f"Rater {rater} was not shown what the plan has, in its order and on its sides."


def _choice_problems(tables: Tables, secret: str, handed: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Each rater was given the pairs that follow from the earlier answers and the secret."""
    spec, entries = tables.spec, tables.revisions
    for rater, of_rater in handed.items():
        before = entries[: of_rater["after"]]
        if any(ERASED in entry for entry in before):
            return  # what they answered is gone, and all that followed from it cannot be computed again
        if (index := of_rater["seat"]) is not None:
            units = slots(spec, index, secret)
        else:  # leftovers
            index, units = of_rater["number"], sorted(part_of_quota(spec, pair) for pair in of_rater["pairs"])
        if chosen(spec, units, _past_answers(before, spec.questions[0].key), index, secret) != of_rater["pairs"]:
            yield f"Rater {rater} was not given the pairs that the answers before had chosen."


def _past_answers(entries: Sequence[Mapping[str, Any]], question: str) -> list[PastAnswer]:
    """The latest answers to comparisons, without those of raters who withdrew."""
    gone = {entry["rater"] for entry in entries if "withdrawn" in entry}
    answers = [entry for entry in entries if entry.get("question") == question and entry["kind"] == "comparison"]
    latest = {entry["assignment"]: entry for entry in answers if entry["rater"] not in gone}
    return [(entry["pair"], entry["left"], entry["answer"]) for entry in latest.values()]


def _as_planned(tables: Tables, secret: str, handed: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> bool:
    number, seat = handed["number"], handed["seat"]
    planned = plan(tables.spec, number if seat is None else seat, handed["pairs"], secret)
    mode = rater_mode(tables.spec, number, secret)
    passes = {q.key: i * len(planned) if mode == "separate" else 0 for i, q in enumerate(tables.spec.questions)}
    name = tables.spec.image_name
    shown = ((row, passes.get(row["question"], 0)) for row in rows)
    return all(row["mode"] == mode and _matches_plan(row, past, planned, name) for row, past in shown)


def _matches_plan(
    row: Mapping[str, Any], past: int, planned: tuple[Assignment, ...], image_name: Callable[[str], str]
) -> bool:
    position = row["position"] - past
    if not 0 <= position < len(planned):
        return False
    a = planned[position]
    shown = (a.pair, a.kind, a.left.arm, a.right.arm, image_name(a.left.sha256), image_name(a.right.sha256))
    return shown == tuple(row[name] for name in ("pair", "kind", "left", "right", "image_left", "image_right"))
