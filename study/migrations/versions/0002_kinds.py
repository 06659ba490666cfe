"""A study says its kind, which the beginning of its name said."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("study", sa.Column("kind", sa.String(), nullable=False, server_default="designed"))
    op.execute("UPDATE study SET kind = 'visitor' WHERE name LIKE 'visitors-%'")
