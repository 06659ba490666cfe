"""A study of images, answered by a simulated crowd through the study's own store: plan, sides and chain are real."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.loop.tastes import TASTES, Crowd
from study.images.importing import import_images
from study.images.sources import Source
from study.protocol.balanced import rater_count
from study.protocol.parts import ANSWERS, CheckShares, Exclusions, Question
from study.protocol.spec import StudySpec
from study.reporting.export import export_study
from study.simulation.crowd import probabilities
from study.store.raters import Person, deal, enrol
from study.store.store import Store
from study.store.studies import create_study
from study.store.tables import StoredAssignment, StoredStimulus
from study.store.votes import Ballot, Screen, cast, next_screen

QUESTION = Question("overall", "Which image is better overall?")
GAIN = 2.0  # log odds, for a difference of one standard deviation among the images of a prompt that were voted on
TIE = -0.7  # log odds of a tie between equals, against winning on one given side
PAIRS = 30  # that a rater sees

Worths = Mapping[str, np.ndarray]  # of each taste, [N], in standard deviations


@dataclass(frozen=True)
class Arm:
    name: str
    images: np.ndarray  # uint8 [N, H, W, 3], one of each prompt
    worths: Worths


def ask(
    prompts: Sequence[str], arms: Sequence[Arm], crowd: Crowd, folder: Path, raters_per_pair: int, seed: int
) -> pd.DataFrame:
    """The votes of a study in `folder`, whose export is `folder/export`."""
    store = Store.open(folder / "data", f"sqlite:///{folder}/data/study.db")
    images = import_images(written(prompts, arms, folder), store.library)
    spec = StudySpec(
        "loop",
        images.arms,
        images.prompts,
        images.stimuli,
        questions=(QUESTION,),
        seed=seed,
        raters_per_pair=raters_per_pair,
        pairs_per_rater=PAIRS,
        checks=CheckShares(0, 0, 0, 0),
        exclusions=Exclusions.none(),
    )
    study = create_study(store.database, spec)
    place = {prompt: row for row, prompt in enumerate(prompts)}
    worths = {
        s.sha256: {taste: arm.worths[taste][place[s.prompt]] for taste in TASTES}
        for arm in arms
        for s in images.stimuli
        if s.arm == arm.name
    }
    rng = np.random.default_rng(seed)
    for number in range(rater_count(spec)):
        who = enrol(store.database, study, Person("invite", f"rater {number}"))
        deal(store.database, who)
        while screen := next_screen(store.database, who):
            left, right = (worths[sha256] for sha256 in pictured(store, screen))
            cast(store.database, who, ballot(screen, answer(crowd, number, left, right, rng)))
    votes = export_study(store, study, folder / "export").votes
    store.database.engine.dispose()
    return votes


def written(prompts: Sequence[str], arms: Sequence[Arm], folder: Path) -> list[Source]:
    sources = []
    for arm in arms:
        (folder / "images" / arm.name).mkdir(parents=True, exist_ok=True)
        for row, prompt in enumerate(prompts):
            file = folder / "images" / arm.name / f"{row:03}.png"
            Image.fromarray(arm.images[row]).save(file)
            sources.append(Source(prompt, arm.name, file))
    return sources


def pictured(store: Store, screen: Screen) -> tuple[str, str]:
    """SHA-256 of the left and of the right image, which no rater is told."""
    with store.database.read() as session:
        row = session.get_one(StoredAssignment, screen.assignment)
        left, right = (session.get_one(StoredStimulus, one).sha256 for one in (row.left_id, row.right_id))
    return left, right


def answer(
    crowd: Crowd, rater: int, left: Mapping[str, float], right: Mapping[str, float], rng: np.random.Generator
) -> str:
    """By the rater's own taste, as Davidson (1970) has it; by lot where there is none, and in a lapse."""
    difference = 0.0
    if crowd.tastes and rng.random() >= crowd.lapses:
        taste = crowd.tastes[rater % len(crowd.tastes)]
        difference = GAIN * (left[taste] - right[taste])
    return str(rng.choice(ANSWERS, p=probabilities(np.array(difference), np.array(TIE))))


def ballot(screen: Screen, said: str) -> Ballot:
    answers = {question.key: said for question in screen.questions}
    return Ballot(screen.assignment, str(uuid.uuid4()), answers, dict.fromkeys(answers, 3000), "client")
