"""The tables of messages. Times are milliseconds since 1970 by the database's clock."""

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
    UniqueConstraint,
)

from xds.database.statements import METADATA

_KEY: Final = BigInteger().with_variant(Integer, "sqlite")

message = Table(
    "message",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("received", BigInteger, nullable=False),
    Column("door", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("media", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("trigger_event", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("sent", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("flavour", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("same_id", Text, nullable=False),
    Column("accepted_as", Text, unique=True),
    Column("state", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("decisions", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("documents", Text, nullable=False),
    Column("submission_set", Text, nullable=False),
    Column("in_place_of", Text),
    Column("practice", Text, nullable=False, server_default=""),
)
"""A row for each message that was answered.

``same_id`` is a digest of what has to be equal for a control id to be the same one. Of accepted
messages ``accepted_as`` is a digest of that and of the content, so no message is accepted twice.
``verdict`` is the name of the first that refuses it. ``findings``, ``decisions`` and ``documents``
are JSON. ``submission_set`` is the first that it made. ``in_place_of`` is the id of the message
that this one corrects, ``practice`` the ODS code of the patient's general practice.
"""
Index("ix_message_same_id", message.c.same_id)
Index("ix_message_control_id", message.c.control_id)
Index("ix_message_received", message.c.received)
Index("ix_message_patient_id", message.c.patient_id)
Index("ix_message_state", message.c.state, message.c.pk)
Index("ix_message_submission_set", message.c.submission_set)

message_number = Table(
    "message_number",
    METADATA,
    Column("number", Text, nullable=False),
    Column("message", BigInteger, nullable=False),
    PrimaryKeyConstraint("number", "message"),
    sqlite_with_rowid=False,
)
"""What a message is found by: the numbers of reports and orders that it names, and the entryUUIDs
of further SubmissionSets that it made."""
Index("ix_message_number_message", message_number.c.message)

message_part = Table(
    "message_part",
    METADATA,
    Column("message", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("document", Text),
    Column("text_start", BigInteger),
    Column("text_end", BigInteger),
    PrimaryKeyConstraint("message", "place"),
)
"""Messages as they came, in pieces, by their ids.

A piece is the bytes of ``content``; or, where ``document`` is a uniqueId, the base64 of that
document from ``text_start`` to ``text_end``, and ``content`` the SHA-1 of the document.
Of a large message they are written before its row, and are removed if that never comes.
"""
Index("ix_message_part_written", message_part.c.written)

message_fragment = Table(
    "message_fragment",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("message", Text, nullable=False, unique=True),
    Column("awaited", Text, nullable=False),
    Column("follows", Text),
    Column("noted", BigInteger, nullable=False),
)
"""A row for each part of a message that is sent in parts, by the id of its record.

``awaited`` is a digest of what the part after it has to have, ``follows`` the id of the part before
it. The last part has none.
"""
Index("ix_message_fragment_awaited", message_fragment.c.awaited, message_fragment.c.pk)

report = Table(
    "report",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("authority", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("entry_uuid", Text),
    Column("unique_id", Text),
    Column("content", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("version_time", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("authority", "number", "slot"),
)
"""A row for each document that has a number of its sender's, and what is filed under it.

``state`` is ``announced``, ``filed`` or ``cancelled``; ``content`` is the SHA-1 of what the sender
said, ``entry_uuid`` the first version of its DocumentEntry, ``parent`` the number (authority,
``|``, number) of the document that an addendum waits for, ``message`` the id of the last message
that has changed the row. Whoever changes it locks it.
"""
Index("ix_report_unique_id", report.c.unique_id)
Index(
    "ix_report_parent",
    report.c.parent,
    sqlite_where=report.c.parent != "",
    postgresql_where=report.c.parent != "",
)

message_order = Table(
    "message_order",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("authority", Text, nullable=False),
    Column("placer", Text, nullable=False),
    Column("test", Text, nullable=False),
    Column("filler_authority", Text, nullable=False),
    Column("filler", Text, nullable=False),
    Column("order_group", Text, nullable=False),
    Column("control", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("is_cancelled", SmallInteger, nullable=False),
    Column("ordered", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("authority", "placer", "test"),
)
"""A row for each ordered test: what reports are correlated with, by numbers with authorities."""
Index("ix_message_order_filler", message_order.c.filler)
