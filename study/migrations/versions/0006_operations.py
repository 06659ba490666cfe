"""What of a study may change while it runs: contact, addresses, caps, minutes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("study", sa.Column("operations", sa.String(), nullable=False, server_default="{}"))
