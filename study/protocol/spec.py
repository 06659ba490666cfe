"""What a study freezes before its first vote."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self

from study.errors import StudyError
from study.protocol.parts import (
    DEFAULT_QUESTIONS,
    DEGRADED,
    GOLDS,
    REFERENCE,
    CheckShares,
    Exclusions,
    Hypothesis,
    Page,
    Prompt,
    Question,
    Stimulus,
    Stopping,
    is_name,
)

FORMERLY_VISITORS = "visitors-"  # a spec that does not say its kind says it by the beginning of its name
WRITTEN_AS = {"checks": "placebos"}  # fields that keep their first name in JSON, since the hash of a spec covers it
OPERATIONS = ("contact", "completion_url", "full_url", "open_cap", "abandoned_after_minutes")  # may change any time


def bad_name(name: str) -> str:
    """What is said of a study's name that is none."""
    return f"The study's name is {name!r}: use letters, digits, _ and -."


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
        if problems := list(self._problems()):
            raise StudyError("\n".join(problems))

    def _problems(self) -> Iterable[str]:
        yield from self._naming_problems()
        yield from self._design_problems()
        yield from self._number_problems()
        yield from self._image_problems()

    def _naming_problems(self) -> Iterable[str]:
        if not is_name(self.name):
            yield bad_name(self.name)
        if self.kind not in ("designed", "visitor") or (self.by_visitor and len(self.stimuli) != 2):
            yield f"The kind is {self.kind!r}: a study is designed, or it is the one pair that a visitor chose."
        if len(self.arms) < 2:
            yield "A study compares at least two arms."
        reserved = {DEGRADED, *(s.arm for s in (*self.golden, *self.references))}
        if reserved & set(self.arms) or not all(arm.strip() for arm in self.arms):
            yield f"An arm has no name, or a reserved one ({', '.join(sorted(reserved))}): choose another."
        for what, names in (
            ("arm", self.arms),
            ("prompt", [prompt.text for prompt in self.prompts]),
            ("question", [question.key for question in self.questions]),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    yield f"The {what} {name!r} is named {count} times: name it once."
        if not self.questions:
            yield "A study asks at least one question."
        for question in self.questions:
            if not is_name(question.key) or not question.text.strip():
                yield f"The question {question.key!r} needs a key of letters, digits, _ and -, and a text."
            if question.gold not in GOLDS:
                yield f"The gold of question {question.key!r} is {question.gold!r}: choose intact, spoilt or none."
        for h in self.hypotheses:
            if not {h.better, h.worse} <= set(self.arms) or h.better == h.worse:
                yield f"The hypothesis {str(h)!r} needs two of the arms {', '.join(self.arms)}."
            if h.question not in {question.key for question in self.questions}:
                yield f"The hypothesis {str(h)!r} asks {h.question!r}, which is not one of the questions."
        if self.stopping.rule == "e-value" and len(self.arms) > 2:
            yield "Stopping on an e-value is for two arms: compare two, or let the quota stop the study."
        if self.stopping.question and self.stopping.question not in {question.key for question in self.questions}:
            yield f"The stopping rule's question {self.stopping.question!r} is not one of the questions."
        if self.mode not in ("joint", "separate", "randomised"):
            yield f"The mode is {self.mode!r}: choose joint, separate or randomised."
        for what, url in (("completion", self.completion_url), ("full", self.full_url)):
            if url and not url.startswith(("https://", "../")):
                yield f"The {what} URL is {url!r}: it must start with https://."

    def _design_problems(self) -> Iterable[str]:
        if self.design not in ("balanced", "adaptive"):
            yield f"The design is {self.design!r}: choose balanced or adaptive."
        if not self.adaptive:
            return
        if len(self.arms) < 3:
            yield "An adaptive design chooses among pairs of arms, but two arms make only one pair: leave out --design."
        if self.stopping.rule == "e-value":
            yield "An adaptive design cannot stop on an e-value, whose bets need pairs that no answer chose: use quota."
        if self.hypotheses:
            yield (
                "An adaptive design cannot answer registered hypotheses, since their test needs pairs that no answer "
                "chose: leave out the hypotheses or --design."
            )

    def _number_problems(self) -> Iterable[str]:
        for name in ("raters_per_pair", "pairs_per_rater", "abandoned_after_minutes"):
            if getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}: choose a whole number from 1."
        if self.pairs_per_prompt is not None:
            units = sum(len(self.copies.get((prompt.text, self.arms[0]), ())) for prompt in self.prompts)
            if not 1 <= self.pairs_per_prompt <= len(self.arm_pairs):
                yield f"pairs_per_prompt is {self.pairs_per_prompt}: choose 1 to {len(self.arm_pairs)}, or none."
            elif units * self.pairs_per_prompt < len(self.arm_pairs):
                yield (
                    f"pairs_per_prompt is {self.pairs_per_prompt}: over {units} prompts that leaves pairs of arms out; "
                    f"choose {-(-len(self.arm_pairs) // units)} or more."
                )
        if self.open_cap is not None and self.open_cap < 0:
            yield f"open_cap is {self.open_cap}: choose a whole number from 0, or none."
        if self.seed < 0:
            yield f"The seed is {self.seed}: choose a whole number from 0."

    def _image_problems(self) -> Iterable[str]:
        if not self.prompts or not all(prompt.text.strip() for prompt in self.prompts):
            yield "A study needs prompts, and none may be empty."
        copies = self.copies
        known = {(prompt.text, arm) for prompt in self.prompts for arm in self.arms}
        for prompt, arm in copies.keys() - known:
            yield f"An image belongs to prompt {prompt!r} and arm {arm!r}, which the study does not have."
        for prompt in self.prompts:
            counts = {arm: len(copies.get((prompt.text, arm), ())) for arm in self.arms}
            if len(set(counts.values())) > 1 or 0 in counts.values():
                listed = ", ".join(f"{arm} {count}" for arm, count in counts.items())
                yield f"Prompt {prompt.text!r} needs the same number of images for each arm; it has: {listed}."
        if self.checks.same_arm and copies and max(map(len, copies.values())) < 2:
            yield "Same-arm pairs need two images of one prompt and arm: add seeds, or set their share to 0."
        if self.checks.gold and not self.degraded:
            yield "Gold pairs need degraded copies: make the study with `study create`, or set their share to 0."
        if {s.prompt for s in self.references} - {prompt.text for prompt in self.prompts}:
            yield "A reference image belongs to a prompt that the study does not have."
        if any(s.arm != REFERENCE for s in self.references):
            yield f"The arm of reference images is {REFERENCE}."
        if len(self.gold_of) != len(self.degraded) or set(self.gold_of) - {s.sha256 for s in self.intact}:
            yield "Each degraded copy needs the hash of its intact image."

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
        found: dict[tuple[str, str], list[Stimulus]] = {}
        for stimulus in self.stimuli:
            found.setdefault((stimulus.prompt, stimulus.arm), []).append(stimulus)
        return {key: tuple(stimuli) for key, stimuli in found.items()}

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
