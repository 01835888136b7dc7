"""What a dispatcher does in the database: take targets by a lease, load messages, note outcomes.

A target that was taken has its holder's name, and is due again when the lease ends. So what a
process had taken that died is found as what is due, and needs nobody to look for it. An outcome
changes a target only while the lease is the holder's own.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from xds.database.access import Database
from xds.database.lists import none_of, one_of
from xds.database.reading import change, fetch
from xds.outgoing.delivery import Delivery, Undeliverable
from xds.outgoing.tables import delivery, delivery_arrival, delivery_body, delivery_target

LEASE: Final = 20_000
"""Milliseconds for which a target is taken; a holder that lives renews it well before."""

_ARRIVALS: Final = 500
_LOADED: Final = 16 * 1024
"""Bytes up to which a body is loaded with its row."""
_D: Final = delivery.c
_T: Final = delivery_target.c
_KEY: Final = and_(_T.channel == bindparam("of"), _T.target == bindparam("to"))
_OWN: Final = and_(_KEY, _T.holder == bindparam("me"))
_WAITS: Final = and_(
    _D.channel == bindparam("of"), _D.target == bindparam("to"), _D.dead_at.is_(None)
)

_ARRIVED: Final = (
    delete(delivery_arrival)
    .where(
        delivery_arrival.c.pk.in_(
            select(delivery_arrival.c.pk)
            .order_by(delivery_arrival.c.pk)
            .limit(_ARRIVALS)
            .with_for_update(skip_locked=True)
        )
    )
    .returning(delivery_arrival.c.channel, delivery_arrival.c.target, delivery_arrival.c.host)
)
_NEW_TARGET: Final = text(
    "INSERT INTO delivery_target (channel, target, host, due, version, attempts) "
    "VALUES (:channel, :target, :host, :due, 0, 0) "
    "ON CONFLICT (channel, target) DO UPDATE SET version = delivery_target.version + 1"
)
_NEXT: Final = select(
    exists(select(delivery_arrival.c.pk)),
    select(_T.due)
    .where(one_of.named(_T.channel, "channels"))
    .order_by(_T.due)
    .limit(1)
    .scalar_subquery(),
)
_DUE: Final = (
    select(_T.channel, _T.target, _T.host, _T.attempts, _T.version)
    .where(
        _T.due <= bindparam("now"),
        one_of.named(_T.channel, "channels"),
        none_of.named(_T.host, "busy"),
    )
    .order_by(_T.due)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_TAKE: Final = (
    update(delivery_target).where(_KEY).values(due=bindparam("end"), holder=bindparam("me"))
)
_RENEW: Final = update(delivery_target).where(_OWN).values(due=bindparam("end"))
_LOAD: Final = (
    select(
        _D.pk,
        _D.id,
        _D.address,
        _D.accepted,
        _D.attributes,
        _D.size,
        _D.parts,
        case((and_(_D.parts == 0, _D.size <= _LOADED), _D.content)).label("content"),
    )
    .where(_WAITS, _D.pk > bindparam("after"))
    .order_by(_D.pk)
    .limit(bindparam("most"))
)
_CONTENT: Final = select(_D.content).where(_D.id == bindparam("key"))
_BODY_PART: Final = select(delivery_body.c.content).where(
    delivery_body.c.delivery == bindparam("of"), delivery_body.c.part == bindparam("number")
)
# by its id: SQLite gives a new delivery the pk of one that was dropped while it was sent
_DELIVERED: Final = delete(delivery).where(one_of.named(_D.id, "ids"))
_PARTS_OF: Final = delete(delivery_body).where(one_of.named(delivery_body.c.delivery, "ids"))
_EMPTIED: Final = delete(delivery_target).where(
    _OWN, _T.version == bindparam("seen"), ~exists(select(_D.pk).where(_WAITS))
)
_LET_GO: Final = update(delivery_target).where(_OWN).values(due=bindparam("at"), holder=None)
_SUCCEEDED: Final = (
    update(delivery_target)
    .where(_OWN)
    .values(attempts=0, failed_since=None, failed_at=None, error=None)
)
_FAILED: Final = (
    update(delivery_target)
    .where(_OWN)
    .values(
        due=bindparam("at"),
        holder=None,
        attempts=bindparam("count"),
        failed_since=func.coalesce(_T.failed_since, bindparam("now")),
        failed_at=bindparam("now"),
        error=bindparam("reason"),
    )
)
_DIES: Final = (
    update(delivery)
    .where(_D.id == bindparam("key"))
    .values(dead_at=bindparam("now"), attempts=bindparam("count"), error=bindparam("reason"))
)
_STEPS_ASIDE: Final = (
    update(delivery).where(_D.id == bindparam("key")).values(target=bindparam("aside"))
)
_FREED: Final = update(delivery_target).values(due=bindparam("now"))
_BEYOND_LEASE: Final = (
    update(delivery_target)
    .where(_T.holder.is_not(None), _T.due > bindparam("most"))
    .values(due=bindparam("most"))
)
_BEYOND_PAUSE: Final = (
    update(delivery_target)
    .where(_T.channel == bindparam("of"), _T.holder.is_(None), _T.due > bindparam("most"))
    .values(due=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A target that this process has taken."""

    channel: str
    target: str
    host: str
    attempts: int
    version: int

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other targets."""
        return self.channel, self.target

    def parameters(self, holder: str) -> dict[str, Any]:
        """Return what statements about it need."""
        return {"of": self.channel, "to": self.target, "me": holder}


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed, and what becomes of its delivery."""

    id: str
    attempts: int
    """Attempts of this delivery by now."""
    reason: str
    pause: int
    """Milliseconds after which it is tried again."""
    becomes: Literal["waiting", "aside", "dead"]
    error: Exception
    """What was raised."""


def arrive(connection: Connection, now: int, delays: Mapping[str, float]) -> int:
    """Give the targets of new deliveries their rows; return how many arrivals there were."""
    rows = fetch(connection, _ARRIVED, {})
    targets = {(channel, target): host for channel, target, host in rows}
    made = [
        {"channel": c, "target": t, "host": host, "due": now + round(delays.get(c, 0.0) * 1000)}
        for (c, t), host in sorted(targets.items())  # in one order: no deadlock
    ]
    if made:
        connection.execute(_NEW_TARGET, made)
    return len(rows)


def next_due(connection: Connection, channels: Sequence[str]) -> int | None:
    """Return when a target is due, 0 where deliveries have arrived; None where nothing waits."""
    ((arrived, due),) = fetch(connection, _NEXT, {"channels": list(channels)})
    return 0 if arrived else due


def due(
    connection: Connection, now: int, channels: Sequence[str], busy: Iterable[str], most: int
) -> list[Taken]:
    """Return targets that may be taken, those due first, and keep others from them."""
    asked = {"now": now, "channels": list(channels), "busy": list(busy), "most": most}
    return [Taken(*row) for row in fetch(connection, _DUE, asked)]


def take(connection: Connection, now: int, holder: str, chosen: Sequence[Taken]) -> None:
    """Take targets until the lease ends."""
    end = now + LEASE
    change(connection, _TAKE, [{**_of(one), "end": end, "me": holder} for one in chosen])


def renew(connection: Connection, now: int, holder: str, held: Iterable[Taken]) -> None:
    """Have leases last longer, where they are still the holder's."""
    change(connection, _RENEW, [{**one.parameters(holder), "end": now + LEASE} for one in held])


def load(
    database: Database, connection: Connection, taken: Taken, after: int, most: int
) -> list[Delivery]:
    """Return the deliveries of a target that follow a key, in their order."""
    asked = {**_of(taken), "after": after, "most": most}
    return [_delivery(database, taken, _LoadedRow(*row)) for row in fetch(connection, _LOAD, asked)]


class _LoadedRow(NamedTuple):
    """A row of _LOAD."""

    pk: int
    id: str
    address: str
    accepted: int
    attributes: str
    size: int
    parts: int
    content: bytes | None


def _delivery(database: Database, taken: Taken, row: _LoadedRow) -> Delivery:
    return Delivery(
        pk=row.pk,
        id=row.id,
        channel=taken.channel,
        target=taken.target,
        address=row.address,
        accepted=row.accepted,
        attributes=json.loads(row.attributes),
        size=row.size,
        parts=row.parts,
        read=_reader(database, row),
    )


def _reader(database: Database, row: _LoadedRow) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        if row.parts == 0:
            yield row.content if row.content is not None else _only(database, _CONTENT, key=row.id)
        for number in range(row.parts):
            yield _only(database, _BODY_PART, of=row.id, number=number)

    return read


def _only(database: Database, query: Any, **asked: object) -> bytes:
    with database.read() as connection:
        content: bytes | None = connection.scalar(query, asked)
    if content is None:
        raise Undeliverable("its body is not there")
    return content


def delivered(connection: Connection, done: Sequence[Delivery]) -> None:
    """Remove deliveries that have been taken."""
    if done:
        change(connection, _DELIVERED, [{"ids": [one.id for one in done]}])
    if long := [one.id for one in done if one.parts]:
        change(connection, _PARTS_OF, [{"ids": long}])


def succeeded(connection: Connection, holder: str, targets: Iterable[Taken]) -> None:
    """Forget the failures of targets that have taken something."""
    change(connection, _SUCCEEDED, [one.parameters(holder) for one in targets])


def let_go(connection: Connection, now: int, holder: str, targets: Sequence[Taken]) -> None:
    """Give targets back: those without deliveries go, the others are due."""
    own = [one.parameters(holder) for one in targets]
    emptied = [{**row, "seen": one.version} for row, one in zip(own, targets, strict=True)]
    change(connection, _EMPTIED, emptied)
    change(connection, _LET_GO, [{**row, "at": now} for row in own])


def failed(connection: Connection, now: int, holder: str, taken: Taken, failure: Failure) -> None:
    """Note a failure, and give the target back."""
    match failure.becomes:
        case "dead":
            dies = {"key": failure.id, "now": now, "count": failure.attempts}
            connection.execute(_DIES, {**dies, "reason": failure.reason})
            succeeded(connection, holder, [taken])  # the next one begins anew
            let_go(connection, now, holder, [taken])
        case "aside":
            _step_aside(connection, now, taken, failure)
            succeeded(connection, holder, [taken])
            let_go(connection, now, holder, [taken])
        case _:
            asked = {**taken.parameters(holder), "at": now + failure.pause, "now": now}
            asked |= {"count": failure.attempts, "reason": failure.reason}
            connection.execute(_FAILED, asked)


def _step_aside(connection: Connection, now: int, taken: Taken, failure: Failure) -> None:
    """Make a delivery a target of its own, which others do not wait for."""
    aside = _aside(taken.target, failure.id)
    connection.execute(_STEPS_ASIDE, {"key": failure.id, "aside": aside})
    row = {
        "channel": taken.channel,
        "target": aside,
        "host": taken.host,
        "due": now + failure.pause,
        "holder": None,
        "version": 0,
        "attempts": failure.attempts,
        "failed_since": now,
        "failed_at": now,
        "error": failure.reason,
    }
    connection.execute(insert(delivery_target), row)


def _aside(target: str, key: str) -> str:
    return f"{target} {key}"


def is_aside(delivery: Delivery) -> bool:
    """Tell whether a delivery has stepped aside, and is a target of its own."""
    return delivery.target.endswith(_aside("", delivery.id))


def heed_clock(connection: Connection, now: int, longest_pauses: Mapping[str, int]) -> None:
    """Bring back what lies further ahead than any lease or pause: the clock was set back.

    Pauses are those of each channel, in milliseconds.
    """
    connection.execute(_BEYOND_LEASE, {"most": now + LEASE})
    for channel, longest in longest_pauses.items():
        asked = {"of": channel, "most": now + longest, "now": now}
        connection.execute(_BEYOND_PAUSE, asked)


def release_all(connection: Connection, now: int, holder: str) -> None:
    """Give back whatever a process holds, at its end."""
    connection.execute(_FREED.where(_T.holder == holder).values(holder=None), {"now": now})


def _of(taken: Taken) -> dict[str, Any]:
    return {"of": taken.channel, "to": taken.target}
