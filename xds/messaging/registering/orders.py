"""The rows of orders, by which reports are correlated (LAB-1)."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, case
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from xds.database.reading import fetch
from xds.messaging.model import MessageOrder
from xds.messaging.registering.metadata import key_of
from xds.messaging.tables import message_order

CANCELLING: Final = frozenset({"CA", "DC", "OC", "OD", "CR", "DR"})
"""ORC-1 of an order that is withdrawn, or was (HL7 table 0119)."""
_KEY: Final = ("authority", "placer", "test")
_ONCE_SAID: Final = ("filler_authority", "filler", "order_group", "ordered", "requester")
_COLUMNS: Final = [one for one in message_order.c if one.name != "pk"]


def _put(insert: Callable[[Table], Any]) -> ReturningInsert[Any]:
    insertion = insert(message_order).values({one.name: bindparam(one.name) for one in _COLUMNS})
    said = insertion.excluded
    changed = {
        one.name: case((said[one.name] == "", one), else_=said[one.name])
        if one.name in _ONCE_SAID
        else said[one.name]
        for one in _COLUMNS
        if one.name not in _KEY
    }
    put = insertion.on_conflict_do_update(index_elements=list(_KEY), set_=changed)
    written: ReturningInsert[Any] = put.returning(message_order.c.pk)
    return written


_PUT: Final = {"sqlite": _put(sqlite.insert), "postgresql": _put(postgresql.insert)}
"""Adds an order, or brings it up to date: by the name of the database."""


def write(
    connection: Connection, orders: Iterable[MessageOrder], patient_id: str, message: str
) -> None:
    """Add orders, or bring those up to date that are here; what is not said stays."""
    for row in sorted(map(_row, orders), key=lambda one: tuple(one[name] for name in _KEY)):
        row |= {"patient_id": patient_id, "message": message}
        fetch(connection, _PUT[connection.dialect.name], row)


def _row(order: MessageOrder) -> dict[str, Any]:
    by = order.placer or order.filler
    authority, placer = key_of(by)
    filler_authority, filler = key_of(order.filler)
    person, organisation = order.requester, order.organisation
    return {
        "authority": authority,
        "placer": placer,
        "test": str(order.test) if order.test else "",
        "filler_authority": filler_authority,
        "filler": filler,
        "order_group": order.group.value if order.group else "",
        "control": order.control,
        "status": order.status,
        "is_cancelled": int(order.control in CANCELLING),
        "ordered": order.ordered,
        "requester": f"{person.id} {person.family} {person.given}".strip() if person else "",
        "organisation": (organisation.code or organisation.name) if organisation else "",
    }
