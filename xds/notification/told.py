"""What a subscriber is told: notifications with their objects, as the policy lets it see them now.

Objects are read from the registry of this moment. What was removed meanwhile is read from the event
of its removal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import Connection, bindparam, select

from xds.database.reading import fetch
from xds.metadata.criteria import Criterion, evaluate, is_anything, of_patient
from xds.metadata.objects import DocumentEntry, MetadataObject
from xds.notification.model import NotificationKind, Subscription
from xds.notification.rights import Rights
from xds.notification.tables import notification
from xds.registry import events
from xds.registry.queries.search import Columns, Search
from xds.registry.queries.views import Found, RegistryView, found_of
from xds.registry.queries.visibility import Visibility
from xds.registry.storage.fragments import FoundObject, parsed
from xds.registry.tables import TABLES

MOST_OBJECTS: Final = 10_000
"""Objects that are read at once."""

_IDS: Final = UUID("2f3cf0f5-4d3c-5c58-9d5e-0f6f8f0a6b1e")


def notification_id(subscription: str, number: int) -> str:
    """Return the id of a notification: a UUID that follows from subscription and number."""
    return str(uuid5(_IDS, f"{subscription} {number}"))


@dataclass(frozen=True)
class NotifiedObject:
    """An object that a notification is about."""

    kind: type[MetadataObject]
    entry_uuid: str
    found: FoundObject | None = None
    """The object with its metadata; None where there is nothing left of it."""
    registered: Found[Any] | None = None
    """The same with what the registry knows of it; None where it was removed."""

    @property
    def was_removed(self) -> bool:
        """Whether the registry does not have it any more."""
        return self.registered is None

    @cached_property
    def thing(self) -> MetadataObject | None:
        """Its metadata."""
        if self.registered is not None:
            thing: MetadataObject = self.registered.thing
            return thing
        return None if self.found is None else parsed([self.found])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing that a subscriber is told, before a protocol renders it."""

    subscription: Subscription
    kind: NotificationKind
    id: str
    """A UUID. That of an EVENT is the same whenever and by whatever way it is told."""
    number: int
    """That of an EVENT; of the last EVENT otherwise, 0 where there was none."""
    at: int = 0
    """When it happened, in milliseconds since 1970."""
    change: str = ""
    """The kind of event; empty where it is no EVENT."""
    objects: Sequence[NotifiedObject] = ()
    """Those that the subscriber may see by now; there may be none."""


@dataclass(frozen=True, slots=True)
class RenderedNotification:
    """What goes on the wire."""

    content: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the subscription's secrets."""
    method: str = "POST"
    path: str = ""
    """What follows the address of the subscription behind a slash; empty for nothing."""


_N: Final = notification.c
_AFTER: Final = (
    select(_N.number, _N.change, _N.at, _N.objects)
    .where(
        _N.subscription == bindparam("of"),
        _N.number > bindparam("after"),
        _N.number <= bindparam("until"),
    )
    .order_by(_N.number)
    .limit(bindparam("most"))
)
_NUMBERS: Final = (
    select(_N.number)
    .where(
        _N.subscription == bindparam("of"),
        _N.number >= bindparam("since"),
        _N.number <= bindparam("until"),
    )
    .order_by(_N.number)
    .limit(bindparam("most"))
)


def numbers_kept(
    connection: Connection, key: int, since: int, until: int, at_most: int
) -> list[int]:
    """Return the numbers of a subscription's notifications from one to another that are kept."""
    asked = {"of": key, "since": since, "until": until, "most": at_most}
    return list(connection.scalars(_NUMBERS, asked))


def view_of(connection: Connection, one: Subscription, rights: Rights) -> RegistryView:
    """Return the registry as a subscriber may see it, every version of it."""
    visible = rights.visible(one.transaction, one.caller)
    return RegistryView(connection, MOST_OBJECTS, Visibility.of(visible), versions=True)


def after(
    connection: Connection,
    one: Subscription,
    rights: Rights,
    number: int,
    until: int | None,
    at_most: int,
) -> list[Notification]:
    """Return the notifications of a subscription that follow a number, up to another one."""
    last = one.numbered if until is None else min(until, one.numbered)
    asked = {"of": one.key, "after": number, "until": last, "most": at_most}
    rows = [_Kept(*row) for row in fetch(connection, _AFTER, asked)]
    visible = rights.visible(one.transaction, one.caller)
    uuids = dict.fromkeys(uuid for row in rows for uuid in row.objects.split())
    found = objects(connection, one.topic.kind, list(uuids), visible)
    return [_notification(one, row, found) for row in rows]


class _Kept(NamedTuple):
    """What is kept of a notification."""

    number: int
    change: str
    at: int
    objects: str


def _notification(
    one: Subscription, row: _Kept, found: Mapping[str, NotifiedObject]
) -> Notification:
    return Notification(
        subscription=one,
        kind=NotificationKind.EVENT,
        id=notification_id(one.id, row.number),
        number=row.number,
        at=row.at,
        change=row.change,
        objects=[found[uuid] for uuid in row.objects.split() if uuid in found],
    )


def objects(
    connection: Connection, kind: type[MetadataObject], uuids: Sequence[str], visible: Criterion
) -> Mapping[str, NotifiedObject]:
    """Return those of some objects that may be seen, by their entryUUIDs.

    What is not in the registry any more, nor in the event of its removal, has no metadata; it is
    returned only to whoever may see everything.
    """
    there = registered(connection, kind, uuids)
    seen = {one.found.entry_uuid for one in _visible(connection, kind, there.values(), visible)}
    gone = [uuid for uuid in uuids if uuid not in there]
    told = {uuid: NotifiedObject(kind, uuid, one.found, one) for uuid, one in there.items()}
    kept = {uuid: one for uuid, one in told.items() if uuid in seen}
    for one in events.removed(connection, kind, gone):
        past = NotifiedObject(kind, one.entry_uuid, one)
        if is_visible(past, visible):
            kept[past.entry_uuid] = past
    return kept


def registered(
    connection: Connection, kind: type[MetadataObject], uuids: Iterable[str]
) -> Mapping[str, Found[Any]]:
    """Return what is registered under some entryUUIDs, whoever may see it."""
    search = Search(connection, Columns.REGISTERED, MOST_OBJECTS, Visibility())
    rows = search.rows_in(TABLES[kind], "entry_uuid", uuids)
    found: list[Found[Any]] = [found_of(kind, row) for row in rows]
    return {one.found.entry_uuid: one for one in found}


def is_visible(past: NotifiedObject, visible: Criterion) -> bool:
    """Tell whether an object that was removed may be seen."""
    if is_anything(visible):
        return True
    thing = past.thing
    assert thing is not None, "the event of a removal has the object"
    of_patients = of_patient(visible)
    if isinstance(thing, DocumentEntry) and thing.on_demand_form and visible != of_patients:
        return False  # whether its original was seen nobody knows any more
    return evaluate(visible if past.kind is DocumentEntry else of_patients, thing)


def _visible(
    connection: Connection,
    kind: type[MetadataObject],
    found: Iterable[Found[Any]],
    visible: Criterion,
) -> Iterable[Found[Any]]:
    """Return those of some registered objects that may be seen."""
    asked = list(found)
    if is_anything(visible) or not asked:
        return asked
    search = Search(connection, Columns.REFERENCE, MOST_OBJECTS, Visibility.of(visible))
    seen = {
        one.entry_uuid
        for one in search.objects_in(
            TABLES[kind], "entry_uuid", [one.found.entry_uuid for one in asked]
        )
    }
    return [one for one in asked if one.found.entry_uuid in seen]
