"""Feeds can be paused."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.26"
down_revision: Final = "2.25"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "paused_feed",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
