"""Messages that go out (:mod:`xds.messaging.outbound`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.13"
down_revision: Final = "2.12"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXTS: Final = ("destination", "change", "entry_uuid", "logical_id", "target", "state", "rule")


def upgrade() -> None:
    """Add two tables and indexes, which programs of before do not look at."""
    op.create_table(
        "outbound_message",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        sa.Column("event", sa.BigInteger, nullable=False),
        sa.Column("is_replay", sa.SmallInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("refusals", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("answer", "reason")),
    )
    is_open = sa.text("state IN ('waiting', 'held', 'failed', 'dead')")
    op.create_index("ix_outbound_message_destination", "outbound_message", ["destination", "pk"])
    op.create_index("ix_outbound_message_document", "outbound_message", ["logical_id"])
    op.create_index(
        "ix_outbound_message_open",
        "outbound_message",
        ["destination", "state", "pk"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "paused_destination",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_message_submission_set", "message", ["submission_set"])
