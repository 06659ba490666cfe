"""What a spec is made of: prompts, images, questions, and the rules of a study."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from study.errors import StudyError

Answer = Literal["left", "tie", "right"]
Kind = Literal["comparison", "identical", "same_arm", "repeat", "gold"]
Mode = Literal["joint", "separate"]
Gold = Literal["intact", "spoilt", "none"]  # which picture of a gold pair is the right answer to a question
ANSWERS: tuple[Answer, ...] = ("left", "tie", "right")
KINDS: tuple[Kind, ...] = ("comparison", "identical", "same_arm", "repeat", "gold")
MODES: tuple[Mode, ...] = ("joint", "separate")
GOLDS: tuple[Gold, ...] = ("intact", "spoilt", "none")
DEGRADED = "degraded"  # the arm of the worse pictures of gold pairs; no arm of a study may be called so
GOLDEN = "golden"  # the arm of the better pictures of the runner's own gold pairs


@dataclass(frozen=True)
class Question:
    key: str  # letters, digits, _ and -; what the tables call it
    text: str  # what the rater reads
    gold: Gold = "intact"  # spoilt: of "which is worse?"; none: gold pairs do not check the answers to it

    def right(self, intact: str) -> str:
        """The right answer to a gold pair whose intact picture is on this side (left or right); "" for none."""
        other = {"left": "right", "right": "left"}
        return {"intact": intact, "spoilt": other.get(intact, "")}.get(self.gold, "")


DEFAULT_QUESTIONS = (
    Question("overall", "Which image is better overall?"),
    Question("aesthetic", "Which image is more pleasing to look at?"),
    Question("alignment", "Which image fits the description better?"),
)


@dataclass(frozen=True)
class Prompt:
    text: str  # unique in a study
    category: str = ""


@dataclass(frozen=True)
class Stimulus:
    """One image. Several of the same prompt and arm are copies (seeds), paired across arms in their order."""

    prompt: str
    arm: str
    file: str  # name of the original, as the runner knows it
    sha256: str  # of the stored PNG's bytes, 64 hexadecimal digits


@dataclass(frozen=True)
class Placebos:
    """Pairs that check the raters, in addition to the comparisons. Each share is of a rater's comparisons, [0, 1]."""

    identical: float = 0.05  # the same image on both sides
    same_arm: float = 0.0  # two copies of one arm; needs two images of a prompt and arm
    repeat: float = 0.05  # an earlier pair again, its sides flipped
    gold: float = 0.16  # an image and a degraded copy of it: the answer is known; 5 on 30 comparisons

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if not 0 <= share <= 1:
                raise StudyError(f"The share of {name} pairs is {share}: choose a number from 0 to 1.")


@dataclass(frozen=True)
class Exclusions:
    """Rules, fixed in advance, for leaving a rater's votes out; None is no rule."""

    min_gold_pass_rate: float | None = 0.5  # [0, 1] of the answers to gold pairs
    min_median_response_ms: float | None = None  # over the rater's answers, each since its screen opened
    max_identical_strict: float | None = None  # [0, 1] of the answers to identical pairs that are not a tie
    min_attention: float | None = -1.25  # log odds of looking against blind clicks, from all check pairs together
    min_median_pace_ms: float | None = 500.0  # over the rater's screens: time for a screen / answers on it
    max_side_run: int | None = 15  # answers in a row, to one question, for the picture on one side

    def __post_init__(self) -> None:
        for name in ("min_gold_pass_rate", "max_identical_strict"):
            rate = getattr(self, name)
            if rate is not None and not 0 <= rate <= 1:
                raise StudyError(f"{name} is {rate}: choose a number from 0 to 1, or none.")
        for name in ("min_median_response_ms", "min_median_pace_ms", "max_side_run"):
            limit = getattr(self, name)
            if limit is not None and limit < 0:
                raise StudyError(f"{name} is {limit}: choose 0 or more, or none.")

    @classmethod
    def written(cls, rules: Mapping[str, Any]) -> Self:
        """Of a spec that was written: a rule that it does not name is none, whatever rules came since."""
        return cls(**dict.fromkeys(cls.__dataclass_fields__) | dict(rules))

    @classmethod
    def none(cls) -> Self:
        return cls.written({})


@dataclass(frozen=True)
class Stopping:
    """When to stop: at the planned number of raters, or as soon as the evidence of one question is in."""

    rule: Literal["quota", "e-value"] = "quota"
    alpha: float = 0.05  # (0, 1); an e-value stops at 1 / alpha
    question: str = ""  # key; the first question where it is empty

    def __post_init__(self) -> None:
        if self.rule not in ("quota", "e-value"):
            raise StudyError(f"The stopping rule is {self.rule!r}: choose quota or e-value.")
        if not 0 < self.alpha < 1:
            raise StudyError(f"The stopping rule's alpha is {self.alpha}: choose a number between 0 and 1.")
