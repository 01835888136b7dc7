"""What waits in the delivery queue, at a glance: cheap however much waits.

A million messages may wait for a few targets. The channels and the targets are found by leaps in
the index, from the first message of one to the first of the next, and messages are counted up to a
number. :mod:`xds.outgoing.operations` counts all.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, literal_column, select, text

from xds.database.index_order import keep_to_index_order
from xds.database.lists import one_of
from xds.outgoing import operations
from xds.outgoing.operations import ChannelState, DeliverySelection, WaitingTarget
from xds.outgoing.tables import delivery, delivery_target

MOST_OF_CHANNEL: Final = 10_000
"""Up to which the messages of a channel are counted."""
MOST_OF_TARGET: Final = 1_000
"""Up to which those of a target are counted."""
MOST_TARGETS: Final = 2_000
"""Targets of one channel that are looked at, in the order of their names."""
_D: Final = delivery.c
_T: Final = delivery_target.c
_CHANNELS: Final = {
    is_dead: text(
        f"SELECT min(channel) FROM delivery WHERE dead_at IS {'NOT NULL' if is_dead else 'NULL'} "
        "AND channel > :after"
    )
    for is_dead in (False, True)
}
_COUNT: Final = {
    is_dead: text(
        "SELECT count(*) FROM (SELECT 1 AS one FROM delivery WHERE dead_at IS "
        f"{'NOT NULL' if is_dead else 'NULL'} AND channel = :channel LIMIT :most) AS counted"
    )
    for is_dead in (False, True)
}
_FIRST: Final = """
    SELECT one.pk FROM delivery AS one WHERE one.dead_at IS NULL AND {}
    ORDER BY one.channel, one.target, one.pk LIMIT 1
"""
_HEADS: Final = text(
    f"""
    WITH RECURSIVE head (pk, place) AS (
        SELECT ({_FIRST.format("one.channel = :channel")}), 1
        UNION ALL
        SELECT ({_FIRST.format("one.channel = past.channel AND one.target > past.target")}),
            place + 1
        FROM head JOIN delivery AS past ON past.pk = head.pk WHERE place < :most
    )
    SELECT pk FROM head WHERE pk IS NOT NULL
    """
)
_OTHERS: Final = delivery.alias("of_target")
_SOME: Final = (
    select(literal_column("1").label("one"))
    .where(
        _OTHERS.c.dead_at.is_(None),
        _OTHERS.c.channel == _D.channel,
        _OTHERS.c.target == _D.target,
    )
    .limit(bindparam("most"))
    .correlate(delivery)
    .subquery()
)
_NUMBER: Final = select(func.count()).select_from(_SOME).correlate(delivery).scalar_subquery()
_TARGETS: Final = (
    select(
        *(_D.channel, _D.target, _NUMBER, _D.accepted, _D.id, func.coalesce(_T.attempts, 0)),
        *(_T.due, _T.holder.is_not(None), _T.error, _T.failed_since),
    )
    .select_from(
        delivery.outerjoin(delivery_target, and_(_T.channel == _D.channel, _T.target == _D.target))
    )
    .where(one_of.named(_D.pk, "keys"))
)


def states(connection: Connection) -> Mapping[str, ChannelState]:
    """Return what waits of each channel of which anything is in the queue, counted up to a number.

    The oldest is that of :data:`MOST_TARGETS` targets.
    """
    keep_to_index_order(connection)
    waits = {name: _count(connection, name, is_dead=False) for name in _channels(connection)}
    dead = {
        name: _count(connection, name, is_dead=True) for name in _channels(connection, is_dead=True)
    }
    return {
        name: ChannelState(waits.get(name, 0), _oldest(connection, name), dead.get(name, 0))
        for name in sorted({*waits, *dead})
    }


def _channels(connection: Connection, *, is_dead: bool = False) -> Iterator[str]:
    """Yield the channels of what waits, or of what was given up."""
    name: str | None = connection.scalar(_CHANNELS[is_dead], {"after": ""})
    while name is not None:
        yield name
        name = connection.scalar(_CHANNELS[is_dead], {"after": name})


def _count(connection: Connection, channel: str, *, is_dead: bool) -> int:
    bound = {"channel": channel, "most": MOST_OF_CHANNEL}
    return connection.scalar(_COUNT[is_dead], bound) or 0


def _oldest(connection: Connection, channel: str) -> int:
    heads = _heads(connection, channel)
    return connection.scalar(select(_D.accepted).where(_D.pk == min(heads))) or 0 if heads else 0


def _heads(connection: Connection, channel: str) -> list[int]:
    """Return the keys of the first messages that wait, one of each target."""
    bound = {"channel": channel, "most": MOST_TARGETS}
    return list(connection.scalars(_HEADS, bound))


def targets(
    connection: Connection, selection: DeliverySelection, most: int, start: int = 0
) -> list[WaitingTarget]:
    """Return targets with messages that wait, those that wait longest first, from a number on."""
    if selection.target is not None or selection.id is not None:
        return operations.waiting(connection, selection, most, start)
    keep_to_index_order(connection)
    channels = [selection.channel] if selection.channel else list(_channels(connection))
    heads = sorted(key for name in channels for key in _heads(connection, name))
    keys = heads[start : start + most]
    rows = connection.execute(_TARGETS.add_columns(_D.pk), {"keys": keys, "most": MOST_OF_TARGET})
    return [WaitingTarget(*row[:-1]) for row in sorted(rows, key=lambda row: row.pk)]
