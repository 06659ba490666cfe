"""What a study freezes before its first vote."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self

from study.errors import StudyError
from study.protocol.parts import (
    DEFAULT_QUESTIONS,
    CheckShares,
    Exclusions,
    Hypothesis,
    Page,
    Prompt,
    Question,
    Stimulus,
    Stopping,
)
from study.protocol.problems import problems_of

FORMERLY_VISITORS = "visitors-"  # a spec that does not say its kind says it by the beginning of its name
WRITTEN_AS = {"checks": "placebos"}  # fields that keep their first name in JSON, since the hash of a spec covers it
OPERATIONS = ("contact", "completion_url", "full_url", "open_cap", "abandoned_after_minutes")  # may change any time


@dataclass(frozen=True)
class StudySpec:
    name: str
    arms: tuple[str, ...]  # two or more
    prompts: tuple[Prompt, ...]
    stimuli: tuple[Stimulus, ...]  # at least one for each prompt and arm
    degraded: tuple[Stimulus, ...] = ()  # for gold pairs: degraded copies, or the worse pictures; their arm is DEGRADED
    gold_of: tuple[str, ...] = ()  # sha256 of the intact image of each of `degraded`
    questions: tuple[Question, ...] = DEFAULT_QUESTIONS
    seed: int = 0
    raters_per_pair: int = 3
    pairs_per_rater: int = 30  # at most this many comparisons, checks not counted
    checks: CheckShares = field(default_factory=CheckShares)
    mode: Literal["joint", "separate", "randomised"] = "joint"  # questions on one screen, one pass each, or drawn
    exclusions: Exclusions = field(default_factory=Exclusions)
    stopping: Stopping = field(default_factory=Stopping)
    title: str = "Which image is better?"  # what raters read; the name is never shown to them
    contact: str = ""  # whom raters may write to
    completion_url: str = ""  # where a crowd platform wants its raters back; ../ for a page of the same site
    open_cap: int | None = None  # raters through the open link; without one, as many as the study needs
    abandoned_after_minutes: int = 120  # without a request, at most; then the rater's open pairs go to others
    full_url: str = ""  # where a crowd platform wants those back for whom there is no place
    kind: Literal["designed", "visitor"] = "designed"  # visitor: one pair that somebody chose who had seen its names
    golden: tuple[Stimulus, ...] = ()  # intact images of no arm: the organiser's own gold pairs; their arm is GOLDEN
    pairs_per_prompt: int | None = None  # of the arms' pairs, for each prompt and copy; None: all of them
    design: Literal["balanced", "adaptive"] = "balanced"  # adaptive: a rater's pairs follow from the answers so far
    hypotheses: tuple[Hypothesis, ...] = ()  # registered: the report opens with what became of them
    analysis: str = ""  # how the organiser means to analyse the answers, in their own words
    image_format: Literal["webp", "png"] = "webp"  # png in studies of earlier versions
    image_quality: int | None = None  # 1 to 100, where images were stored with loss
    references: tuple[Stimulus, ...] = ()  # shown beside both images of a prompt; their arm is REFERENCE
    page: Page = field(default_factory=Page)
    commitment: str = ""  # SHA-256 of the secret that the plan draws from; "" where it draws from the seed alone

    def __post_init__(self) -> None:
        if problems := list(problems_of(self)):
            raise StudyError("\n".join(problems))

    @property
    def by_visitor(self) -> bool:
        """One pair that a visitor chose, having seen it with its names: apart from every designed study."""
        return self.kind == "visitor"

    @property
    def adaptive(self) -> bool:
        """Which arms are compared on a prompt is chosen by the answers so far."""
        return self.design == "adaptive"

    @property
    def quota_unit(self) -> str:
        """What the quota counts."""
        return "prompt" if self.adaptive else "pair"

    @property
    def intact(self) -> tuple[Stimulus, ...]:
        return (*self.stimuli, *self.golden)

    @property
    def images(self) -> tuple[Stimulus, ...]:
        """Everything that raters may see, in the order in which it is stored."""
        return (*self.stimuli, *self.degraded, *self.golden, *self.references)

    @property
    def image_hashes(self) -> tuple[str, ...]:
        """Hashes of all files that belong to the study, including its own practice pairs."""
        practice = (sha256 for pair in self.page.practice or () for sha256 in (pair.left, pair.right))
        return tuple(dict.fromkeys((*(s.sha256 for s in self.images), *practice)))

    def image_name(self, sha256: str) -> str:
        """Where an export keeps this image, relative to its folder."""
        return f"images/{sha256}.{self.image_format}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What an organiser may not have intended, one sentence each."""
        return tuple(self._notes())

    def _notes(self) -> Iterable[str]:
        free = [question.key for question in self.questions if question.gold == "none"]
        if free and self.checks.gold:
            yield (
                f"Gold pairs do not check the answers to {', '.join(free)}. If one of their pictures is right, say "
                f"which: {free[0]}:intact=... for the good one, {free[0]}:spoilt=... if you ask for the worse one."
            )
        for arm, other in self.arm_pairs:
            pairs = [zip(self.copies[p.text, arm], self.copies[p.text, other], strict=True) for p in self.prompts]
            if same := sum(one.sha256 == two.sha256 for copies in pairs for one, two in copies):
                yield f"{arm} and {other} have the same picture {same} times: is one of their folders the wrong one?"

    @cached_property
    def copies(self) -> dict[tuple[str, str], tuple[Stimulus, ...]]:
        """(prompt, arm) to its images, in order."""
        copies: dict[tuple[str, str], list[Stimulus]] = {}
        for stimulus in self.stimuli:
            copies.setdefault((stimulus.prompt, stimulus.arm), []).append(stimulus)
        return {key: tuple(stimuli) for key, stimuli in copies.items()}

    @property
    def arm_pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(combinations(self.arms, 2))

    def category(self, prompt: str) -> str:
        """ "" for the prompt of an own gold pair."""
        return next((known.category for known in self.prompts if known.text == prompt), "")

    @cached_property
    def text(self) -> str:
        """Canonical JSON, the same for the same spec; one that was read keeps its own, whatever fields came since."""
        return _canonical({WRITTEN_AS.get(name, name): value for name, value in asdict(self).items()})

    def to_json(self) -> str:
        return self.text

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def operated(self, **changes: Any) -> Self:
        """With other values of OPERATIONS; the text and the hash stay those that were frozen. Raises StudyError."""
        if science := changes.keys() - set(OPERATIONS):
            raise StudyError(f"{', '.join(sorted(science))}: this is frozen, so changing it needs an amendment.")
        spec = replace(self, **changes)
        vars(spec)["text"] = self.text
        return spec

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises StudyError where the file cannot be read, or is no spec."""
        try:
            return cls.from_json(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            raise StudyError(f"{file} cannot be read as a text file.") from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises StudyError where the text is no spec."""
        parts: dict[str, Any] = {
            "prompts": lambda rows: tuple(Prompt(**row) for row in rows),
            "stimuli": lambda rows: tuple(Stimulus(**row) for row in rows),
            "degraded": lambda rows: tuple(Stimulus(**row) for row in rows),
            "references": lambda rows: tuple(Stimulus(**row) for row in rows),
            "page": Page.written,
            "hypotheses": lambda rows: tuple(Hypothesis(**row) for row in rows),
            "golden": lambda rows: tuple(Stimulus(**row) for row in rows),
            "questions": lambda rows: tuple(Question(**row) for row in rows),
            "arms": tuple,
            "gold_of": tuple,
            "checks": lambda row: CheckShares(**row),
            "exclusions": Exclusions.written,
            "stopping": lambda row: Stopping(**row),
        }
        fields = {written: name for name, written in WRITTEN_AS.items()}
        try:
            written = json.loads(text)
            kind = "visitor" if written["name"].startswith(FORMERLY_VISITORS) else "designed"
            values: dict[str, Any] = {"kind": kind, "image_format": "png"}
            named = {fields.get(name, name): value for name, value in written.items()}
            values |= {name: parts.get(name, lambda value: value)(value) for name, value in named.items()}
            spec = cls(**values)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise StudyError(f"This is not a study spec: {error}.") from None
        vars(spec)["text"] = _canonical(written)  # what its votes' hashes name
        return spec


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
