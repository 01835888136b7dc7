"""Which document of the repository lies under which key of the store.

And, where it is registered with a registry on another database, of which it is not known yet
whether it is registered (:mod:`xds.repository.registering`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
)

from xds.database.access import Database
from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.database.statements import METADATA, insert_rows
from xds.metadata.unique_ids import normal

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

registration = Table(
    "registration",
    METADATA,
    Column("unique_id", Text, primary_key=True),
    Column("attempt", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""A row for each document of an attempt to register it elsewhere whose outcome is not known yet.

A document with such rows may be registered or not. One without is registered.
"""

swept = Table(
    "swept",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Keys whose documents a sweep has removed or is about to: nothing can be registered with them.

A note is of use as long as a submission may be under way whose document was published before;
``until`` is seconds since 1970 by the database's clock.
"""

removed_document = Table(
    "removed_document",
    METADATA,
    Column("unique_id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Documents that were removed on request (ITI-86), so that they are not taken for lost.

``at`` is seconds since 1970 by the database's clock. A document that is provided anew under the
uniqueId has its row in ``document``, and none here.
"""

__all__ = [
    "Connection",
    "IndexedDocument",
    "add",
    "announce",
    "condemn",
    "every",
    "find",
    "held_keys",
    "note_registered",
    "pending",
    "pending_since",
    "remove",
    "removed",
    "removed_keys",
    "swept_keys",
    "withdraw",
]

_BY_UNIQUE_ID: Final = select(document).where(one_of.named(document.c.unique_id, "unique_ids"))
_BY_ONE_UNIQUE_ID: Final = select(document).where(document.c.unique_id == bindparam("unique_id"))
_BY_KEY: Final = select(document.c.key).where(one_of.named(document.c.key, "keys"))
_SWEPT: Final = select(swept.c.key).where(one_of.named(swept.c.key, "keys"))
_OF_DOCUMENTS: Final = one_of.named(registration.c.unique_id, "unique_ids")
_OF_ATTEMPTS: Final = one_of.named(registration.c.attempt, "attempts")
_PENDING: Final = select(registration.c.unique_id).where(_OF_DOCUMENTS)
_ANY_PENDING: Final = select(registration.c.unique_id).limit(1)
_WAITING: Final = (
    select(registration.c.unique_id)
    .where(registration.c.unique_id > bindparam("last"))
    .group_by(registration.c.unique_id)
    .having(func.max(registration.c.since) <= bindparam("limit"))
    .order_by(registration.c.unique_id)
    .limit(100)
)
_NOTED_SECONDS: Final = 7 * 24 * 3600
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
    """Return the documents among these uniqueIds that there are, by the ids as they are asked for.

    A document is kept under the normal form of its uniqueId; before schema 2.1 it was under the id
    as it was provided, by which it is found first.
    """
    asked = list({one: None for each in unique_ids for one in (each, normal(each))})
    kept: dict[str, IndexedDocument] = {}
    # most retrievals ask for one, which needs no list
    rows = (
        fetch(connection, _BY_ONE_UNIQUE_ID, {"unique_id": asked[0]})
        if len(asked) == 1
        else fetch(connection, _BY_UNIQUE_ID, {"unique_ids": asked})
    )
    for row in rows:
        one = IndexedDocument(*row)
        kept[one.unique_id] = one
    found = {one: kept.get(one) or kept.get(normal(one)) for one in unique_ids}
    return {one: document for one, document in found.items() if document is not None}


def add(connection: Connection, documents: Iterable[IndexedDocument]) -> None:
    """Add documents whose uniqueIds are not there yet, under their normal forms."""
    rows = [
        {name: getattr(one, name) for name in IndexedDocument.__slots__}
        | {"unique_id": normal(one.unique_id)}
        for one in documents
    ]
    insert_rows(connection, document, rows)


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


def remove(
    connection: Connection,
    documents: Sequence[IndexedDocument],
    removed_before: Collection[str],
    now: int,
) -> bool:
    """Drop documents, and note that they were removed on request.

    ``removed_before`` are those of which there is such a note. Tells whether all were still there,
    under their keys; else the transaction must not be committed.
    """
    if removed_before:
        noted = one_of.named(removed_document.c.unique_id, "unique_ids")
        bound = {"unique_ids": list(removed_before)}
        connection.execute(delete(removed_document).where(noted), bound)
    chosen = one_of.named(document.c.key, "keys")
    keys = {"keys": [one.key for one in documents]}
    gone = select(document.c.unique_id, document.c.key, literal(now)).where(chosen)
    connection.execute(insert(removed_document).from_select(["unique_id", "key", "at"], gone), keys)
    return connection.execute(delete(document).where(chosen), keys).rowcount == len(documents)


def removed(connection: Connection, unique_ids: Collection[str]) -> set[str]:
    """Tell which of these documents were removed on request; they may have been provided anew."""
    asked = {normal(one): one for one in unique_ids}
    query = select(removed_document.c.unique_id)
    rows = connection.scalars(query.where(one_of.fixed(removed_document.c.unique_id, asked)))
    return {asked[one] for one in rows}


def removed_keys(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Tell the documents of which of these keys of the store were removed on request."""
    query = select(removed_document.c.key).where(one_of.fixed(removed_document.c.key, keys))
    return set(connection.scalars(query))


def held_keys(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Tell under which of these keys of the store, a few thousand at most, a document lies."""
    return set(connection.execute(_BY_KEY, {"keys": keys}).scalars())


def swept_keys(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Tell the documents of which of these keys a sweep has removed, or is about to."""
    return {key for (key,) in fetch(connection, _SWEPT, {"keys": list(keys)})}


def condemn(connection: Connection, keys: Sequence[str], now: int) -> set[str]:
    """Note those of these keys under which no document is held, and return them.

    The transaction is to hold EVERYTHING: so every registration that relies on one of them has
    either been committed before, or finds the note.
    """
    connection.execute(delete(swept).where(swept.c.until < now))
    gone = set(keys) - held_keys(connection, keys)
    new = sorted(gone - swept_keys(connection, sorted(gone)))
    if new:
        until = now + _NOTED_SECONDS
        connection.execute(insert(swept), [{"key": key, "until": until} for key in new])
    return gone


# --- documents that may be registered or not -----------------------------------------------------


def announce(connection: Connection, attempt: str, unique_ids: Iterable[str], since: int) -> None:
    """Note that documents are about to be registered elsewhere."""
    rows = [{"unique_id": one, "attempt": attempt, "since": since} for one in unique_ids]
    if rows:
        connection.execute(insert(registration), rows)


def pending(connection: Connection, unique_ids: Collection[str]) -> set[str]:
    """Tell of which of these documents it is not known whether they are registered."""
    if not fetch(connection, _ANY_PENDING, {}):
        return set()
    return set(connection.scalars(_PENDING, {"unique_ids": list(unique_ids)}))


def note_registered(connection: Connection, unique_ids: Collection[str]) -> None:
    """Note that documents are registered, whichever attempt did it."""
    bound = {"unique_ids": list(unique_ids)}
    connection.execute(delete(registration).where(_OF_DOCUMENTS), bound)


def withdraw(
    connection: Connection, attempts: Collection[str], unique_ids: Collection[str]
) -> list[IndexedDocument]:
    """Note that attempts failed; drop, and return, the documents that only they stood behind."""
    # what another attempt has settled meanwhile is not among these: it is registered
    before = pending(connection, unique_ids)
    bound = {"unique_ids": list(unique_ids), "attempts": list(attempts)}
    connection.execute(delete(registration).where(_OF_DOCUMENTS, _OF_ATTEMPTS), bound)
    gone = sorted(before - pending(connection, before))
    dropped = find(connection, gone)
    named = one_of.named(document.c.unique_id, "unique_ids")
    connection.execute(delete(document).where(named), {"unique_ids": gone})
    return list(dropped.values())


def pending_since(database: Database, limit: int) -> Iterator[Mapping[str, Collection[str]]]:
    """Yield pages of documents, with their attempts, that nobody has tried to register since."""
    last = ""
    while True:
        page: dict[str, set[str]] = {}
        with database.read() as connection:
            waiting = connection.execute(_WAITING, {"last": last, "limit": limit})
            bound = {"unique_ids": waiting.scalars().all()}
            for row in connection.execute(select(registration).where(_OF_DOCUMENTS), bound):
                page.setdefault(row.unique_id, set()).add(row.attempt)
        if not page:
            return
        yield page
        last = max(page)
