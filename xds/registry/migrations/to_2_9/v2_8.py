"""Subscriptions and what they are told (:mod:`xds.notification`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.8"
down_revision: Final = "2.7"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXTS: Final = ("protocol", "topic", "object_kind", "changes", "filter", "transaction_name")
_FURTHER_TEXTS: Final = ("owner", "caller", "address", "details", "secrets", "state", "reason")
_TIMES: Final = ("ends", "beats", "failed_since", "due", "begins")
_FLAGS: Final = ("is_grouped", "recovers", "tells_end")
_NUMBERS: Final = ("created", "numbered", "queued", "delivered", "revision")


def upgrade() -> None:
    """Add tables and an index, which programs of before do not look at."""
    _subscriptions()
    _notifications()
    _index_removals()


def _subscriptions() -> None:
    op.create_table(
        "subscription",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*_TEXTS, *_FURTHER_TEXTS)),
        *(sa.Column(name, sa.SmallInteger, nullable=False) for name in _FLAGS),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _NUMBERS),
        sa.Column("round", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in _TIMES),
        sa.Column("heartbeat", sa.Integer),
    )
    is_due = sa.text("due IS NOT NULL")
    op.create_index("ix_subscription_revision", "subscription", ["revision"])
    op.create_index("ix_subscription_owner", "subscription", ["owner", "state"])
    op.create_index(
        "ix_subscription_due",
        "subscription",
        ["due"],
        sqlite_where=is_due,
        postgresql_where=is_due,
    )
    op.create_table(
        "subscription_revision",
        sa.Column("pk", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
    )


def _notifications() -> None:
    op.create_table(
        "notification",
        sa.Column("subscription", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event", sa.BigInteger, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("objects", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _index_removals() -> None:
    name, is_removal = "ix_event_removed", sa.text("snapshot IS NOT NULL")
    if op.get_context().dialect.name == "sqlite":
        op.create_index(name, "event", ["entry_uuid"], sqlite_where=is_removal)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, "event", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name, "event", ["entry_uuid"], postgresql_concurrently=True, postgresql_where=is_removal
        )
