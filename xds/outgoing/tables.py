"""The tables of the delivery queue. Times are milliseconds since 1970 by the database's clock."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from xds.database.statements import METADATA

_KEY: Final = BigInteger().with_variant(Integer, "sqlite")

delivery = Table(
    "delivery",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("content", LargeBinary),
    Column("attempts", Integer, nullable=False),
    Column("dead_at", BigInteger),
    Column("error", Text),
)
"""A row for each message that waits, in the order of ``pk`` for each target.

``target`` is what order is kept for, ``address`` where the message goes. A body is in ``content``
or, where it is long, in so many ``parts`` of ``delivery_body``. ``attributes`` is a JSON object.
``attempts``, ``dead_at`` and ``error`` are of a delivery that is not tried any more.
"""
Index(
    "ix_delivery_waiting",
    delivery.c.channel,
    delivery.c.target,
    delivery.c.pk,
    sqlite_where=delivery.c.dead_at.is_(None),
    postgresql_where=delivery.c.dead_at.is_(None),
)
Index(
    "ix_delivery_dead",
    delivery.c.channel,
    delivery.c.dead_at,
    sqlite_where=delivery.c.dead_at.is_not(None),
    postgresql_where=delivery.c.dead_at.is_not(None),
)

delivery_body = Table(
    "delivery_body",
    METADATA,
    Column("delivery", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("delivery", "part"),
)
"""The parts of long bodies. They are written before their delivery, so a crash may leave some."""

delivery_arrival = Table(
    "delivery_arrival",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("host", Text, nullable=False),
)
"""A row for each target that a commit has added deliveries to.

A dispatcher takes it away and sees to it that the target has a row of ``delivery_target``. So
whoever adds deliveries only inserts, and waits for nobody.
"""

delivery_target = Table(
    "delivery_target",
    METADATA,
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("holder", Text),
    Column("version", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_since", BigInteger),
    Column("failed_at", BigInteger),
    Column("error", Text),
    PrimaryKeyConstraint("channel", "target"),
)
"""A row for each target with deliveries that wait.

From ``due`` on any process may take the target: it becomes its ``holder``, and ``due`` the end of
its lease. ``version`` counts arrivals, so that a row is not removed while deliveries arrive.
``attempts`` counts those that failed since one succeeded.
"""
Index("ix_delivery_target_due", delivery_target.c.due, delivery_target.c.host)
