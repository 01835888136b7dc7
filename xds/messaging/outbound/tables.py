"""The tables of messages that go out. Times are milliseconds since 1970 by the database's clock."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from xds.database.statements import METADATA

_KEY: Final = BigInteger().with_variant(Integer, "sqlite")

outbound_message = Table(
    "outbound_message",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("destination", Text, nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("entry_uuid", Text, nullable=False),
    Column("logical_id", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("is_replay", SmallInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("refusals", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("said", Text, nullable=False, server_default=""),
    Column("corrects", Text),
)
"""What was decided for each destination about each change of a document, and what became of it.

``id`` is the control id of the message, and in the name of its delivery. ``target`` is the lane in
the delivery queue. ``state`` is one of :class:`xds.messaging.outbound.records.OutboundState`.
``answer`` is the acknowledgement code, ``said`` what the receiver wrote beside it: it may tell of
a patient. ``corrects`` is the id of the message in whose place an operator's own is sent, which
``outbound_part`` holds.
"""
Index("ix_outbound_message_destination", outbound_message.c.destination, outbound_message.c.pk)
Index("ix_outbound_message_document", outbound_message.c.logical_id)
Index(
    "ix_outbound_message_open",
    outbound_message.c.destination,
    outbound_message.c.state,
    outbound_message.c.pk,
    sqlite_where=outbound_message.c.state.in_(("waiting", "held", "failed", "dead")),
    postgresql_where=outbound_message.c.state.in_(("waiting", "held", "failed", "dead")),
)

outbound_part = Table(
    "outbound_part",
    METADATA,
    Column("message", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("message", "place"),
)
"""Messages that an operator has corrected, in pieces, by their control ids."""

paused_destination = Table(
    "paused_destination",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
)
"""The destinations that are paused: what is matched for them is held."""
