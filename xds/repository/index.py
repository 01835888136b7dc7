"""Which document of the repository lies under which key of the store."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Table, Text, bindparam, insert, select

from xds.database import METADATA, Database

document = Table(
    "document",
    METADATA,
    Column("unique_id", Text, primary_key=True),
    Column("key", Text, nullable=False, index=True),
    Column("mime_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""A row a document: uniqueIds are unique in a repository (ITI TF-3 4.2.3.2.26)."""

Joining = Callable[[Connection], None]
"""Work on a connection that becomes part of another's transaction."""

__all__ = ["Connection", "IndexedDocument", "Joining", "add", "every", "find", "holds_key"]

_BY_UNIQUE_ID: Final = select(document).where(
    document.c.unique_id.in_(bindparam("unique_ids", expanding=True))
)
_ONE: Final = select(document).where(document.c.unique_id == bindparam("unique_id"))
_CHUNK: Final = 5_000
_PAGE: Final = 1_000
_NEXT: Final = (
    select(document)
    .where(document.c.unique_id > bindparam("last"))
    .order_by(document.c.unique_id)
    .limit(_PAGE)
)


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """One document that the repository answers for."""

    unique_id: str
    key: str
    mime_type: str
    size: int
    hash: str


def find(connection: Connection, unique_ids: Sequence[str]) -> dict[str, IndexedDocument]:
    """Return the documents among these uniqueIds that there are."""
    if len(unique_ids) == 1:  # as nearly always, and cheaper
        rows = connection.execute(_ONE, {"unique_id": unique_ids[0]})
        return {row.unique_id: IndexedDocument(*row) for row in rows}
    found: dict[str, IndexedDocument] = {}
    for start in range(0, len(unique_ids), _CHUNK):
        chunk = list(unique_ids[start : start + _CHUNK])
        for row in connection.execute(_BY_UNIQUE_ID, {"unique_ids": chunk}):
            found[row.unique_id] = IndexedDocument(*row)
    return found


def add(connection: Connection, documents: Iterable[IndexedDocument]) -> None:
    """Add documents whose uniqueIds are not there yet."""
    rows = [{name: getattr(one, name) for name in IndexedDocument.__slots__} for one in documents]
    if rows:
        connection.execute(insert(document), rows)


def every(database: Database) -> Iterator[IndexedDocument]:
    """Yield every document of the index, in short transactions however long the reader takes."""
    last = ""
    while True:
        with database.read() as connection:
            found = [IndexedDocument(*row) for row in connection.execute(_NEXT, {"last": last})]
        yield from found
        if len(found) < _PAGE:
            return
        last = found[-1].unique_id


def holds_key(connection: Connection, key: str) -> bool:
    """Tell whether a document lies under this key of the store."""
    query = select(document.c.unique_id).where(document.c.key == key).limit(1)
    return connection.execute(query).first() is not None
