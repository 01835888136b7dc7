"""The tables of subscriptions. Times are milliseconds since 1970 by the database's clock."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from xds.database.statements import METADATA

_KEY: Final = BigInteger().with_variant(Integer, "sqlite")

subscription = Table(
    "subscription",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("protocol", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("object_kind", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("is_grouped", SmallInteger, nullable=False),
    Column("recovers", SmallInteger, nullable=False),
    Column("tells_end", SmallInteger, nullable=False),
    Column("filter", Text, nullable=False),
    Column("transaction_name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("ends", BigInteger),
    Column("heartbeat", Integer),
    Column("beats", BigInteger),
    Column("failed_since", BigInteger),
    Column("due", BigInteger),
    Column("begins", BigInteger),
    Column("numbered", BigInteger, nullable=False),
    Column("queued", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""A row for each subscription.

Events after ``begins`` are matched; NULL: none is. ``numbered``, ``queued`` and ``delivered`` are
numbers of its notifications. What stands in the delivery queue of a former ``round`` is void.
``beats`` is when a heartbeat is due, ``failed_since`` since when the target has been failing, and
``due`` when the keeper has to look at it because of one of these or of ``ends``. ``revision`` is in
the order of the commits that have changed what is matched, so whoever knows all up to one finds
what has changed since.
``changes``, ``filter``, ``caller``, ``details`` and ``secrets`` are JSON.
"""
Index("ix_subscription_revision", subscription.c.revision)
Index("ix_subscription_owner", subscription.c.owner, subscription.c.state)
Index(
    "ix_subscription_due",
    subscription.c.due,
    sqlite_where=subscription.c.due.is_not(None),
    postgresql_where=subscription.c.due.is_not(None),
)

subscription_revision = Table(
    "subscription_revision",
    METADATA,
    Column("pk", SmallInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
"""One row with the last revision: who writes a further one holds it until the commit."""

notification = Table(
    "notification",
    METADATA,
    Column("subscription", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("objects", Text, nullable=False),
    PrimaryKeyConstraint("subscription", "number"),
    sqlite_with_rowid=False,
)
"""What happened that a subscription asks for, by numbers without holes.

``objects`` are entryUUIDs with blanks between. What they are is read when it is told.
"""

subscription_token = Table(
    "subscription_token",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("subscriptions", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)
"""Tokens by which connections are bound to subscriptions, whose keys have blanks between.

``digest`` is the SHA-256 of a token.
"""
Index("ix_subscription_token_expires", subscription_token.c.expires)
