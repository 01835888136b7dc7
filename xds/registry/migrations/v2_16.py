"""Messages that are sent in parts (:mod:`xds.messaging.fragments`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.16"
down_revision: Final = "2.15"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add a table, which programs of before do not look at."""
    op.create_table(
        "message_fragment",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("message", sa.Text, nullable=False, unique=True),
        sa.Column("awaited", sa.Text, nullable=False),
        sa.Column("follows", sa.Text),
        sa.Column("noted", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_message_fragment_awaited", "message_fragment", ["awaited", "pk"])
