"""The server measures, too, how long a screen took."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("vote", sa.Column("server_ms", sa.Integer(), nullable=True))
