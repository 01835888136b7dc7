"""The rows of documents by the numbers of their senders."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.errors import TransactionFailure, XDSRegistryBusy
from xds.messaging.registering.versions import FiledReport
from xds.messaging.tables import report

Number = tuple[str, str]
"""Authority and number."""

_NAMES: Final = tuple(one.name for one in fields(FiledReport))
_COLUMNS: Final = tuple(report.c[name] for name in _NAMES)
_NUMBERED: Final = (
    one_of.named(report.c.authority, "authorities"),
    one_of.named(report.c.number, "numbers"),
)
_OF_NUMBERS: Final = select(*_COLUMNS).where(*_NUMBERED)
_LOCKED: Final = (
    select(report.c.pk)
    .where(*_NUMBERED)
    .order_by(report.c.authority, report.c.number, report.c.slot)
    .with_for_update()
)
_OF_DOCUMENTS: Final = select(*_COLUMNS).where(one_of.named(report.c.unique_id, "unique_ids"))
_NEW: Final = {
    name: make(report)
    .values({one.name: bindparam(one.name) for one in _COLUMNS})
    .on_conflict_do_nothing()
    .returning(report.c.pk)
    for name, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_CHANGE: Final = update(report).where(
    report.c.authority == bindparam("of_authority"),
    report.c.number == bindparam("of_number"),
    report.c.slot == bindparam("of_slot"),
)


class ReportsChanged(TransactionFailure):
    """Another message has changed what this one was decided by: decide again."""

    def __init__(self) -> None:
        super().__init__([XDSRegistryBusy("a document of the same number is being filed")])


def of_numbers(connection: Connection, numbers: Collection[Number]) -> dict[Any, FiledReport]:
    """Return what is known under some numbers, by authority, number and slot."""
    if not numbers:
        return {}
    rows = fetch(connection, _OF_NUMBERS, _values(numbers))
    found = map(_filed, rows)
    return {one.key: one for one in found if one.key[:2] in numbers}


def _filed(row: Sequence[Any]) -> FiledReport:
    return FiledReport(**dict(zip(_NAMES, row, strict=True)))


def _values(numbers: Collection[Number]) -> Mapping[str, Any]:
    return {
        "authorities": sorted({authority for authority, _ in numbers}),
        "numbers": sorted({number for _, number in numbers}),
    }


def write(
    connection: Connection,
    numbers: Collection[Number],
    known: Mapping[Any, FiledReport],
    changed: Collection[FiledReport],
) -> None:
    """Write rows, and hold the others of these numbers to what they were decided by.

    Of two transactions that file under one number the second waits here for the first.
    Raises ReportsChanged where what is known is no longer so.
    """
    new = [one for one in changed if one.key not in known]
    for one in sorted(new, key=lambda each: each.key):
        if not fetch(connection, _NEW[connection.dialect.name], asdict(one)):
            raise ReportsChanged
    if numbers and connection.dialect.name != "sqlite":
        fetch(connection, _LOCKED, _values(numbers))
    there = of_numbers(connection, numbers)
    if there != {**known, **{one.key: one for one in new}}:
        raise ReportsChanged
    for one in changed:
        if one.key in known:
            authority, number, slot = one.key
            where = {"of_authority": authority, "of_number": number, "of_slot": slot}
            connection.execute(_CHANGE.values(asdict(one)), where)


def of_documents(connection: Connection, unique_ids: Collection[str]) -> list[FiledReport]:
    """Return what is known of documents by their uniqueIds."""
    if not unique_ids:
        return []
    rows = fetch(connection, _OF_DOCUMENTS, {"unique_ids": list(unique_ids)})
    return [_filed(row) for row in rows]
