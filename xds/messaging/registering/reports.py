"""The rows of documents by the numbers of their senders."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from xds.errors import TransactionFailure, XDSRegistryBusy
from xds.messaging.registering.versions import FiledReport
from xds.messaging.tables import report

Number = tuple[str, str]
"""Authority and number."""

_COLUMNS: Final = tuple(report.c[one.name] for one in fields(FiledReport))
_CHANGE: Final = update(report).where(
    report.c.authority == bindparam("of_authority"),
    report.c.number == bindparam("of_number"),
    report.c.slot == bindparam("of_slot"),
)
_BY_UNIQUE_ID: Final = select(*_COLUMNS)


class ReportsChanged(TransactionFailure):
    """Another message has changed what this one was decided by: decide again."""

    def __init__(self) -> None:
        super().__init__([XDSRegistryBusy("a document of the same number is being filed")])


def of_numbers(connection: Connection, numbers: Collection[Number]) -> dict[Any, FiledReport]:
    """Return what is known under some numbers, by authority, number and slot."""
    if not numbers:
        return {}
    wanted = tuple_(report.c.authority, report.c.number).in_(sorted(set(numbers)))
    rows = connection.execute(select(*_COLUMNS).where(wanted))
    found = [_filed(row) for row in rows]
    return {one.key: one for one in found}


def _filed(row: Row[Any]) -> FiledReport:
    return FiledReport(**row._mapping)


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
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        done = connection.execute(
            dialect.insert(report).values(asdict(one)).on_conflict_do_nothing()
        )
        if not done.rowcount:
            raise ReportsChanged
    if numbers and connection.dialect.name != "sqlite":
        wanted = tuple_(report.c.authority, report.c.number).in_(sorted(set(numbers)))
        order = (report.c.authority, report.c.number, report.c.slot)
        connection.execute(select(report.c.pk).where(wanted).order_by(*order).with_for_update())
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
    rows = connection.execute(_BY_UNIQUE_ID.where(report.c.unique_id.in_(list(unique_ids))))
    return [_filed(row) for row in rows]
