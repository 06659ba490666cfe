"""The tables. What must hold is held by their constraints, whoever writes."""

from datetime import UTC, datetime

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from study.protocol.parts import ANSWERS, KINDS, MODES

STATUSES = ("active", "finished", "abandoned")
ENTRIES = ("finished", "closed")
CLOCKS = ("client", "server")  # who measured a response: the page's script, or the server where there was none


class UtcTime(TypeDecorator[datetime]):
    """Aware times, in UTC; SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime}


class Study(Base):
    """One version of a study. Its spec is never updated: an amendment is a row of its own."""

    __tablename__ = "study"
    __table_args__ = (UniqueConstraint("name", "version"), CheckConstraint("version >= 1", name="version"))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]  # designed | visitor, as its spec has it
    version: Mapped[int]
    spec: Mapped[str] = mapped_column(deferred=True)  # canonical JSON; megabytes in a large study
    spec_hash: Mapped[str]
    operations: Mapped[str]  # JSON: what changed since of the spec's OPERATIONS, none of which is science
    reason: Mapped[str]  # why this version exists; "" for the first
    token: Mapped[str] = mapped_column(unique=True)  # names the study in links
    secret: Mapped[str]  # signs its personal links
    plan_secret: Mapped[str]  # what the plan draws from besides the seed; "" where the spec has no commitment
    created: Mapped[datetime]
    closed: Mapped[datetime | None]  # since then nobody new takes part


class Arm(Base):
    __tablename__ = "arm"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    name: Mapped[str]


class StoredStimulus(Base):
    __tablename__ = "stimulus"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    arm_id: Mapped[int] = mapped_column(ForeignKey("arm.id"))
    prompt: Mapped[str]
    category: Mapped[str]
    file: Mapped[str]
    sha256: Mapped[str]  # of the stored PNG


class StoredPair(Base):
    """A pair that somebody was shown, by its id in the plan."""

    __tablename__ = "pair"
    __table_args__ = (UniqueConstraint("study_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    key: Mapped[str]
    prompt: Mapped[str]


class Rater(Base):
    __tablename__ = "rater"
    __table_args__ = (
        UniqueConstraint("study_id", "person"),  # one person, one participation
        UniqueConstraint("study_id", "number"),
        one_of("mode", MODES),
        one_of("status", STATUSES),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # opaque
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]  # in the order of coming, 0..
    seat: Mapped[int | None]  # index in the plan; None before the first pair, and for who got what others left
    dealt: Mapped[datetime | None]  # when the pairs were handed out
    dealt_after: Mapped[int | None]  # number of the chain's last entry then, in an adaptive study
    excluded: Mapped[str]  # the rules that the finished rater broke; "" for none
    browser: Mapped[str]  # the mark of the one that gave the consent; "" for whoever is not bound to it
    dropped: Mapped[str]  # why the rater's answers were withdrawn; "" where they were not
    person: Mapped[str]  # who it is, as the entry knows them; never exported
    channel: Mapped[str]  # invite | open | prolific | mturk
    mode: Mapped[str]
    status: Mapped[str]
    code: Mapped[str]  # completion code
    practised: Mapped[int]  # practice pairs seen; -1 before the instructions were read
    started: Mapped[datetime]
    last_seen: Mapped[datetime]
    finished: Mapped[datetime | None]


class StoredAssignment(Base):
    __tablename__ = "assignment"
    __table_args__ = (
        UniqueConstraint("rater_id", "position"),
        UniqueConstraint("rater_id", "pair_id", "kind", name="uq_assignment_rater_pair_kind"),
        UniqueConstraint("id", "rater_id", name="uq_assignment_id_rater"),  # what a vote refers to
        CheckConstraint("gold IN ('', 'left', 'right')", name="gold"),
        CheckConstraint("(kind = 'repeat') = (repeat_of IS NOT NULL)", name="repeat_of"),
        one_of("kind", KINDS),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("rater.id"))
    pair_id: Mapped[int] = mapped_column(ForeignKey("pair.id"), index=True)
    position: Mapped[int]
    kind: Mapped[str]
    gold: Mapped[str]
    repeat_of: Mapped[str | None] = mapped_column(ForeignKey("assignment.id"))
    left_id: Mapped[int] = mapped_column(ForeignKey("stimulus.id"))
    right_id: Mapped[int] = mapped_column(ForeignKey("stimulus.id"))
    left_token: Mapped[str] = mapped_column(unique=True)  # names the image in its URL
    right_token: Mapped[str] = mapped_column(unique=True)
    propensity: Mapped[float] = mapped_column(
        Float
    )  # with which the answers so far had this pair chosen; 1 where the plan alone did
    released: Mapped[bool]  # answered by another rater while this one was away


class Vote(Base):
    """One revision of one answer. Nothing but `is_current` ever changes, when the next revision comes."""

    __tablename__ = "vote"
    __table_args__ = (
        ForeignKeyConstraint(
            ["assignment_id", "rater_id"], ["assignment.id", "assignment.rater_id"], name="fk_vote_own_assignment"
        ),
        UniqueConstraint("study_id", "number"),
        UniqueConstraint("assignment_id", "question", "revision"),
        UniqueConstraint("rater_id", "request", "question"),
        Index(
            "uq_vote_current",
            "assignment_id",
            "question",
            unique=True,
            sqlite_where=text("is_current"),
            postgresql_where=text("is_current"),
        ),
        one_of("answer", ANSWERS),
        one_of("clock", CLOCKS),
        CheckConstraint("response_ms >= 0", name="response_ms"),
        CheckConstraint("revision >= 1", name="revision"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]  # 1.. in the study's chain
    rater_id: Mapped[str]
    assignment_id: Mapped[str]
    question: Mapped[str]
    answer: Mapped[str]
    revision: Mapped[int]
    is_current: Mapped[bool]
    request: Mapped[str]  # UUID drawn by the rater's page
    response_ms: Mapped[int]  # as `clock` measured it, since both pictures were seen
    clock: Mapped[str]
    server_ms: Mapped[int | None]  # between sending the screen and receiving its answers; None before it was measured
    decode_ms: Mapped[int | None]  # both images, where a script could measure it
    viewport: Mapped[str]  # "1280x800@2", CSS pixels and pixel ratio; "" without a script
    time: Mapped[datetime]
    previous: Mapped[str]  # hash of the vote before; "" at the first
    hash: Mapped[str]


class Withdrawal(Base):
    """A rater whose answers count no more. An entry of the study's chain, as a vote is."""

    __tablename__ = "withdrawal"
    __table_args__ = (UniqueConstraint("study_id", "number"), UniqueConstraint("rater_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]  # in the study's chain, which votes and withdrawals share
    rater_id: Mapped[str] = mapped_column(ForeignKey("rater.id"))
    reason: Mapped[str]
    time: Mapped[datetime]
    previous: Mapped[str]
    hash: Mapped[str]


class Entry(Base):
    """What else belongs to the study's chain: that a rater has finished, that the study was closed."""

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("study_id", "number"), one_of("kind", ENTRIES))

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]  # in the study's chain, which votes, withdrawals and entries share
    kind: Mapped[str]
    rater_id: Mapped[str | None] = mapped_column(ForeignKey("rater.id"))  # who finished
    detail: Mapped[str]  # why it was closed: "by hand", "amended", or the evidence that decided it
    time: Mapped[datetime]
    previous: Mapped[str]
    hash: Mapped[str]
    signature: Mapped[str]  # of whoever closed the study, over number and hash: JSON; "" of other entries


class Event(Base):
    """What happened besides votes: for the organiser's eyes, never for the figures."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    rater_id: Mapped[str | None] = mapped_column(ForeignKey("rater.id"))
    name: Mapped[str]
    detail: Mapped[str]
    time: Mapped[datetime]
