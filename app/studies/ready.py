"""The studies behind the pages, among them the ready-made one of the bundled models, its link and its results."""

import hashlib
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from PIL import Image

from app.engine.catalogue import Models
from app.settings import ServerSettings
from app.studies.pictures import PictureOrder, Wanted, paint_order
from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.inference.request import STEPS, available_models
from study.errors import StudyError
from study.protocol.parts import CheckShares
from study.store.creating import make_study
from study.store.frames import read_tables
from study.store.store import Store
from study.store.studies import StudyInfo, list_studies
from study.store.visitors import Chosen, open_pair, tally
from study.web import Offer

READY = "bundled-models"
STYLED, FREE = "style named", "no style named"
PROMPTS = (
    Wanted("red apple", "red apple, noto style", STYLED),
    Wanted("cat face", "cat face, noto style", STYLED),
    Wanted("sunflower", "sunflower, twemoji style", STYLED),
    Wanted("rainbow", "rainbow", FREE),
    Wanted("pizza", "pizza", FREE),
    Wanted("robot", "robot", FREE),
)
PAINTING = "The models are painting the pictures for this study. This page goes on by itself in a few seconds."
TOO_FEW = "There is no study here yet: it needs at least two models to compare."
FAILED = "The study of the bundled models could not be made: the server's log says why."


@dataclass(frozen=True)
class Standing:
    """One arm of the ready study on one question, against all others. Shares in [0, 1]."""

    arm: str
    win_rate: float  # a tie counts half; nan if there is no answer
    low: float  # 95% interval, generalising to new raters and new prompts
    high: float
    answers: int


@dataclass(frozen=True)
class Question:
    """What the ready study has found so far on one question."""

    key: str
    text: str
    standings: tuple[Standing, ...]  # best first


@dataclass(frozen=True)
class Found:
    raters: int  # those who answered at least once
    answers: int  # to comparisons, all questions together
    questions: tuple[Question, ...]


class Studies:
    """The store of all studies, and the ready study, which compares the bundled models and is made at the start."""

    def __init__(
        self,
        store: Store,
        checkpoints: Path | None = None,
        runs: Path | None = None,
        added: Mapping[str, Path] | None = None,
    ):
        """`runs`: the visitors' trainings, whose models a study may compare as well; so it may those in `added`."""
        self.store, self.checkpoints, self.runs, self.added = store, checkpoints or CHECKPOINTS, runs, added
        self.models = tuple(available_models(self.checkpoints))
        self.usual_models = Models(self.checkpoints).of_steps(STEPS[-1])[:2]
        self._ready: StudyInfo | None = None
        self._why_not = PAINTING

    def all_models(self) -> list[str]:
        """The bundled models, and all trainings finished by now."""
        return Models(self.checkpoints, self.runs, self.added).names()

    def prepare(self, after: Event | None = None) -> Thread:
        """Find or make the ready study, in a thread and once `after` is set, so that the pages need not wait."""
        thread = Thread(target=self._prepare, args=(after,), name="ready study", daemon=True)
        thread.start()
        return thread

    def offer(self) -> Offer:
        """What the bare address of the rater's pages offers."""
        if self._ready:
            return Offer(self._ready.token, home="../")
        return Offer(sentence=self._why_not, waiting=self._why_not == PAINTING, home="../")

    def pair_link(self, prompt: str, pictures: Mapping[str, Image.Image], back: str) -> str:
        """The address where a visitor votes on two pictures, relative to the site's root.

        `back` is relative to the rater's pages.

        Raises:
            StudyError: the two are not a pair, or there is no room for another.
        """
        return f"study/join/{open_pair(self.store, prompt, pictures, back).token}"

    def chosen(self) -> list[Chosen]:
        """Totals of what visitors said about pairs that they chose themselves."""
        return tally(self.store.database)

    def names(self) -> list[tuple[str, str]]:
        """Every version of every study, newest first: a label, and the value that `named` takes."""
        studies = sorted(list_studies(self.store.database), key=lambda study: -study.id)
        return [
            (f"{s.name}, version {s.version}" if s.version > 1 else s.name, f"{s.name} {s.version}") for s in studies
        ]

    def named(self, name: str) -> StudyInfo | None:
        """The study for a value from `names`."""
        known = {f"{study.name} {study.version}": study for study in list_studies(self.store.database)}
        return known.get(name)

    def found(self) -> Found | None:
        """What raters have said about the bundled models so far; None while there is no ready study."""
        return results_of(self.store, self._ready) if self._ready else None

    def _prepare(self, after: Event | None) -> None:
        if after:
            after.wait()
        try:
            self._ready = make_ready(self.store, self.checkpoints)
            self._why_not = TOO_FEW
        except (StudyError, UserError, OSError) as error:
            self._why_not = FAILED
            print(f"The study of the bundled models could not be made: {error}", file=sys.stderr)


def studies_or_exit(settings: ServerSettings) -> Studies:
    """The studies; if the data folder or the database is unusable, exit with one sentence and code 2."""
    try:
        return Studies(Store.open(settings.study_data), settings.checkpoints, settings.runs, settings.added)
    except StudyError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def make_ready(store: Store, checkpoints: Path) -> StudyInfo | None:
    """The study of exactly these models, found or made. None if fewer than two of them take its number of steps."""
    models = Models(checkpoints).of_steps(STEPS[-1])
    if len(models) < 2:
        return None
    name = f"{READY}-{fingerprint(checkpoints)}"
    known = [study for study in list_studies(store.database) if study.name == name]
    if known:
        return known[-1]
    with tempfile.TemporaryDirectory() as folder:
        sources = list(paint_order(PictureOrder(models, STEPS[-1:], PROMPTS), Path(folder), checkpoints))
        return make_study(
            store,
            name,
            sources,
            raters_per_pair=100,
            pairs_per_rater=9,
            checks=CheckShares(0.1, 0.0, 0.1, 0.1),
            title="Which picture is better?",
        )


def fingerprint(checkpoints: Path) -> str:
    """A hash of the weights and how they are used: different models make a different study."""
    digest = hashlib.sha256(repr(PROMPTS).encode())
    for file in sorted({*checkpoints.glob("*/**/*.safetensors"), *checkpoints.glob("*/**/*config.json")}):
        digest.update(str(file.relative_to(checkpoints)).encode())
        with open(file, "rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:8]


def results_of(store: Store, study: StudyInfo) -> Found:
    """Win rates of every arm against all others, after the study's own exclusion rules."""
    from study.stats import exclude  # takes a second to import: the first page need not wait for it
    from study.stats.answers import comparisons
    from study.stats.preference import against_others

    votes = read_tables(store.database, study).votes
    counted = exclude(votes, study.spec.exclusions)[0] if len(votes) else votes
    compared = counted[counted["kind"] == "comparison"]
    questions = []
    for question in study.spec.questions:
        answers = comparisons(counted, question.key)
        rates = {arm: against_others(answers, arm) for arm in study.spec.arms}
        standings = [Standing(a, e.value, e.interval.low, e.interval.high, e.n) for a, e in rates.items()]
        standings.sort(key=lambda s: (not s.answers, -s.win_rate if s.answers else 0))
        questions.append(Question(question.key, question.text, tuple(standings)))
    return Found(compared["rater"].nunique(), len(compared), tuple(questions))
