"""What an organiser can do with a study, as on the command line: each returns a sentence or raises StudyError."""

import os
import tempfile
from pathlib import Path
from typing import Any

from app.studies.ready import Studies
from study.errors import StudyError
from study.protocol.choices import parse_questions
from study.protocol.parts import DEFAULT_QUESTIONS, Question
from study.protocol.spec import StudySpec
from study.store.leaving import drop, find_named, release
from study.store.studies import StudyInfo, adjust_study, amend_study


def study_of(studies: Studies, name: str | None) -> StudyInfo:
    study = studies.named(name) if name else None
    if study is None:
        raise StudyError("Choose a study first.")
    return study


def released(studies: Studies, name: str | None, who: str) -> str:
    study = study_of(studies, name)
    release(studies.store.database, study, _rater(studies, study, who))
    return f"The open pairs of {who.strip()} now go to others."


def dropped(studies: Studies, name: str | None, who: str, reason: str, erase: bool) -> str:
    study = study_of(studies, name)
    if not reason.strip():
        raise StudyError("Say why the answers are withdrawn: the report prints it. It must not name the person.")
    drop(studies.store.database, study, _rater(studies, study, who), reason, erase)
    return f"The answers of {who.strip()} no longer count{'; the name is erased' if erase else ''}."


def _rater(studies: Studies, study: StudyInfo, who: str) -> str:
    if not who.strip():
        raise StudyError("Write whom you mean, as the table names them.")
    try:
        return find_named(studies.store.database, study, who.strip())
    except StudyError:
        raise StudyError(f"Nobody, or more than one, is called {who.strip()!r}: write it as in the table.") from None


def adjusted(studies: Studies, name: str | None, wanted: dict[str, Any]) -> str:
    """`wanted`: fields of the spec's OPERATIONS; unchanged ones are left alone."""
    study = study_of(studies, name)
    changes = changed(study.spec, wanted)
    if not changes:
        raise StudyError("Nothing is different from before.")
    adjust_study(studies.store.database, study.name, **changes)
    return f"{study.name} now has " + ", ".join(f"{key} {value!r}" for key, value in changes.items()) + "."


def amended(studies: Studies, name: str | None, reason: str, wanted: dict[str, Any]) -> StudyInfo:
    """The new version; the old one is closed to new raters."""
    study = study_of(studies, name)
    return amend_study(studies.store, study.name, reason or "", **changed(study.spec, wanted))


def changed(spec: StudySpec, wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in wanted.items() if getattr(spec, key) != value}


def questions_of(text: str) -> tuple[Question, ...]:
    """Questions, one a line, as `key:gold=text`; the default ones if the text is empty."""
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    return parse_questions(lines) if lines else DEFAULT_QUESTIONS


def as_text(questions: tuple[Question, ...]) -> str:
    return "\n".join(f"{question.key}:{question.gold}={question.text}" for question in questions)


def verified(studies: Studies, name: str | None, key: str = "", receipt: str = "") -> str:
    """Check the chain of votes and every image of a fresh export.

    Args:
        key: a public key that must have signed the chain.
        receipt: number and hash of a vote that the chain must contain, as a rater's last page shows them.
    """
    from study.reporting.export import export_study
    from study.reporting.verify import verify_export

    study = study_of(studies, name)
    with tempfile.TemporaryDirectory() as folder:
        export_study(studies.store, study, Path(folder))
        result = verify_export(Path(folder), receipt=_receipt(receipt), key=key.strip())
    if result.problems:
        raise StudyError("\n".join(result.problems))
    return "\n\n".join(
        (
            f"{result.revisions} revisions, {result.votes} answers and {result.images} images are as they were "
            "written.",
            f"Hash of the last vote: {result.head or 'no vote yet'}",
            f"Signed by: {result.key or 'nobody'}",
        )
    )


def _receipt(text: str) -> tuple[int, str] | None:
    if not text.strip():
        return None
    number, *rest = text.replace(",", " ").split()
    if not number.isdecimal() or len(rest) != 1:
        raise StudyError("A receipt is a number and a hash, as on a rater's last page: 12 3f9c…")
    return int(number), rest[0]


def predictions(studies: Studies, name: str | None, scores: str | None, lower: str = "") -> list[list[str]]:
    """How well each column of a table of scores predicts the votes, and how well another person would.

    The table is then deleted: anyone who knows the address of an upload can read it.
    """
    from study.reporting.export import export_pooled
    from study.reporting.metrics import compare
    from study.reporting.words import p_value, with_interval

    study = study_of(studies, name)
    if not scores or not Path(scores).is_file():
        raise StudyError("Choose a CSV file with a score for each picture first.")
    less = tuple(word.strip() for word in lower.replace(",", " ").split())
    try:
        with tempfile.TemporaryDirectory() as folder:
            export_pooled(studies.store, study, Path(folder))
            metrics, ceilings = compare(Path(folder), Path(scores), less)
    except StudyError as error:
        raise StudyError(str(error).replace(scores, "The table").replace("--lower", "“Less is better”")) from None
    finally:
        os.unlink(scores)
    rows = [
        [one.metric, one.question, with_interval(one.accuracy), p_value(one.accuracy.p), ", ".join(one.arms)]
        for one in metrics
    ]
    for one in ceilings:
        rows.append(["another rater", one.question, with_interval(one.another), "", ""])
        rows.append(["majority of the others", one.question, with_interval(one.majority), "", ""])
    return rows


def power(arms: int, prompts: int, copies: int, raters_per_pair: int, pairs_per_rater: int) -> str:
    """What a study of this shape can be expected to find, before it is made."""
    from study.simulation.power import RATE, Simulate, planned, promise

    if arms < 2 or not prompts:
        raise StudyError("A study compares two arms at least, on at least one prompt.")
    shape = Simulate(
        win_rate=(RATE,) * (arms - 1),
        prompts=prompts,
        images_per_prompt=copies,
        raters_per_pair=raters_per_pair,
        pairs_per_rater=pairs_per_rater,
    )
    return promise(planned(shape))
