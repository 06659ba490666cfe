"""Pairs that visitors choose: each a study of its own, with the chain, the pages and the export of any other.

Whoever chooses a pair has seen both pictures, with their names. Such answers are neither a random sample nor blind, so
they never enter a designed study: its spec does not have their images, and its figures read its own votes only.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from study.errors import StudyError
from study.images.library import encode
from study.protocol.parts import DEFAULT_QUESTIONS, CheckShares, Exclusions, Prompt, Stimulus
from study.protocol.spec import StudySpec
from study.store.database import Database
from study.store.raters import Participation
from study.store.store import Store
from study.store.studies import StudyInfo, create_study, find_study
from study.store.tables import Arm, StoredAssignment, StoredStimulus, Study, Vote
from study.store.votes import Screen, last_screen

MOST_PAIRS = 10_000  # kept; each is two images
MOST_RATERS = 1000  # of a pair


@dataclass(frozen=True)
class Revealed:
    """What a visitor voted on, with its names."""

    screen: Screen
    left: str  # arms
    right: str

    def answer_in_words(self, answer: str) -> str:
        chosen = {"left": f"You chose A, {self.left}.", "right": f"You chose B, {self.right}."}
        return chosen.get(answer, "You saw no difference that matters.")


@dataclass(frozen=True)
class Chosen:
    """What visitors said of two arms, over all pairs of theirs that they chose. Counts."""

    arm: str
    other: str
    wins: int
    ties: int
    losses: int

    def turned(self) -> "Chosen":
        return Chosen(self.other, self.arm, self.losses, self.ties, self.wins)


def open_pair(store: Store, prompt: str, pictures: Mapping[str, Image.Image], back: str = "") -> StudyInfo:
    """The study of this very pair: found, or made. `pictures` by arm; `back` is where its raters go afterwards.

    Raises:
        StudyError: not two pictures of one size, or there is no room for another pair.
    """
    if len(pictures) != 2 or len({picture.size for picture in pictures.values()}) > 1:
        raise StudyError("Choose two pictures of one size to vote on.")
    images = {arm: store.library.add(encode(pictures[arm])) for arm in sorted(pictures)}
    digest = hashlib.sha256(repr((prompt, images)).encode()).hexdigest()
    name = f"visitors-{digest[:16]}"
    if name in (known := _names(store.database)):
        return find_study(store.database, name)
    if len(known) >= MOST_PAIRS:
        raise StudyError("Visitors have chosen so many pairs that there is no room for another.")
    spec = StudySpec(
        name=name,
        arms=tuple(images),
        prompts=(Prompt(prompt),),
        stimuli=tuple(Stimulus(prompt, arm, "", sha256) for arm, sha256 in images.items()),
        seed=int(digest[16:24], 16),  # so that the sides differ from pair to pair, not only from rater to rater
        raters_per_pair=MOST_RATERS,
        pairs_per_rater=1,
        checks=CheckShares(0, 0, 0, 0),
        exclusions=Exclusions.none(),
        title="Which picture is better?",
        completion_url=back,
        kind="visitor",
    )
    try:
        return create_study(store.database, spec)
    except StudyError:  # somebody chose it in this moment
        return find_study(store.database, name)


def reveal(database: Database, rater: Participation) -> Revealed | None:
    """The names, for a visitor who has voted; None before, and for every designed study."""
    screen = last_screen(database, rater) if rater.study.spec.by_visitor else None
    if screen is None:
        return None
    left, right = aliased(StoredStimulus), aliased(StoredStimulus)
    arm, other = aliased(Arm), aliased(Arm)
    query = (
        select(arm.name, other.name)
        .select_from(StoredAssignment)
        .join(left, left.id == StoredAssignment.left_id)
        .join(arm, arm.id == left.arm_id)
        .join(right, right.id == StoredAssignment.right_id)
        .join(other, other.id == right.arm_id)
        .where(StoredAssignment.id == screen.assignment)
    )
    with database.read() as session:
        return Revealed(screen, *session.execute(query).one())


def tally(database: Database, question: str = DEFAULT_QUESTIONS[0].key) -> list[Chosen]:
    """All answers to one question on pairs that visitors chose, the pair of arms with most answers first."""
    left, right = aliased(StoredStimulus), aliased(StoredStimulus)
    arm, other = aliased(Arm), aliased(Arm)
    query = (
        select(arm.name, other.name, Vote.answer, func.count())
        .select_from(Vote)
        .join(Study, Study.id == Vote.study_id)
        .join(StoredAssignment, StoredAssignment.id == Vote.assignment_id)
        .join(left, left.id == StoredAssignment.left_id)
        .join(arm, arm.id == left.arm_id)
        .join(right, right.id == StoredAssignment.right_id)
        .join(other, other.id == right.arm_id)
        .where(Study.kind == "visitor", Vote.is_current, Vote.question == question)
        .group_by(arm.name, other.name, Vote.answer)
    )
    counts: Counter[tuple[str, str, str]] = Counter()
    with database.read() as session:
        for of_left, of_right, answer, count in session.execute(query):
            won = {"left": of_left, "right": of_right}.get(answer, "")
            counts[min(of_left, of_right), max(of_left, of_right), won] += count
    pairs = {(one, two) for one, two, _ in counts}
    counted = [Chosen(*pair, counts[*pair, pair[0]], counts[*pair, ""], counts[*pair, pair[1]]) for pair in pairs]
    return sorted(counted, key=lambda one: (-(one.wins + one.ties + one.losses), one.arm, one.other))


def _names(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Study.name).where(Study.kind == "visitor")))
