"""Which subscription is told of which event: decided in the order of events, once for each.

The matcher is a subscriber of events (:mod:`xds.registry.subscribers`): one process at a time works
at it, never in the thread of a request. The notifications of some events and the number of the last
of these events are one commit, so each is there once, whatever process ends when.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, bindparam, update

from xds.database.access import announce
from xds.database.statements import insert_rows
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion, evaluate, is_anything
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.searched import searchable
from xds.notification import filters, numbers, rows, told
from xds.notification.index import LiveSubscriptions, MatchedSubscription
from xds.notification.subscriptions import MATCHER, TOPIC, Subscriptions
from xds.notification.tables import notification, subscription
from xds.notification.told import NotifiedObject
from xds.outgoing import queue
from xds.registry import events
from xds.registry.events import Event
from xds.registry.subscribers import Reaction, Subscriber

_GATHER_SECONDS: Final = 0.08
"""How long events gather, so that a commit is for several: each holds registrations up."""
_MOST: Final = 10_000
"""Notifications in one commit, after which no further event is looked at for it."""
_KINDS: Final[Mapping[str, type[MetadataObject]]] = {
    one.KIND: one for one in (DocumentEntry, SubmissionSet, Folder)
}
_STATUSES: Final = {
    events.REGISTERED: v.APPROVED,
    events.APPROVED: v.APPROVED,
    events.DEPRECATED: v.DEPRECATED,
}
"""The availabilityStatus that an event gives an object: it may have another one by now."""
_NUMBERED: Final = (
    update(subscription)
    .where(subscription.c.pk == bindparam("key"))
    .values(numbered=bindparam("last"), queued=bindparam("sent"))
)


@dataclass(slots=True)
class _Told:
    """A notification about to be written."""

    event: int
    """The number of its first event."""
    change: str
    at: str
    objects: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Matches:
    """The notifications that some events come to, in their order."""

    of: dict[int, list[_Told]] = field(default_factory=lambda: defaultdict(list))
    """By the keys of subscriptions."""
    count: int = 0
    _grouped: dict[tuple[int, str, str], _Told] = field(default_factory=dict)

    def add(self, one: MatchedSubscription, event: Event) -> None:
        """Tell a subscription of an event."""
        assert event.entry_uuid is not None, "it is of an object"
        group = (one.key, event.submission_set or "", event.kind)
        is_grouped = one.topic.is_grouped and event.submission_set is not None
        if is_grouped and group in self._grouped:
            self._grouped[group].objects.append(event.entry_uuid)
            return
        new = _Told(event.number, event.kind, event.at, [event.entry_uuid])
        self.of[one.key].append(new)
        self._grouped[group] = new
        self.count += 1


class Matcher:
    """Decides what is told to whom, for one process."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions
        self._database = subscriptions.database
        self._live = LiveSubscriptions()

    def subscriber(self) -> Subscriber:
        """Return what reads the events."""
        return Subscriber(MATCHER, self.react, rest_seconds=_GATHER_SECONDS)

    def react(self, found: Sequence[Event]) -> Reaction:
        """Match events in their order."""
        with self._database.read() as connection:
            # of a state that is no older than the events: who has subscribed before, is there
            self._live.refresh(connection)
            if not len(self._live):
                return Reaction(is_idle=True)
            merges = _Merges(found)
            candidates = [one for one in found if self._is_candidate(one, merges)]
            things = _Things(connection, candidates) if candidates else None
            matches = _Matches()
            until = None
            for event in candidates:
                assert things is not None
                self._match(connection, event, things, merges, matches)
                if matches.count >= _MOST:
                    until = event.number
                    break
        moved = merges.concerning(self._live, until)
        if not (matches.of or moved):
            return Reaction(is_idle=True, until=until)
        return Reaction(lambda written: self._write(written, matches, moved), until=until)

    def _is_candidate(self, event: Event, merges: "_Merges") -> bool:
        if event.entry_uuid is None:
            return False
        patient_ids = merges.names(event)
        return self._live.may_match(event.object_kind, event.kind, patient_ids)

    def _match(
        self,
        connection: Connection,
        event: Event,
        things: "_Things",
        merges: "_Merges",
        matches: _Matches,
    ) -> None:
        kind = _KINDS[event.object_kind]
        status = _STATUSES.get(event.kind)
        known = {} if status is None else {"availability_status": status}
        chosen: dict[int, MatchedSubscription] = {}
        for patient_id in merges.names(event):
            as_then = {**known, "patient_id": searchable(patient_id)}
            for one in self._live.matching(event.kind, kind, as_then, partial(things.thing, event)):
                if one.begins is not None and one.begins < event.number:
                    chosen[one.key] = one
        sight = _Sight(connection, kind, partial(things.of, event))
        rights = self._subscriptions.rights
        for one in chosen.values():
            if sight.sees(rights.visible(one.transaction, one.caller)):
                matches.add(one, event)

    def _write(
        self, connection: Connection, matches: _Matches, moved: Mapping[int, Mapping[str, str]]
    ) -> None:
        """Number the notifications and put them into the queue, as far as they have room there."""
        written: list[dict[str, Any]] = []
        numbered: list[dict[str, int]] = []
        deliveries = []
        for row in rows.locked(connection, {*matches.of, *moved}):
            own = [one for one in matches.of.get(row.pk, ()) if _is_told(row, one)]
            last = row.numbered + len(own)
            sent = numbers.fits(row, numbered=last)
            written += map(_row, [row.pk] * len(own), range(row.numbered + 1, last + 1), own)
            numbered.append({"key": row.pk, "last": last, "sent": sent})
            deliveries += numbers.deliveries(row, range(row.queued + 1, sent + 1))
            if row.pk in moved:
                text = filters.dumped(filters.with_survivor(rows.filter_of(row), moved[row.pk]))
                revision = rows.next_revision(connection)
                rows.changed(connection, row.pk, filter=text, revision=revision)
        if numbered:
            connection.execute(_NUMBERED, numbered)
        insert_rows(connection, notification, written)
        queue.enqueue(self._database, connection, deliveries)
        announce(connection, TOPIC)


def _is_told(row: Any, one: _Told) -> bool:
    """Tell whether a subscription still asks for it, as its row is in the commit."""
    return row.begins is not None and row.begins < one.event


def _row(key: int, number: int, one: _Told) -> dict[str, Any]:
    moment = datetime.strptime(one.at, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return {
        "subscription": key,
        "number": number,
        "event": one.event,
        "change": one.change,
        "at": round(moment.timestamp() * 1000),
        "objects": " ".join(one.objects),
    }


class _Things:
    """The objects of some events, read together, and not before one is asked for."""

    def __init__(self, connection: Connection, found: Sequence[Event]) -> None:
        self._connection = connection
        self._told: dict[str, NotifiedObject] = {}
        self._wanted: dict[type[MetadataObject], dict[str, None]] = defaultdict(dict)
        for one in found:
            kind = _KINDS[one.object_kind]
            assert one.entry_uuid is not None, "it is of an object"
            if one.removed is not None:
                self._told[one.entry_uuid] = NotifiedObject(kind, one.entry_uuid, one.removed)
            else:
                self._wanted[kind][one.entry_uuid] = None

    def of(self, event: Event) -> NotifiedObject | None:
        """Return the object of an event; None where there is nothing of it any more."""
        if event.removed is None and (uuids := self._wanted.pop(_KINDS[event.object_kind], None)):
            self._read(_KINDS[event.object_kind], [one for one in uuids if one not in self._told])
        return self._told.get(event.entry_uuid or "")

    def thing(self, event: Event) -> MetadataObject | None:
        """Return its metadata."""
        past = self.of(event)
        return None if past is None else past.thing

    def _read(self, kind: type[MetadataObject], uuids: Sequence[str]) -> None:
        there = told.registered(self._connection, kind, uuids)
        for uuid, one in there.items():
            self._told[uuid] = NotifiedObject(kind, uuid, one.found, one)
        gone = [one for one in uuids if one not in there]
        for past in events.removed(self._connection, kind, gone):
            self._told[past.entry_uuid] = NotifiedObject(kind, past.entry_uuid, past)


class _Sight:
    """Who may see one object; each criterion is decided once."""

    def __init__(
        self,
        connection: Connection,
        kind: type[MetadataObject],
        read: Callable[[], NotifiedObject | None],
    ) -> None:
        self._connection = connection
        self._kind = kind
        self._read = read
        self._decided: dict[Criterion, bool] = {}

    def sees(self, visible: Criterion) -> bool:
        """Tell whether it may be seen by those to whom that much is visible."""
        if is_anything(visible):
            return True
        if visible not in self._decided:
            self._decided[visible] = self._decide(visible)
        return self._decided[visible]

    def _decide(self, visible: Criterion) -> bool:
        past = self._read()
        if past is None:
            return False
        if past.was_removed:
            return told.is_visible(past, visible)
        if self._kind is DocumentEntry:
            assert isinstance(past.thing, DocumentEntry), "it is registered"
            # a form is seen only by who may see its original, which the registry knows
            if not past.thing.on_demand_form:
                return evaluate(visible, past.thing)
        return past.entry_uuid in told.objects(
            self._connection, self._kind, [past.entry_uuid], visible
        )


class _Merges:
    """The merges of patients among some events."""

    def __init__(self, found: Iterable[Event]) -> None:
        self._found = [
            (one.number, searchable(one.patient_id), searchable(one.survivor))
            for one in found
            if one.kind == events.PATIENT_MERGED and one.patient_id and one.survivor
        ]

    def names(self, event: Event) -> list[str]:
        """Return the ids by which subscriptions may know the patient of an event.

        Those that were merged into it before the event have subscriptions that are not moved yet.
        """
        names = [searchable(event.patient_id or "")]
        for number, subsumed, survivor in reversed(self._found):
            if number < event.number and survivor in names:
                names.append(subsumed)
        return names

    def concerning(
        self, live: LiveSubscriptions, until: int | None
    ) -> Mapping[int, Mapping[str, str]]:
        """Return which subscriptions name patients who were merged, and who survives each."""
        survivors: dict[str, str] = {}
        for number, subsumed, survivor in self._found:
            if until is None or number <= until:
                survivors = {
                    one: survivor if last == subsumed else last for one, last in survivors.items()
                }
                survivors[subsumed] = survivor
        return {key: survivors for one in survivors for key in live.of_patient(one)}
