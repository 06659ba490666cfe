"""A platform's participant is bound to the browser that gave the consent."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rater", sa.Column("browser", sa.String(), nullable=False, server_default=""))
