"""Messages as they came: how they are kept, and put together again byte by byte.

A message lies in the database in pieces. Of one that made documents, the base64 of a document is
not kept beside the document itself: a piece says of which document it is the text, which stretch of
it, and the SHA-1 of the document. That is so only where the text was found to be, byte by byte,
what the document is encoded to, without line breaks; any other is kept as it is.

The pieces of a message are in the commit of its record, and of the documents that they name. Of
what is more than INLINE bytes they are written before that; those of a message that was not
recorded after all are removed by and by.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select

from xds import base64_blocks
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.database.reading import fetch
from xds.database.statements import insert_rows
from xds.messaging.incoming import IncomingMessage
from xds.messaging.tables import message_part
from xds.repository import index
from xds.repository.repository import DocumentRepository
from xds.repository.store import DocumentNotFound, StoreError

INLINE: Final = 4 << 20
"""Bytes of a message that are written in the commit of its record."""
_PIECE: Final = 1 << 20
_LEAST: Final = 4096
"""Bytes of a text that is not kept."""
_P: Final = message_part.c
_PARTS: Final = (
    select(_P.content, _P.document, _P.text_start, _P.text_end)
    .where(_P.message == bindparam("id"), _P.place == bindparam("place"))
    .limit(1)
)


class MessageNotKept(Exception):
    """There is no such message, or it is no longer kept; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentText:
    """A stretch of a message that is the base64 of a document, or a part of it."""

    start: int
    """Where it stands in the message."""
    end: int
    unique_id: str
    hash: str
    """SHA-1 of the document, hexadecimal."""
    text_start: int
    """Where it begins in the base64 of the whole document."""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as it came, ready for the commit of its record."""

    pieces: Sequence[bytes | DocumentText] = ()
    is_written: bool = False
    """Whether the pieces are in the database already; there are none here then."""

    def write(self, connection: Connection, record_id: str, now: int) -> None:
        """Write the pieces in the commit of the record; ``now`` in milliseconds since 1970."""
        rows = [_part(record_id, now, *one) for one in enumerate(self.pieces)]
        insert_rows(connection, message_part, rows)

    def drop(self, database: Database, record_id: str) -> None:
        """Remove what was written of a message that is not recorded after all."""
        if self.is_written:
            with suppress(DatabaseUnavailable), database.write() as connection:
                connection.execute(delete(message_part).where(_P.message == record_id))


def keep(
    database: Database,
    record_id: str,
    incoming: IncomingMessage,
    texts: Iterable[DocumentText] = (),
) -> KeptMessage:
    """Make a message ready to be kept: a large one is written now.

    ``texts`` are those of documents that are registered in the commit of its record.
    """
    chosen = list(_chosen(texts))
    size = incoming.size - sum(one.end - one.start for one in chosen)
    pieces = _pieces(incoming, chosen)
    if size <= INLINE:
        return KeptMessage(list(pieces))
    for place, piece in enumerate(pieces):
        with database.write() as connection:
            database.release_memory(connection)
            now = database.milliseconds(connection)
            insert_rows(connection, message_part, [_part(record_id, now, place, piece)])
    return KeptMessage(is_written=True)


def _chosen(texts: Iterable[DocumentText]) -> Iterator[DocumentText]:
    """Yield those that are worth a row, in their order; of two documents of one text the first."""
    place = 0
    for one in sorted(texts, key=lambda one: one.start):
        if one.start >= place and one.end - one.start >= _LEAST:
            yield one
            place = one.end


def _pieces(
    incoming: IncomingMessage, texts: Sequence[DocumentText]
) -> Iterator[bytes | DocumentText]:
    place = 0
    for text in texts:
        yield from _joined(incoming.raw(place, text.start))
        yield text
        place = text.end
    yield from _joined(incoming.raw(place, None))


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _part(record_id: str, now: int, place: int, piece: bytes | DocumentText) -> dict[str, Any]:
    row: dict[str, Any] = {"message": record_id, "place": place, "written": now}
    if isinstance(piece, bytes):
        return row | {"content": piece, "document": None, "text_start": None, "text_end": None}
    return row | {
        "content": bytes.fromhex(piece.hash),
        "document": piece.unique_id,
        "text_start": piece.text_start,
        "text_end": piece.text_start + piece.end - piece.start,
    }


def raw(
    repository: DocumentRepository, record_id: str, *, omits_removed: bool = False
) -> Iterator[bytes]:
    """Yield a message as it came, piece by piece; nothing where it is no longer kept.

    Raises MessageNotKept where a document that it carried has been removed (ITI-86), whose text is
    left out where it ``omits_removed``; StoreError where the store cannot be read.
    """
    place = 0
    while True:
        with repository.database.read() as connection:
            rows = fetch(connection, _PARTS, {"id": record_id, "place": place})
        if not rows:
            return
        content, unique_id, start, end = rows[0]
        if unique_id is None:
            yield bytes(content)
        else:
            try:
                yield from _text(repository, unique_id, content.hex(), start, end)
            except DocumentNotFound:
                if not omits_removed:
                    raise MessageNotKept("a document that it carried has been removed") from None
        place += 1


def _text(
    repository: DocumentRepository, unique_id: str, digest: str, start: int, end: int
) -> Iterator[bytes]:
    """Yield a stretch of a document's base64; DocumentNotFound where it is not that document."""
    document = repository.locate(unique_id)
    if document is None or document.hash != digest:
        raise DocumentNotFound("the document of a message has been removed")
    skipped, left = start % 4, end - start
    first = start // 4 * 3

    def is_held(one: index.IndexedDocument) -> bool:
        return repository.locate(one.unique_id) is not None

    with closing(repository.documents.open(document, first, is_held=is_held)) as reader:
        for block in base64_blocks.encode(reader):
            part = block[skipped : skipped + left]
            skipped, left = 0, left - len(part)
            yield part
            if not left:
                return
    raise StoreError("a document is shorter than its text in a message")
