"""What a runner decides about a study, besides its images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from study.protocol.spec import Exclusions, Placebos, Question, Stopping


@dataclass(frozen=True)
class Plan:
    """What a study asks of its raters."""

    seed: int = 0
    raters_per_pair: int = 3
    pairs_per_rater: int = 30
    """At most this many comparisons; checks come on top."""
    mode: Literal["joint", "separate", "randomised"] = "joint"
    """The questions on one screen, one pass each, or drawn for each rater."""
    question: tuple[str, ...] = ()
    """`key=text`, one or several; the three usual ones by default."""
    title: str = "Which image is better?"
    """What raters read; they never see the study's name."""
    contact: str = ""
    """Whom raters may write to."""
    completion_url: str = ""
    """Where a crowd platform wants its raters back."""
    full_url: str = ""
    """Where it wants those back for whom there is no place."""
    open_cap: int | None = None
    """Raters through the open link; without one, as many as the study needs."""
    abandoned_after_minutes: int = 120
    """Without a sign of life, at most; then a rater's open pairs go to others. Twice the usual session is enough."""
    placebos: Placebos = field(default_factory=Placebos)
    exclusions: Exclusions = field(default_factory=Exclusions)
    stopping: Stopping = field(default_factory=Stopping)

    def changes(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "question"}
        return values | ({"questions": parse_questions(self.question)} if self.question else {})


def parse_questions(texts: Sequence[str]) -> tuple[Question, ...]:
    """From `key=text`."""
    pairs = [text.partition("=") for text in texts]
    return tuple(Question(key.strip(), text.strip()) for key, _, text in pairs)
