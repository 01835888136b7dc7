"""The delivery queue (:mod:`xds.outgoing`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.5"
down_revision: Final = "2.4"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add tables, which programs of before do not look at."""
    _deliveries()
    _bodies()
    _targets()


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("dead_at", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
    waits, dead = sa.text("dead_at IS NULL"), sa.text("dead_at IS NOT NULL")
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["channel", "target", "pk"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_index(
        "ix_delivery_dead",
        "delivery",
        ["channel", "dead_at"],
        sqlite_where=dead,
        postgresql_where=dead,
    )


def _bodies() -> None:
    op.create_table(
        "delivery_body",
        sa.Column("delivery", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("written", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def _targets() -> None:
    op.create_table(
        "delivery_arrival",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
    )
    op.create_table(
        "delivery_target",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failed_since", sa.BigInteger),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_delivery_target_due", "delivery_target", ["due", "host"])
