"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("spec_hash", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("ck_study_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_study_name_version")),
        sa.UniqueConstraint("token", name=op.f("uq_study_token")),
    )
    op.create_table(
        "arm",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_arm_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arm")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_arm_study_id_name")),
    )
    op.create_table(
        "pair",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_pair_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair")),
        sa.UniqueConstraint("study_id", "key", name=op.f("uq_pair_study_id_key")),
    )
    op.create_table(
        "rater",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("practised", sa.Integer(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode IN ('joint', 'separate')", name=op.f("ck_rater_mode")),
        sa.CheckConstraint("status IN ('active', 'finished', 'abandoned')", name=op.f("ck_rater_status")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_rater_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rater")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_rater_study_id_number")),
        sa.UniqueConstraint("study_id", "person", name=op.f("uq_rater_study_id_person")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_event_rater_id")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_event_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_study_id"), ["study_id"], unique=False)

    op.create_table(
        "stimulus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("arm_id", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["arm_id"], ["arm.id"], name=op.f("fk_stimulus_arm_id")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_stimulus_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stimulus")),
    )
    with op.batch_alter_table("stimulus", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stimulus_study_id"), ["study_id"], unique=False)

    op.create_table(
        "assignment",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rater_id", sa.String(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("gold", sa.String(), nullable=False),
        sa.Column("repeat_of", sa.String(), nullable=True),
        sa.Column("left_id", sa.Integer(), nullable=False),
        sa.Column("right_id", sa.Integer(), nullable=False),
        sa.Column("left_token", sa.String(), nullable=False),
        sa.Column("right_token", sa.String(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(kind = 'repeat') = (repeat_of IS NOT NULL)", name=op.f("ck_assignment_repeat_of")),
        sa.CheckConstraint("gold IN ('', 'left', 'right')", name=op.f("ck_assignment_gold")),
        sa.CheckConstraint(
            "kind IN ('comparison', 'identical', 'same_arm', 'repeat', 'gold')", name=op.f("ck_assignment_kind")
        ),
        sa.ForeignKeyConstraint(["left_id"], ["stimulus.id"], name=op.f("fk_assignment_left_id")),
        sa.ForeignKeyConstraint(["pair_id"], ["pair.id"], name=op.f("fk_assignment_pair_id")),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_assignment_rater_id")),
        sa.ForeignKeyConstraint(["repeat_of"], ["assignment.id"], name=op.f("fk_assignment_repeat_of")),
        sa.ForeignKeyConstraint(["right_id"], ["stimulus.id"], name=op.f("fk_assignment_right_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint("id", "rater_id", name="uq_assignment_id_rater"),
        sa.UniqueConstraint("left_token", name=op.f("uq_assignment_left_token")),
        sa.UniqueConstraint("rater_id", "pair_id", "kind", name="uq_assignment_rater_pair_kind"),
        sa.UniqueConstraint("rater_id", "position", name=op.f("uq_assignment_rater_id_position")),
        sa.UniqueConstraint("right_token", name=op.f("uq_assignment_right_token")),
    )
    with op.batch_alter_table("assignment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_assignment_pair_id"), ["pair_id"], unique=False)

    op.create_table(
        "vote",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.String(), nullable=False),
        sa.Column("assignment_id", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("response_ms", sa.Integer(), nullable=False),
        sa.Column("clock", sa.String(), nullable=False),
        sa.Column("decode_ms", sa.Integer(), nullable=True),
        sa.Column("viewport", sa.String(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("answer IN ('left', 'tie', 'right')", name=op.f("ck_vote_answer")),
        sa.CheckConstraint("clock IN ('client', 'server')", name=op.f("ck_vote_clock")),
        sa.CheckConstraint("response_ms >= 0", name=op.f("ck_vote_response_ms")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_vote_revision")),
        sa.ForeignKeyConstraint(
            ["assignment_id", "rater_id"], ["assignment.id", "assignment.rater_id"], name="fk_vote_own_assignment"
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_vote_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vote")),
        sa.UniqueConstraint(
            "assignment_id", "question", "revision", name=op.f("uq_vote_assignment_id_question_revision")
        ),
        sa.UniqueConstraint("rater_id", "request", "question", name=op.f("uq_vote_rater_id_request_question")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_vote_study_id_number")),
    )
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.create_index(
            "uq_vote_current",
            ["assignment_id", "question"],
            unique=True,
            sqlite_where=sa.text("is_current"),
            postgresql_where=sa.text("is_current"),
        )


def downgrade() -> None:
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_vote_current", sqlite_where=sa.text("is_current"), postgresql_where=sa.text("is_current")
        )

    op.drop_table("vote")
    with op.batch_alter_table("assignment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assignment_pair_id"))

    op.drop_table("assignment")
    with op.batch_alter_table("stimulus", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stimulus_study_id"))

    op.drop_table("stimulus")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_event_study_id"))

    op.drop_table("event")
    op.drop_table("rater")
    op.drop_table("pair")
    op.drop_table("arm")
    op.drop_table("study")
