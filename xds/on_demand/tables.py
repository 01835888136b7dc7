"""When documents were made: by it the same content has the same bytes whenever it is made again."""

from typing import Final

from sqlalchemy import Column, Connection, Index, Table, Text, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from xds.database.access import Database
from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.database.statements import METADATA
from xds.metadata import datatypes

built_document = Table(
    "built_document",
    METADATA,
    Column("unique_id", Text, primary_key=True),
    Column("made", Text, nullable=False),
    Column("source", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""A row for each content that was made. ``made`` is a DTM; ``source`` is the logicalID of the
document that it was made of, or of the On-Demand entry of the patient's."""
Index("ix_built_document_source", built_document.c.source)

_MADE: Final = select(built_document.c.made).where(
    built_document.c.unique_id == bindparam("unique_id")
)
_NEW: Final = {
    "sqlite": sqlite.insert(built_document).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(built_document).on_conflict_do_nothing(),
}


def made_at(database: Database, unique_id: str, source: str) -> str:
    """Return when a document was made first, which is now where it never was (DTM)."""
    bound = {"unique_id": unique_id}
    with database.read() as connection:
        if rows := fetch(connection, _MADE, bound):
            return str(rows[0][0])
    with database.write() as connection:
        row = {**bound, "made": datatypes.now(), "source": source}
        connection.execute(_NEW[connection.dialect.name], row)
        ((made,),) = fetch(connection, _MADE, bound)
    return str(made)


def forget(connection: Connection, sources: list[str]) -> None:
    """Drop what is known of documents that were made of documents or patients."""
    if sources:
        chosen = one_of.named(built_document.c.source, "sources")
        connection.execute(delete(built_document).where(chosen), {"sources": sources})
