"""Which destination is told of which change: decided in the order of events, once for each.

The decisions about some events and the number of the last of these are one commit
(:mod:`xds.registry.subscribers`), so each message is there once, whatever process ends when.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection

from xds.config import Config
from xds.database.access import Database
from xds.messaging.outbound import destinations_file, merging, records
from xds.messaging.outbound.destination import ChangeToTell, Destination
from xds.messaging.outbound.origins import DocumentOrigin, origins
from xds.messaging.outbound.records import NewOutbound, OutboundState
from xds.messaging.outbound.rules import known_of
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, equal, evaluate
from xds.metadata.objects import DocumentEntry
from xds.notification import told
from xds.notification.told import NotifiedObject
from xds.registry import events, patient_links
from xds.registry.events import Event
from xds.registry.patient_links import KnownDetails
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import EVERYTHING
from xds.registry.subscribers import Reaction, Subscriber

NAME: Final = "destinations"
"""The subscriber of events."""

_OF_EVENTS: Final[Mapping[str, ChangeToTell]] = {
    events.REGISTERED: "registered",
    events.APPROVED: "registered",
    events.UPDATED: "updated",
    events.DEPRECATED: "withdrawn",
    events.REMOVED: "withdrawn",
}


_NOWHERE: Final = DocumentOrigin()
_UNKNOWN: Final = KnownDetails()


def subscriber(config: Config, database: Database) -> Subscriber | None:
    """Return the subscriber that tells destinations; None where the options have none."""
    if config.destinations is None:
        return None
    destinations = destinations_file.read(config.destinations)

    def react(found: Sequence[Event]) -> Reaction:
        with database.read() as connection:
            decided = list(decisions(connection, destinations, found))
        if not decided:
            return Reaction(is_idle=True)
        return Reaction(lambda writing: records.write(database, writing, decided))

    return Subscriber(NAME, react, rest_seconds=0.02)


def decisions(
    connection: Connection,
    destinations: Sequence[Destination],
    found: Sequence[Event],
    *,
    is_replay: bool = False,
) -> Iterator[NewOutbound]:
    """Yield what is decided about events, for each destination that is told such changes.

    That a document is withdrawn is told to who has it, whatever the rules say of it by now, and
    also where it is replaced by one that the rules do not choose.
    """
    changes = _Changes(connection, found)
    sets = dict.fromkeys(one.submission_set for one in found if one.submission_set)
    brought = origins(connection, list(sets))
    patients = patient_links.details(connection, changes.patients)
    held = dict(records.held(connection, changes.ending))
    for event in found:
        yield from merging.decisions(connection, destinations, event, is_replay=is_replay)
        told_as, entry = changes.change(event), changes.entry(event)
        if told_as is None or entry is None:
            continue
        logical_id = entry.logical_id or entry.id
        origin = brought.get(event.submission_set or "", _NOWHERE)
        patient = patients.get(event.patient_id or "", _UNKNOWN)
        for one in destinations:
            if told_as not in one.changes:
                continue
            key = (one.name, logical_id)
            state, rule = _decided(one, entry, origin, patient)
            change = told_as
            if state is OutboundState.NOT_CHOSEN and "withdrawn" in one.changes:
                ends = [logical_id] if change == "withdrawn" else changes.replaced_by(event)
                if had := [held[one.name, old] for old in ends if (one.name, old) in held]:
                    state, rule, change = OutboundState.WAITING, had[0], "withdrawn"
            if state is not OutboundState.NOT_CHOSEN:
                held[key] = rule
            yield NewOutbound(
                destination=one,
                event=event.number,
                change=change,
                entry_uuid=entry.id,
                logical_id=logical_id,
                patient_id=event.patient_id or "",
                rule=rule,
                state=state,
                is_replay=is_replay,
            )


def _decided(
    one: Destination, entry: DocumentEntry, origin: DocumentOrigin, patient: KnownDetails
) -> tuple[OutboundState, str]:
    """Return whether a destination is told of an entry, and by which rule."""
    if one.is_sender(origin.sender):
        return OutboundState.OWN, ""
    known = known_of(
        entry,
        practice=origin.practice or patient.practice,
        sender=origin.sender,
        postcode_known=patient.postcode,
    )
    for rule in one.rules:
        if evaluate(rule.criterion, entry, known):
            return OutboundState.WAITING, rule.name
    return OutboundState.NOT_CHOSEN, ""


class _Changes:
    """What some events are to those who have documents, read together."""

    def __init__(self, connection: Connection, found: Sequence[Event]) -> None:
        self._concerned = concerned = [one for one in found if _is_of_document(one)]
        self.uuids = list(dict.fromkeys(one.entry_uuid or "" for one in concerned))
        self.patients = list(dict.fromkeys(one.patient_id or "" for one in concerned))
        view = RegistryView(connection, told.MOST_OBJECTS, EVERYTHING, versions=True)
        self._entries = told.objects(connection, DocumentEntry, self.uuids, ANYTHING)
        self._relations: dict[str, set[str]] = {}
        self._replacing: dict[str, list[str]] = {}
        for relation in view.relations(self.uuids):
            self._relations.setdefault(relation.source, set()).add(relation.association_type)
            if relation.association_type in v.REPLACEMENTS:
                self._replacing.setdefault(relation.source, []).append(relation.target)
        self._replaced = view.replaced(self.uuids)
        self._ended = self._ended_versions(connection, concerned)

    @property
    def ending(self) -> list[str]:
        """The logicalIDs of the documents that are withdrawn or replaced."""
        entries = (self.entry(one) for one in self._concerned if self.change(one) == "withdrawn")
        found = [one.logical_id or one.id for one in entries if one is not None]
        found += [old for one in self._concerned for old in self.replaced_by(one)]
        return list(dict.fromkeys(found))

    def replaced_by(self, event: Event) -> Sequence[str]:
        """Return the documents whose place is taken by the one of an event."""
        return self._replacing.get(event.entry_uuid or "", ())

    def _ended_versions(self, connection: Connection, found: Sequence[Event]) -> frozenset[str]:
        """Return the new versions that came Deprecated, and are the latest of their documents."""
        new = [self.entry(one) for one in found if one.kind == events.UPDATED]
        ended = [one for one in new if one and one.availability_status == v.DEPRECATED]
        if not ended:
            return frozenset()
        logical_ids = [one.logical_id or one.id for one in ended]
        view = RegistryView(connection, told.MOST_OBJECTS, EVERYTHING)
        latest = view.find(DocumentEntry, [equal("logical_id", logical_ids)])
        return frozenset({one.thing.id for one in latest} & {one.id for one in ended})

    def change(self, event: Event) -> ChangeToTell | None:
        """Return what an event is to be told as; None where it is not."""
        if not _is_of_document(event):
            return None
        change = _OF_EVENTS[event.kind]
        if event.kind == events.UPDATED and event.entry_uuid in self._ended:
            return "withdrawn"
        types = self._relations.get(event.entry_uuid or "", set())
        if event.kind == events.REGISTERED and types & v.REPLACEMENTS:
            return "replaced"
        if event.kind == events.REGISTERED and v.APND in types:
            return "appended"
        if event.kind == events.DEPRECATED and event.entry_uuid in self._replaced:
            return None  # what replaces it is told
        if event.removed is not None and event.removed.availability_status != v.APPROVED:
            return None  # it was withdrawn before
        return change

    def entry(self, event: Event) -> DocumentEntry | None:
        """Return the entry of an event; None where there is nothing left of it."""
        there: NotifiedObject | None = self._entries.get(event.entry_uuid or "")
        thing = None if there is None else there.thing
        return thing if isinstance(thing, DocumentEntry) and not thing.is_on_demand else None


def _is_of_document(event: Event) -> bool:
    is_entry = event.object_kind == DocumentEntry.KIND and event.entry_uuid is not None
    return is_entry and event.kind in _OF_EVENTS
