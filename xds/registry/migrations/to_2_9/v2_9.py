"""Pull points, where notifications wait to be fetched (:mod:`xds.dsub.pull_points`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.9"
down_revision: Final = "2.8"


def upgrade() -> None:
    """Add two tables, which programs of before do not look at."""
    op.create_table(
        "pull_point",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.Text),
        sa.Column("offered", sa.Text, nullable=False),
    )
    op.create_index("ix_pull_point_owner", "pull_point", ["owner"])
    op.create_table(
        "pull_point_subscription",
        sa.Column("pull_point", sa.Text, primary_key=True),
        sa.Column("subscription", sa.Text, primary_key=True),
    )
