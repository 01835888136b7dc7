"""Assertions and tokens that count once."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "1.2"
down_revision: Final = "1.1"


def upgrade() -> None:
    """Add a table, which programs of before do not look at."""
    op.create_table(
        "used_once",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_used_once_until", "used_once", ["until"])
