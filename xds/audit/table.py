"""The table of audit records, which all processes of a deployment share."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    bindparam,
    false,
    literal_column,
    select,
    true,
    update,
)

from xds.audit.record import AuditRecord, RecordJson, line_of, milliseconds
from xds.database.statements import METADATA
from xds.metadata.searched import searchable

audit_record = Table(
    "audit_record",
    METADATA,
    Column("pk", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("transaction", Text, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("patient_id", Text),
    Column("user_id", Text),
    Column("shipped", Boolean, nullable=False),
    Column("record", Text, nullable=False),
    Column("sequence", BigInteger),
    Column("hash", Text),
)
"""A row a record, which never changes but for being chained (:mod:`xds.audit.chain`) and shipped.

``at`` is in milliseconds.
"""
# each has the records of a value in the order of a search: see xds.audit.searching
for _name in ("patient", "user"):
    Index(
        f"ix_audit_record_of_{_name}",
        audit_record.c[f"{_name}_id"],
        audit_record.c.at,
        audit_record.c.pk,
        sqlite_where=audit_record.c[f"{_name}_id"].is_not(None),
        postgresql_where=audit_record.c[f"{_name}_id"].is_not(None),
    )
Index(
    "ix_audit_record_of_transaction",
    audit_record.c.transaction,
    audit_record.c.at,
    audit_record.c.pk,
)
Index(
    "ix_audit_record_of_failure",
    audit_record.c.at,
    audit_record.c.pk,
    sqlite_where=audit_record.c.outcome > literal_column("0"),
    postgresql_where=audit_record.c.outcome > literal_column("0"),
)
Index(
    "ix_audit_record_to_ship",
    audit_record.c.pk,
    sqlite_where=audit_record.c.shipped == false(),
    postgresql_where=~audit_record.c.shipped,
)
Index(
    "ix_audit_record_sequence",
    audit_record.c.sequence,
    unique=True,
    sqlite_where=audit_record.c.sequence.is_not(None),
    postgresql_where=audit_record.c.sequence.is_not(None),
)
Index(
    "ix_audit_record_to_chain",
    audit_record.c.pk,
    sqlite_where=audit_record.c.sequence.is_(None),
    postgresql_where=audit_record.c.sequence.is_(None),
)

audit_chain = Table(
    "audit_chain",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)
"""Places among the records: ``before``, the last key of those that are not chained; ``start``, what
was removed last of the chain; ``counted``, up to which of the chain ``audit_hour`` has counted.
"""

audit_hour = Table(
    "audit_hour",
    METADATA,
    Column("hour", BigInteger, nullable=False),
    Column("transaction", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    PrimaryKeyConstraint("hour", "transaction"),
    sqlite_with_rowid=False,
)
"""How many records of an hour by the clock (UTC) there are of a transaction, and how many of those
have an outcome above 0. ``hour`` is its first millisecond.
"""

COLUMNS: Final = ("id", "at", '"transaction"', "outcome", "patient_id", "user_id", "record")
"""What is made of a record: see :func:`row_of`."""
_LONGEST: Final = 500
"""Characters of a text by which records are searched: PostgreSQL indexes 2,704 bytes at most."""
_A_STATEMENT: Final = 100
"""Rows; each statement lets other threads in between, which costs as much as a row."""
_TO_SHIP: Final = (
    select(audit_record.c.pk)
    .where(audit_record.c.shipped == false())
    .order_by(audit_record.c.pk)
    .limit(bindparam("most"))
)
_SHIPPED: Final = (
    update(audit_record)
    .where(audit_record.c.pk.in_(bindparam("keys", expanding=True)))
    .values(shipped=true())
)
_OF_KEYS: Final = (
    select(audit_record.c.record)
    .where(audit_record.c.pk.in_(bindparam("keys", expanding=True)))
    .order_by(audit_record.c.pk)
)
_ONE: Final = select(audit_record.c.record, audit_record.c.sequence, audit_record.c.hash).where(
    audit_record.c.id == bindparam("id")
)
_LATEST: Final = (
    select(audit_record.c.record)
    .where(audit_record.c.transaction == bindparam("transaction"))
    .order_by(audit_record.c.pk.desc())
    .limit(1)
)


def insert(connection: Connection, records: Iterable[RecordJson]) -> None:
    """Write records, within a transaction; they are chained by whoever moves records next."""
    rows = list(map(row_of, records))
    insert_rows(connection, rows, [_UNCHAINED] * len(rows))


_UNCHAINED: Final = (None, None)


def insert_rows(
    connection: Connection, rows: Sequence[tuple[Any, ...]], links: Sequence[tuple[Any, Any]]
) -> None:
    """Write rows, each with its sequence and hash; one that is there already stays as it is."""
    whole = [(*row, *link) for row, link in zip(rows, links, strict=True)]
    for start in range(0, len(whole), _A_STATEMENT):
        some = whole[start : start + _A_STATEMENT]
        statement = _insertion(len(some), connection.dialect.paramstyle == "qmark")
        connection.exec_driver_sql(statement, tuple(value for row in some for value in row))


@lru_cache(_A_STATEMENT)
def _insertion(rows: int, has_question_marks: bool) -> str:
    names = (*COLUMNS, "sequence", "hash")
    marks = ", ".join(["?" if has_question_marks else "%s"] * len(names))
    return (
        f"INSERT INTO audit_record ({', '.join(names)}, shipped) "
        f"VALUES {', '.join([f'({marks}, false)'] * rows)} ON CONFLICT (id) DO NOTHING"
    )


def row_of(told: RecordJson) -> tuple[Any, ...]:
    """Return the values of COLUMNS for a record."""
    actor = told["actor"]
    return (
        told["id"],
        milliseconds(told["at"]),
        told["transaction"],
        told["outcome"],
        searchable_text(told["patient_id"]),
        searchable_text(actor["user_id"]) if actor else None,
        line_of(told),
    )


def searchable_text(text: str | None) -> str | None:
    """Return a text as the columns have it that are searched by it.

    Whoever asks may name a patient or user in whatever text: an index takes no long ones, and not
    every database a NUL. The record itself has the text as it was.
    """
    return None if text is None else searchable(text)[:_LONGEST]


def to_ship(connection: Connection, most: int) -> Sequence[int]:
    """Return the keys of the oldest records that have not been handed over to be shipped."""
    return connection.scalars(_TO_SHIP, {"most": most}).all()


def note_shipped(connection: Connection, keys: Sequence[int]) -> None:
    """Note that records have been handed over to be shipped."""
    connection.execute(_SHIPPED, {"keys": list(keys)})


def of_keys(connection: Connection, keys: Sequence[int]) -> Sequence[AuditRecord]:
    """Return the records of keys that are still there, in their order."""
    return [AuditRecord.load(row) for row in connection.scalars(_OF_KEYS, {"keys": list(keys)})]


def latest(connection: Connection, transaction: str) -> AuditRecord | None:
    """Return the newest record of a kind."""
    found = connection.scalar(_LATEST, {"transaction": transaction})
    return None if found is None else AuditRecord.load(found)


class StoredRecord(NamedTuple):
    """A record with its place in the chain."""

    record: AuditRecord
    sequence: int | None
    """None until it is chained, and of records from before there was a chain."""
    hash: str | None


def one(connection: Connection, record_id: str) -> StoredRecord | None:
    """Return the record of an id."""
    found = connection.execute(_ONE, {"id": record_id}).one_or_none()
    return found and StoredRecord(AuditRecord.load(found.record), found.sequence, found.hash)
