"""The structured results of documents, beside their entries.

They belong to a document, whichever of the versions of its entry is the latest, and have neither
status nor patient of their own: who reads them joins the entry (:mod:`xds.registry.queries.
observations`). So a document that is replaced, or whose patient changes, takes its results with it
in the same commit. The results of one that is removed are deleted with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    delete,
    exists,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from xds.database.lists import one_of
from xds.database.statements import METADATA, insert_rows
from xds.registry.tables import EntryUUID, Instant, document_entry, is_latest

ReadingOutcome = Literal["read", "message", "unreadable", "too large", "elsewhere", "missing"]
"""``message``: the results are those of the message that brought the document. ``elsewhere``: it is
not in the repository here; ``missing``: it is, and could not be given out."""

read_document = Table(
    "read_document",
    METADATA,
    Column("logical_id", EntryUUID, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("reader", Integer, nullable=False),
    Column("observations", Integer, nullable=False),
)
"""A row for each document that was read, by which version of the reader, and what came of it."""

observation = Table(
    "observation",
    METADATA,
    Column("logical_id", EntryUUID, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("code", Text),
    Column("coding_scheme", Text),
    Column("name", Text, nullable=False),
    Column("value_kind", Text, nullable=False),
    Column("value_number", Float),
    Column("value", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("reference_range", Text, nullable=False),
    Column("interpretation", Text, nullable=False),
    Column("specimen", Text, nullable=False),
    Column("time", Instant),
    Column("status", Text, nullable=False),
    Column("is_earlier", SmallInteger, nullable=False),
    Column("content", Text, nullable=False),
)
"""A row for each result, in the order of the document; ``content`` is all of it as JSON."""

observation_code = Table(
    "observation_code",
    METADATA,
    Column("logical_id", EntryUUID, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("code", Text, primary_key=True),
    Column("coding_scheme", Text, primary_key=True),
)
"""The codes of each result: its own and the translations."""
Index("ix_observation_code", observation_code.c.code, observation_code.c.coding_scheme)

_TABLES: Final = (observation_code, observation, read_document)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObservation:
    """A result that is about to be stored; absent texts are empty."""

    codes: Sequence[tuple[str, str]]
    """Code and codingScheme, that by which it is known first."""
    name: str
    value_kind: str
    value_number: float | None
    value: str
    unit: str
    reference_range: str
    interpretation: str
    specimen: str
    time: str | None
    """DTM."""
    status: str
    is_earlier: bool
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResults:
    """What came of reading one document."""

    logical_id: str
    outcome: ReadingOutcome
    reader: int
    """The version of the reader."""
    observations: Sequence[NewObservation] = ()


def write(connection: Connection, found: Iterable[ReadResults]) -> None:
    """Store what documents have in place of what was stored of them.

    Of a document that is no longer registered nothing is stored, and what a message said of one is
    not replaced by what the document made of it says.
    """
    results = {one.logical_id: one for one in found}
    there = set(connection.scalars(_registered(results)))
    from_messages = set(connection.scalars(_from_messages(results)))
    for one in results.values():
        if one.logical_id not in there:
            continue
        if one.logical_id in from_messages and one.outcome != "message":
            continue
        _write_one(connection, one)


def _registered(results: Iterable[str]) -> Any:
    among = one_of.fixed(document_entry.c.logical_id, results)
    # on a server a removal of the entry waits until what is written here is there to be deleted
    return select(document_entry.c.logical_id).where(among).with_for_update(key_share=True)


def _from_messages(results: Iterable[str]) -> Any:
    among = one_of.fixed(read_document.c.logical_id, results)
    return select(read_document.c.logical_id).where(among, read_document.c.outcome == "message")


def _write_one(connection: Connection, one: ReadResults) -> None:
    row = {
        "logical_id": one.logical_id,
        "outcome": one.outcome,
        "reader": one.reader,
        "observations": len(one.observations),
    }
    # first, so that of two who store the same the second waits for the first
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    changed = {name: value for name, value in row.items() if name != "logical_id"}
    upsert = insert(read_document).values(row)
    connection.execute(upsert.on_conflict_do_update(index_elements=["logical_id"], set_=changed))
    for table in (observation_code, observation):
        connection.execute(delete(table).where(table.c.logical_id == one.logical_id))
    insert_rows(connection, observation, [_row(one, i) for i in range(len(one.observations))])
    insert_rows(
        connection,
        observation_code,
        [
            {"logical_id": one.logical_id, "position": i, "code": code, "coding_scheme": scheme}
            for i, result in enumerate(one.observations)
            for code, scheme in dict.fromkeys(result.codes)
        ],
    )


def _row(found: ReadResults, position: int) -> dict[str, Any]:
    one = found.observations[position]
    code, scheme = one.codes[0] if one.codes else (None, None)
    return {
        "logical_id": found.logical_id,
        "position": position,
        "code": code,
        "coding_scheme": scheme,
        "name": one.name,
        "value_kind": one.value_kind,
        "value_number": one.value_number,
        "value": one.value,
        "unit": one.unit,
        "reference_range": one.reference_range,
        "interpretation": one.interpretation,
        "specimen": one.specimen,
        "time": one.time,
        "status": one.status,
        "is_earlier": int(one.is_earlier),
        "content": one.content,
    }


def forget(connection: Connection, logical_ids: Sequence[str]) -> None:
    """Delete the results of documents of which no version is registered any more."""
    if not logical_ids:
        return
    for table in _TABLES:
        still = select(document_entry.c.pk).where(document_entry.c.logical_id == table.c.logical_id)
        among = one_of.fixed(table.c.logical_id, logical_ids)
        connection.execute(delete(table).where(among, ~exists(still)))


def unread(connection: Connection, reader: int, after: int, most: int) -> list[tuple[int, str]]:
    """Return number and entryUUID of latest entries that no reader of this version has read.

    They come in the order of registration, those after a number.
    """
    read = select(read_document.c.logical_id).where(
        read_document.c.logical_id == document_entry.c.logical_id,
        read_document.c.reader >= reader,
    )
    query = (
        select(document_entry.c.pk, document_entry.c.entry_uuid)
        .where(document_entry.c.pk > after, is_latest(document_entry), ~exists(read))
        .order_by(document_entry.c.pk)
        .limit(most)
    )
    return [(row.pk, row.entry_uuid) for row in connection.execute(query)]
