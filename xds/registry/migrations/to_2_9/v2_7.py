"""The subscribers of events (:mod:`xds.registry.subscribers`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.7"
down_revision: Final = "2.6"


def upgrade() -> None:
    """Add a table, which programs of before do not look at."""
    op.create_table(
        "subscriber",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_event", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
