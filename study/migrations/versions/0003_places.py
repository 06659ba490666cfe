"""Places are taken by votes; raters can be left out and withdrawn."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rater", sa.Column("seat", sa.Integer(), nullable=True))
    op.add_column("rater", sa.Column("dealt", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rater", sa.Column("excluded", sa.String(), nullable=False, server_default=""))
    op.add_column("rater", sa.Column("dropped", sa.String(), nullable=False, server_default=""))
    # Pairs were handed out at the consent, in the order of coming.
    op.execute("UPDATE rater SET seat = number, dealt = started")
    op.create_table(
        "withdrawal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_withdrawal_rater_id")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_withdrawal_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
        sa.UniqueConstraint("rater_id", name=op.f("uq_withdrawal_rater_id")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_withdrawal_study_id_number")),
    )
