"""What an organiser decides about a study, besides its images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from study.errors import StudyError
from study.protocol.parts import DEFAULT_QUESTIONS, GOLDS, CheckShares, Exclusions, Gold, Hypothesis, Question, Stopping

APART = ("question", "hypothesis", "analysis")  # options that are not fields of a spec as they are


@dataclass(frozen=True)
class Plan:
    """What a study asks of its raters."""

    seed: int = 0
    raters_per_pair: int = 3
    pairs_per_rater: int = 30
    """At most this many comparisons; checks come on top."""
    pairs_per_prompt: int | None = None
    """With many arms, compare only this many of their pairs on each prompt, in turns; by default all of them."""
    design: Literal["balanced", "adaptive"] = "balanced"
    """adaptive: with three arms or more, each rater gets the pairs of arms that are expected to tell most about their
    order, given the answers so far; as many on each prompt as `pairs-per-prompt` says."""
    mode: Literal["joint", "separate", "randomised"] = "joint"
    """All questions on one screen, one pass for each, or one of the two at random for each rater."""
    question: tuple[str, ...] = ()
    """`key:gold=text`, one or several; the three usual ones by default. `gold` says which picture of a gold pair is the
    right answer: `intact`, `spoilt` (for "which is worse?"), or `none`, which is the default."""
    image_quality: int | None = None
    """1 to 100: store all images as WebP of this quality; by default without loss."""
    hypothesis: tuple[str, ...] = ()
    """One or several, such as `ours > other on overall`: registered, and answered first in the report."""
    analysis: Path | None = None
    """A text file that says how you will analyse the answers, registered with the hypotheses."""
    title: str = "Which image is better?"
    """What raters read; they never see the study's name."""
    contact: str = ""
    """An address that raters can write to."""
    completion_url: str = ""
    """Where a crowd platform wants its raters to return."""
    full_url: str = ""
    """Where it wants raters to return when the study is full."""
    open_cap: int | None = None
    """At most this many raters through the open link; by default as many as the study needs."""
    abandoned_after_minutes: int = 120
    """A rater who is silent for this long, or for twice the usual session, gives up their open pairs to others."""
    checks: CheckShares = field(default_factory=CheckShares)
    exclusions: Exclusions = field(default_factory=Exclusions)
    stopping: Stopping = field(default_factory=Stopping)

    def changes(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in APART}
        if self.question:
            values["questions"] = parse_questions(self.question)
        if self.hypothesis:
            values["hypotheses"] = tuple(map(Hypothesis.parsed, self.hypothesis))
        if self.analysis:
            values["analysis"] = _text(self.analysis)
        return values


@dataclass(frozen=True)
class Pages:
    """What raters read besides the questions, and on what they look at the pictures."""

    language: Literal["en", "de", "fr", "es", "zh", "ar"] | None = None
    """What the rater's pages are written in."""
    consent: Path | None = None
    """A Markdown file with your own text for the first page."""
    instructions: Path | None = None
    """A Markdown file with your own instructions."""
    practice: str | None = None
    """`drawn`, `none`, or a folder with images and practice.csv: left, right, and perhaps prompt, expected, because."""
    questionnaire: Path | None = None
    """Asked after the last pair: a CSV or JSONL file with key, text, and perhaps choices (`one|two`)."""
    comment: bool | None = None
    """Whether the last page asks for a comment."""
    desktop_only: bool | None = None
    """Phones and tablets are told to come back on a computer."""
    min_size: int | None = None
    """The least size of pictures in the window, in CSS pixels of the shorter side; smaller ones cannot be voted on."""


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise StudyError(f"{file} cannot be read as a text file.") from None


def parse_questions(texts: Sequence[str]) -> tuple[Question, ...]:
    """From `key:gold=text`; a usual question may leave its gold out, another one without has none.

    Raises:
        StudyError: `gold` is none of GOLDS.
    """
    return tuple(_question(text) for text in texts)


def _question(text: str) -> Question:
    head, _, wording = text.partition("=")
    key, _, gold = (part.strip() for part in head.partition(":"))
    for usual in DEFAULT_QUESTIONS:
        if not gold and (usual.key, usual.text) == (key, wording.strip()):
            return usual
    known: dict[str, Gold] = {"": "none"} | {name: name for name in GOLDS}
    if gold not in known:
        raise StudyError(f"{text!r} has the gold {gold!r}: write {key}:intact=, {key}:spoilt= or {key}:none=.")
    return Question(key, wording.strip(), known[gold])
