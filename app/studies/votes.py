"""The loop of votes and trainings: which studies can teach a preference, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.catalogue import OWN
from app.engine.trainings import Trainings
from app.studies.ready import Standing, Studies, results_of
from e2ed2.preference.votes import counting, shortage
from study.store.frames import read_tables
from study.store.studies import StudyInfo, list_studies


@dataclass(frozen=True)
class Teacher:
    """A study, and whether a preference can be learned from its votes."""

    label: str  # what a person reads
    value: str  # what `Studies.named` takes
    lacks: str  # "12 more raters"; empty if its votes suffice


@dataclass(frozen=True)
class Round:
    """A model that was fine-tuned with a preference learned from votes."""

    model: str  # own/NAME
    start: str  # the model that it started from; empty if that is gone
    preference: str
    accuracy: dict[str, Any]  # as `e2ed2.preference.accuracy.Foretold.plain` has it
    asked: str = ""  # the before-and-after study; empty if there is none
    answers: int = 0  # in that study
    won: Standing | None = None  # how often the model wins against its start, once that study is closed


def teachers(studies: Studies) -> list[Teacher]:
    possible = []
    for label, value in studies.names():
        study = studies.named(value)
        if study is not None:
            tables = read_tables(studies.store.database, study)
            possible.append(Teacher(label, value, shortage(counting(tables.votes, tables.raters))))
    return possible


def export(studies: Studies, study: StudyInfo, folder: Path) -> None:
    """Export the study as `study export` does, for a preference to learn from."""
    from study.reporting.export import export_study  # takes two seconds to import: the first page need not wait for it

    export_study(studies.store, study, folder)


def rounds(trainings: Trainings, studies: Studies) -> list[Round]:
    """All rounds, the oldest first."""
    dated = []
    for name in trainings.names():
        liked = trainings.record(name).get("preference")
        if liked and trainings.state(name).finished:
            dated.append((trainings.folder / name / "order.json", _round(trainings, studies, name, liked)))
    return [one for file, one in sorted(dated, key=lambda pair: pair[0].stat().st_mtime)]


def _round(trainings: Trainings, studies: Studies, name: str, liked: dict[str, Any]) -> Round:
    model, start = f"{OWN}/{name}", trainings.start_of(name)
    facts = (model, start, liked["name"], liked["accuracy"])
    both = [study for study in list_studies(studies.store.database) if set(study.spec.arms) == {model, start}]
    if not both:
        return Round(*facts)
    study = max(both, key=lambda one: one.id)
    (question, *_) = results_of(studies.store, study).questions
    won = next(one for one in question.standings if one.arm == model)
    # Until the study is closed, this does not say who wins: its raters could read it here.
    return Round(*facts, study.name, won.answers, won if study.closed and won.answers else None)
