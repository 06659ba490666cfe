"""Pairs that the answers so far chose, with what chance, and after which entry of the chain."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rater", sa.Column("dealt_after", sa.Integer(), nullable=True))
    op.add_column("assignment", sa.Column("propensity", sa.Float(), nullable=False, server_default="1"))
