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
LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")  # of the rater's pages
DEGRADED = "degraded"  # the arm of the worse pictures of gold pairs; no arm of a study may be called so
REFERENCE = "(reference)"  # the arm of pictures that are shown beside both, such as the one that was edited
GOLDEN = "golden"  # the arm of the better pictures of the organiser's own gold pairs


def is_name(text: str) -> bool:
    """Letters, digits, _ and -: fit for a study or a question, and so for addresses, files and columns."""
    return text.replace("-", "").replace("_", "").isalnum()


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
    file: str  # name of the original, as the organiser knows it
    sha256: str  # of the stored bytes, 64 hexadecimal digits


@dataclass(frozen=True)
class CheckShares:
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
        """Read from a stored spec: a rule that it does not name is off, even if a later version added it."""
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


@dataclass(frozen=True)
class Hypothesis:
    """A claim made before the first vote."""

    better: str  # arm
    worse: str
    question: str  # key

    def __str__(self) -> str:
        return f"{self.better} > {self.worse} on {self.question}"

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From `ours > other on overall`. Raises StudyError."""
        arms, _, question = text.rpartition(" on ")
        better, _, worse = (part.strip() for part in arms.partition(">"))
        if not better or not worse or not question.strip():
            raise StudyError(f"{text!r} is not a hypothesis: write it like ours > other on overall.")
        return cls(better, worse, question.strip())


@dataclass(frozen=True)
class PracticePair:
    """Two images of the organiser's own, and what most people say of them."""

    prompt: str
    left: str  # sha256
    right: str
    expected: str  # left, tie, right; "" where there is no right answer
    because: str  # what the rater reads afterwards


@dataclass(frozen=True)
class Item:
    """A question about the rater, after the last pair. Nobody has to answer it."""

    key: str
    text: str
    choices: tuple[str, ...] = ()  # none: words of the rater's own


@dataclass(frozen=True)
class Page:
    """What raters read besides the questions, and on what they may look at the pictures."""

    language: str = "en"  # of LANGUAGES
    consent: str = ""  # Markdown, instead of the usual text
    instructions: str = ""  # Markdown, instead of the usual text
    practice: tuple[PracticePair, ...] | None = None  # None: drawn ones
    questionnaire: tuple[Item, ...] = ()
    comment: bool = False  # whether the last page asks for one
    show_prompts: bool = True
    desktop_only: bool = False
    min_size: int = 0  # CSS pixels that the shorter side of a picture must have in the rater's window

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise StudyError(f"The language is {self.language!r}: choose {', '.join(LANGUAGES)}.")
        if not 0 <= self.min_size <= 4096:
            raise StudyError(f"min_size is {self.min_size}: choose 0 to 4096 pixels.")

    @classmethod
    def written(cls, row: Mapping[str, Any]) -> Self:
        """Read from a stored spec."""
        values = dict(row)
        if values.get("practice") is not None:
            values["practice"] = tuple(PracticePair(**pair) for pair in values["practice"])
        items = values.get("questionnaire", ())
        values["questionnaire"] = tuple(Item(item["key"], item["text"], tuple(item["choices"])) for item in items)
        return cls(**values)
