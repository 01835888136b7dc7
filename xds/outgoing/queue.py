"""Putting messages into the delivery queue: within a commit, or as a stream.

What was put is sent at least once by one of the processes that share the database
(:mod:`xds.outgoing.dispatcher`).
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, exists, insert, select, text

from xds import logs, tracing
from xds.database.access import Database, announce, retried
from xds.database.errors import DatabaseUnavailable
from xds.outgoing.delivery import NewDelivery
from xds.outgoing.tables import delivery, delivery_arrival, delivery_body

TOPIC: Final = "deliveries"
"""What a commit announces that has put deliveries into the queue."""
CORRELATION: Final = "correlation"
"""The attribute with the id in the logs of the request that a message comes from."""

_INLINE: Final = 64 * 1024
"""Bytes up to which a body stands in the row of its delivery."""
_PART: Final = 1024 * 1024
_ABANDONED: Final = 24 * 3600 * 1000
"""Milliseconds after which parts without a delivery are of a process that has died."""
_DELIVERY: Final = text(
    "INSERT INTO delivery (id, channel, target, address, accepted, attributes, size, "
    "parts, content, attempts) VALUES (:id, :channel, :target, :address, :accepted, "
    ":attributes, :size, :parts, :content, 0) ON CONFLICT (id) DO NOTHING"
)
_ARRIVAL: Final = insert(delivery_arrival)
_PART_OF_BODY: Final = insert(delivery_body)
_ABANDONED_PARTS: Final = delete(delivery_body).where(
    ~exists(select(delivery.c.pk).where(delivery.c.id == delivery_body.c.delivery))
)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Parts of a body that are in the database."""

    parts: int
    size: int


def enqueue(database: Database, connection: Connection, deliveries: Iterable[NewDelivery]) -> None:
    """Put messages into the queue within a transaction; they go out if and when it commits.

    Those of one target go in the order given. For bodies that are long, or not known as a whole,
    there is :func:`enqueue_stream`.
    """
    if news := list(deliveries):
        now = database.milliseconds(connection)
        _insert_rows(connection, [_row(new, now) for new in news], news)


def enqueue_stream(database: Database, new: NewDelivery, blocks: Iterable[bytes]) -> None:
    """Put a message with a body of any length into the queue; on return it is durable.

    DatabaseUnavailable where it cannot be kept. Whatever the blocks raise comes through; then
    nothing is kept.
    """
    pieces = _pieces(blocks)
    first = next(pieces, b"")
    if len(first) <= _INLINE:
        retried(lambda: _put(database, new, first, None))
        return
    try:
        stored = _write_parts(database, new.id, first, pieces)
        retried(lambda: _put(database, new, b"", stored))
    except BaseException:
        with suppress(DatabaseUnavailable), database.write() as connection:
            connection.execute(delete(delivery_body).where(delivery_body.c.delivery == new.id))
        raise


def remove_abandoned(database: Database) -> None:
    """Remove parts of bodies whose process died before their delivery was in the queue."""
    with database.write() as connection:
        before = database.milliseconds(connection) - _ABANDONED
        connection.execute(_ABANDONED_PARTS.where(delivery_body.c.written < before))


def _put(database: Database, new: NewDelivery, content: bytes, stored: _Stored | None) -> None:
    with database.write() as connection:
        now = database.milliseconds(connection)
        row = _row(new, now)
        if stored is None:
            row |= {"content": content, "size": len(content)}
        else:
            row |= {"content": None, "size": stored.size, "parts": stored.parts}
        _insert_rows(connection, [row], [new])


def _insert_rows(
    connection: Connection, rows: list[dict[str, object]], news: list[NewDelivery]
) -> None:
    connection.execute(_DELIVERY, rows)
    targets = {(new.channel, new.target): new.host for new in news}
    arrivals = [{"channel": c, "target": t, "host": host} for (c, t), host in targets.items()]
    connection.execute(_ARRIVAL, arrivals)
    announce(connection, TOPIC)


def _row(new: NewDelivery, now: int) -> dict[str, object]:
    context = {CORRELATION: logs.current_correlation(), tracing.HEADER: tracing.passed_on()}
    attributes = {name: value for name, value in context.items() if value} | {**new.attributes}
    return {
        "id": new.id,
        "channel": new.channel,
        "target": new.target,
        "address": new.address,
        "accepted": now,
        "attributes": json.dumps(attributes),
        "size": len(new.content),
        "parts": 0,
        "content": new.content,
    }


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join blocks to pieces of the size of a part; only the last one is shorter."""
    waiting = bytearray()
    for block in blocks:
        waiting += block
        while len(waiting) >= _PART:
            yield bytes(waiting[:_PART])
            del waiting[:_PART]
    if waiting:
        yield bytes(waiting)


def _write_parts(database: Database, key: str, first: bytes, others: Iterator[bytes]) -> _Stored:
    """Write parts, each in a transaction of its own: others may write in between."""
    parts, size, piece = 0, 0, first
    while piece:
        with database.write() as connection:
            now = database.milliseconds(connection)
            row = {"delivery": key, "part": parts, "written": now, "content": piece}
            connection.execute(_PART_OF_BODY, row)
        parts, size, piece = parts + 1, size + len(piece), next(others, b"")
    return _Stored(parts, size)
