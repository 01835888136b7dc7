"""The hash chain of the audit records, by which a change of the trail shows.

Each record has a number and the SHA-256 of its number, of the hash of the record before, and of its
own text as it stands in the table. All processes of a deployment write one chain, one at a time, so
that the records of a process cannot be removed all together either. What comes in the commit of a
change is chained right after it, since commits are not in an order before they have ended.

Records from before there was a chain are not part of it. Old ones that are removed leave the chain
from its beginning on: where it begins stands in the table ``audit_chain``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from xds.audit import activity, table
from xds.audit.record import AuditRecord, RecordJson, milliseconds, read_json
from xds.audit.table import audit_chain, audit_record
from xds.database.access import Database, retried
from xds.database.locks import Locks

ALONE: Final = Locks(exclusive=frozenset({"audit chain"}))
"""Held by whoever makes the chain longer."""

_A_ROUND: Final = 1_000
_PAGE: Final = 1_000
_BEFORE, _START = "before", "start"
_C: Final = audit_record.c
_LAST: Final = (
    select(_C.sequence, _C.hash)
    .where(_C.sequence.is_not(None))
    .order_by(_C.sequence.desc())
    .limit(1)
)
_NAMED: Final = select(audit_chain.c.sequence, audit_chain.c.hash).where(
    audit_chain.c.name == bindparam("wanted")
)
_UP_TO: Final = _LAST.where(_C.sequence <= bindparam("upto"))
_AT: Final = select(_C.sequence, _C.hash).where(
    _C.sequence.in_(bindparam("numbers", expanding=True))
)
_BOUNDARY: Final = select(audit_chain.c.sequence).where(audit_chain.c.name == _BEFORE)
_UNCHAINED: Final = (
    select(_C.pk, _C.record)
    .where(_C.sequence.is_(None), _C.pk > bindparam("before"))
    .order_by(_C.pk)
    .limit(_A_ROUND)
)
_IS_UNCHAINED: Final = _UNCHAINED.with_only_columns(_C.pk).limit(1)
_CHAIN: Final = (
    update(audit_record)
    .where(_C.pk == bindparam("key"))
    .values(sequence=bindparam("number"), hash=bindparam("made"))
)
_THERE: Final = select(_C.id).where(_C.id.in_(bindparam("ids", expanding=True)))


class Link(NamedTuple):
    """The last record of a chain, or of a part of it."""

    sequence: int
    hash: str

    def next(self, record: str) -> "Link":
        """Return what the next record adds, given its text."""
        number = self.sequence + 1
        return Link(number, sha256(f"{number}\n{self.hash}\n{record}".encode()).hexdigest())


_NOTHING: Final = Link(0, "")


def append(database: Database, records: Sequence[RecordJson]) -> Link:
    """Write records at the end of the chain, durably, and return that end.

    Those that are there already stay as they are. What has come in commits of its own since is
    chained before. DatabaseUnavailable.
    """
    return retried(lambda: _appended(database, records))


def _appended(database: Database, records: Sequence[RecordJson]) -> Link:
    with database.write(ALONE) as connection:
        end = _chained(connection, head(connection))
        if records:
            end = _written(connection, end, records)
        activity.count(connection)
        return end


def _written(connection: Connection, end: Link, records: Sequence[RecordJson]) -> Link:
    """Write the records that are not there yet; return the new end."""
    known = set(connection.scalars(_THERE, {"ids": [one["id"] for one in records]}))
    new = {one["id"]: one for one in records if one["id"] not in known}
    rows = [table.row_of(one) for one in new.values()]
    links: list[Link] = []
    for row in rows:
        end = end.next(row[-1])
        links.append(end)
    table.insert_rows(connection, rows, links)
    return end


def has_unchained(connection: Connection) -> bool:
    """Tell whether records wait to be chained."""
    before = connection.scalar(_BOUNDARY) or 0
    return connection.scalar(_IS_UNCHAINED, {"before": before}) is not None


def head(connection: Connection) -> Link:
    """Return the end of the chain."""
    found = connection.execute(_LAST).one_or_none()
    return Link(*found) if found else start(connection)


def start(connection: Connection) -> Link:
    """Return what comes before the first record of the chain that is still there."""
    found = connection.execute(_NAMED, {"wanted": _START}).one_or_none()
    return Link(*found) if found else _NOTHING


def link_before(connection: Connection, sequence: int) -> Link:
    """Return the last record of the chain before one of a number, that from which to verify it."""
    found = connection.execute(_UP_TO, {"upto": sequence - 1}).one_or_none()
    return Link(*found) if found else start(connection)


def _chained(connection: Connection, end: Link) -> Link:
    """Chain the records that were written in the commits of changes; return the new end."""
    before = connection.scalar(_BOUNDARY) or 0
    while rows := connection.execute(_UNCHAINED, {"before": before}).all():
        values = []
        for key, record in rows:
            end = end.next(record)
            values.append({"key": key, "number": end.sequence, "made": end.hash})
        connection.execute(_CHAIN, values)
    return end


# --- removing ------------------------------------------------------------------------------------


def forget(connection: Connection, before: str) -> int:
    """Remove records that were shipped and are older than a time; return how many.

    Of the chain they go from its beginning, up to the first that has to stay.
    """
    activity.count(connection)
    limit = milliseconds(before)
    activity.forget(connection, limit)
    is_old = and_(_C.at < limit, _C.shipped == true())
    boundary = connection.scalar(_BOUNDARY) or 0
    loose = delete(audit_record).where(_C.sequence.is_(None), _C.pk <= boundary, is_old)
    gone: int = connection.execute(loose).rowcount
    stays = select(func.min(_C.sequence)).where(or_(_C.at >= limit, _C.shipped != true()))
    first = connection.scalar(stays)
    upto = select(_C.sequence, _C.hash).where(_C.sequence.is_not(None))
    if first is not None:
        upto = upto.where(_C.sequence < first)
    last = connection.execute(upto.order_by(_C.sequence.desc()).limit(1)).one_or_none()
    if last is None:
        return gone
    connection.execute(delete(audit_chain).where(audit_chain.c.name == _START))
    connection.execute(insert(audit_chain).values(name=_START, sequence=last[0], hash=last[1]))
    removed: int = connection.execute(delete(audit_record).where(_C.sequence <= last[0])).rowcount
    return gone + removed


# --- verifying -----------------------------------------------------------------------------------


class Break(NamedTuple):
    """Where the trail is not as it was written."""

    sequence: int
    kind: str
    """changed, removed, inserted, reordered or truncated"""
    said: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of a chain, or of a part of it."""

    chained: int
    """Records that are as they were written."""
    before: int
    """Records from before there was a chain, which are not looked at."""
    end: Link
    """The last of those."""
    broken: Break | None = None
    """The first break; what comes after it is not looked at."""
    is_whole: bool = True
    """Whether it was looked at up to the end of the chain."""


def verify(
    database: Database,
    anchors: Iterable[Link] = (),
    *,
    begin: Link | None = None,
    most: int | None = None,
) -> Verdict:
    """Hold the chain against its records, and against ends that were noted elsewhere.

    It begins after ``begin``, which counts as true, else with the first record that is there; it
    ends after ``most`` records, and is read in short transactions. DatabaseUnavailable.
    """
    known = {one.sequence: one.hash for one in anchors}
    with database.read() as connection:
        before = _count_before(connection) if begin is None else 0
        end = begin or start(connection)
        broken = None if begin is None else _unlike(connection, known)
    if broken:
        return Verdict(0, before, end, broken)
    count = 0
    rows = _rows(database, end.sequence)
    row = next(rows, None)
    while row is not None and count != most:
        following = next(rows, None)
        if row.sequence > end.sequence + 1:
            with database.read() as connection:  # old ones may have been removed meanwhile
                end = max(end, start(connection))
        broken = _break(end, row, following) or _otherwise(Link(row.sequence, row.hash), known)
        if broken:
            return Verdict(count, before, end, broken)
        end, count, row = Link(row.sequence, row.hash), count + 1, following
    if row is not None:
        return Verdict(count, before, end, is_whole=False)
    return Verdict(count, before, end, _truncated(end, known))


def _count_before(connection: Connection) -> int:
    boundary = connection.scalar(_BOUNDARY) or 0
    loose = select(func.count()).where(_C.sequence.is_(None), _C.pk <= boundary)
    found: int = connection.execute(loose).scalar_one()
    return found


def _rows(database: Database, after: int) -> Iterator[Any]:
    """Yield the records of the chain in their order."""
    page = select(audit_record).where(_C.sequence > bindparam("after")).order_by(_C.sequence)
    while True:
        with database.read() as connection:
            rows = connection.execute(page.limit(_PAGE), {"after": after}).all()
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1].sequence


def _break(end: Link, row: Any, following: Any) -> Break | None:
    """Tell what is wrong with a record, by the end of the chain before it and the record after."""
    number = end.sequence + 1
    if row.sequence != number:
        upto = row.sequence - 1
        which = f"record {number}" if upto == number else f"records {number} to {upto}"
        return Break(number, "removed", f"{which} of the chain: not there any more")
    if end.next(row.record).hash != row.hash:
        return Break(number, *_kind(end, row, following))
    if _columns(row) != table.row_of(read_json(row.record.encode())):
        return Break(number, "changed", f"{_named(row)}: its columns do not say what it says")
    return None


def _kind(end: Link, row: Any, following: Any) -> tuple[str, str]:
    if following is not None and end.next(following.record).hash == following.hash:
        second = Link(end.sequence + 1, following.hash)
        if second.next(row.record).hash == row.hash:
            return "reordered", f"{_named(row)}: it stood behind the one that follows"
        return "inserted", f"{_named(row)}: the one that follows came before it was there"
    return "changed", f"{_named(row)}: it is not what was written"


def _columns(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name.strip('"')) for name in table.COLUMNS)


def _named(row: Any) -> str:
    try:
        record = AuditRecord.load(row.record)
    except (ValueError, TypeError, KeyError):
        return f"record {row.sequence}"
    return f"record {row.sequence} ({record.transaction} at {record.at}, {record.id})"


def _otherwise(link: Link, known: dict[int, str]) -> Break | None:
    """Tell whether a record is another than one whose hash was noted elsewhere."""
    if known.get(link.sequence, link.hash) == link.hash:
        return None
    said = (
        f"record {link.sequence} or one before it: the chain was made anew up to there, or cut off "
        "before it and continued"
    )
    return Break(link.sequence, "changed", said)


def _unlike(connection: Connection, known: dict[int, str]) -> Break | None:
    """Tell whether a record has another hash than was noted, wherever in the chain it is."""
    rows = connection.execute(_AT, {"numbers": list(known)}).all()
    found = (_otherwise(Link(*row), known) for row in sorted(rows))
    return next(filter(None, found), None)


def _truncated(end: Link, known: dict[int, str]) -> Break | None:
    last = max(known, default=0)
    if last <= end.sequence:
        return None
    said = f"the chain ends with record {end.sequence}, and had {last} at least"
    return Break(end.sequence + 1, "truncated", said)
