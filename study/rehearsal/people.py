"""Simulated raters who see the pages: what each kind answers, and how long it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from study.protocol.parts import DEGRADED, GOLDEN, Question, Stimulus
from study.simulation.crowd import ALIKE, WEAK, World, probabilities

READING, PRACTISING, LOADING = 30.0, 5.0, 0.4  # s: a page of text, a practice pair, two pictures
SIDES = ("left", "tie", "right")
FURTHER = 0.5  # of the time of the first answer on a screen that each further one takes

Answers = dict[str, str]  # question to left, tie, right


@dataclass(frozen=True)
class Shown:
    """A pair as a rater looks at it."""

    left: Stimulus
    right: Stimulus
    questions: tuple[Question, ...]


@dataclass
class Crowd:
    """What the people of one rehearsal have in common: what the prompts suit, and the chance that it is drawn with."""

    world: World
    rng: np.random.Generator
    suits: dict[tuple[str, str], float] = field(default_factory=dict)  # by prompt and arm, drawn when first seen

    def suit(self, stimulus: Stimulus) -> float:
        if stimulus.arm in (DEGRADED, GOLDEN):
            return 0.0
        place = (stimulus.prompt, stimulus.arm)
        if place not in self.suits:
            self.suits[place] = self.world.prompt_sd * float(self.rng.standard_normal())
        return self.suits[place]


class Careful:
    """Looks at both pictures, and answers each question by its own taste (Davidson's model, as `World` has it)."""

    lapse = 0.0  # share of pairs that are clicked through blindly
    log_seconds = 1.2  # for a first answer, on average

    def __init__(self, crowd: Crowd):
        self.crowd, self.rng, world = crowd, crowd.rng, crowd.world
        self.taste = {arm: s + world.rater_sd * self._normal() for arm, s in world.strengths.items()}
        self.taste |= {DEGRADED: WEAK, GOLDEN: 0.0}
        self.side = world.side + world.side_sd * self._normal()
        self.tie = world.tie + world.tie_sd * self._normal()
        self.pace = self.log_seconds + 0.3 * self._normal()

    def answers(self, shown: Shown) -> Answers:
        if self.rng.random() < self.lapse:
            return {question.key: self._at_random() for question in shown.questions}
        return {question.key: self._judged(shown, question) for question in shown.questions}

    def seconds(self, answers: int) -> list[float]:
        """From the moment that both pictures are seen to each answer on a screen, one after the other."""
        first, *others = np.exp(self.pace + 0.4 * self.rng.standard_normal(answers))
        return list(np.cumsum([first, *(FURTHER * time for time in others)]))

    def _judged(self, shown: Shown, question: Question) -> str:
        left, right = (self.taste[s.arm] + self.crowd.suit(s) for s in (shown.left, shown.right))
        worse = -1 if question.gold == "spoilt" else 1  # "which is worse?"
        alike = ALIKE if shown.left.arm == shown.right.arm else 0.0
        odds = np.array(worse * (left - right) + self.side)
        return SIDES[int(self.rng.choice(3, p=probabilities(odds, np.array(self.tie + alike))))]

    def _at_random(self) -> str:
        return SIDES[int(self.rng.integers(3))]

    def _normal(self) -> float:
        return float(self.rng.standard_normal())


class Lapsing(Careful):
    """Looks at seven pairs of ten."""

    lapse = 0.3


class LeftClicker(Careful):
    """Looks at nothing, and clicks A, unhurriedly."""

    def answers(self, shown: Shown) -> Answers:
        return {question.key: "left" for question in shown.questions}


class Speeder(Careful):
    """Clicks as fast as the page allows, half of the time after a glance."""

    lapse = 0.5
    log_seconds = -1.4  # a quarter of a second


class Copier(Careful):
    """Judges the first question of a screen, and gives that answer to all of them."""

    def answers(self, shown: Shown) -> Answers:
        first = super().answers(Shown(shown.left, shown.right, shown.questions[:1]))
        return {question.key: next(iter(first.values())) for question in shown.questions}


class Colluder(Careful):
    """One of two: the first looks and tells the second, by prompt, which letter to click."""

    def __init__(self, crowd: Crowd, shared: dict[str, Answers], first: bool):
        super().__init__(crowd)
        self.shared, self.first = shared, first

    def answers(self, shown: Shown) -> Answers:
        if self.first:
            return self.shared.setdefault(shown.left.prompt, super().answers(shown))
        known = self.shared.get(shown.left.prompt, {})
        return {question.key: known.get(question.key) or self._at_random() for question in shown.questions}


def _two_colluders(crowd: Crowd) -> list[Careful]:
    shared: dict[str, Answers] = {}
    return [Colluder(crowd, shared, first=True), Colluder(crowd, shared, first=False)]


KINDS: Mapping[str, Callable[[Crowd], list[Careful]]] = {
    "careful": lambda crowd: [Careful(crowd)],
    "lapsing": lambda crowd: [Lapsing(crowd)],
    "left_clickers": lambda crowd: [LeftClicker(crowd)],
    "speeders": lambda crowd: [Speeder(crowd)],
    "copiers": lambda crowd: [Copier(crowd)],
    "colluding_pairs": _two_colluders,
}
