"""What is read of the registry and the repository when a message is sent."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from xds.config import Config
from xds.messaging.outbound import records
from xds.messaging.outbound.building import DocumentToSend
from xds.messaging.outbound.destination import ChangeToTell, Destination
from xds.messaging.outbound.records import KNOWN_THERE, OutboundMessage
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, equal
from xds.metadata.objects import DocumentEntry
from xds.notification import told
from xds.outgoing.delivery import NotDelivered, Undeliverable
from xds.registry import events
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import EVERYTHING
from xds.repository import index
from xds.repository.index import IndexedDocument
from xds.repository.reading import RegisteredDocuments
from xds.repository.store import DocumentNotFound, StoreError, open_store

_PRELIMINARY: Final = '"docStatus":"preliminary"'
_ADDITIONS: Final = frozenset({v.APND})
_LONGEST_CHAIN: Final = 100


class NotToBeSent(Exception):
    """Nothing is left to be sent: a newer message of the document says it all."""


@dataclass(frozen=True, slots=True)
class DocumentsToSend:
    """The documents of the repository here, with their metadata."""

    documents: RegisteredDocuments | None
    """None where this server has no repository."""

    @classmethod
    def open(cls, config: Config) -> "DocumentsToSend":
        """Open the store of the options."""
        if config.serve_repository == "no":
            return cls(None)
        return cls(RegisteredDocuments(open_store(config.documents_url, config.documents_settings)))

    def read(
        self, connection: Connection, destination: Destination, message: OutboundMessage
    ) -> DocumentToSend:
        """Read the document of a message as it is now.

        NotToBeSent where a newer message says all; Undeliverable where the document is not here.
        """
        view = RegistryView(connection, told.MOST_OBJECTS, EVERYTHING)
        latest = view.find(DocumentEntry, [equal("logical_id", [message.logical_id])])
        entry = latest[0].thing if latest else None
        if message.change == "merged":
            return self._merge(connection, message, entry)
        if message.change == "withdrawn":
            if not _is_there(connection, message):
                entry = self._parent(view, connection, message)
                if entry is None or not _is_known(connection, message, entry):
                    raise NotToBeSent
            entry = entry or _past(connection, message.entry_uuid)
        elif entry is None or entry.availability_status != v.APPROVED:
            raise NotToBeSent
        if entry is None:
            raise Undeliverable("nothing is left of the document")
        preliminary = is_preliminary(entry)
        if preliminary and not destination.preliminary:
            raise NotToBeSent
        parent = None
        if message.change in ("replaced", "appended"):
            parent = self._parent(view, connection, message)
        return DocumentToSend(
            entry=entry,
            parent=parent,
            change=_change(message, parent),
            blocks=None if message.change == "withdrawn" else self._blocks(connection, entry),
            is_preliminary=preliminary,
        )

    def _merge(
        self, connection: Connection, message: OutboundMessage, entry: DocumentEntry | None
    ) -> DocumentToSend:
        """Return what tells of a merge, with one of the documents of the patient."""
        found = events.after(connection, message.event - 1, until=message.event, at_most=1)
        entry = entry or _past(connection, message.entry_uuid)
        if entry is None or not found:
            raise Undeliverable("nothing is left of the patient's document")
        (merge,) = found
        both = merge.patient_id or "", merge.survivor or ""
        return DocumentToSend(entry=entry, parent=None, change="merged", blocks=None, merge=both)

    def _parent(
        self, view: RegistryView, connection: Connection, message: OutboundMessage
    ) -> DocumentEntry | None:
        """Return what a document replaces or adds to: of versions that were not sent, the next."""
        types = _ADDITIONS if message.change == "appended" else v.REPLACEMENTS
        uuid = message.entry_uuid
        for _ in range(_LONGEST_CHAIN):
            wanted = [
                one.target
                for one in view.every_version.relations([uuid])
                if one.association_type in types
            ]
            found = view.find(DocumentEntry, [equal("logical_id", wanted)]) if wanted else []
            if not found:
                return None
            parent = found[0].thing
            if message.change == "appended" or not _was_left_out(connection, message, parent):
                return parent
            uuid = parent.logical_id or parent.id
        return None

    def _blocks(
        self, connection: Connection, entry: DocumentEntry
    ) -> Callable[[], Iterable[bytes]]:
        unique_id = entry.unique_id or ""
        held = index.find(connection, [unique_id]).get(unique_id)
        if self.documents is None or held is None:
            raise Undeliverable("the document is not in the repository here")
        documents = self.documents
        return lambda: _read(documents, held)


def _is_there(connection: Connection, message: OutboundMessage) -> bool:
    """Tell whether the destination has a document, or once had it where the message is replayed."""
    last = records.last_known(connection, message.destination, message.logical_id)
    return last is not None and (message.is_replay or last != "withdrawn")


def _states(
    connection: Connection, message: OutboundMessage, entry: DocumentEntry
) -> frozenset[str]:
    return records.states_of(connection, message.destination, entry.logical_id or entry.id)


def _is_known(connection: Connection, message: OutboundMessage, entry: DocumentEntry) -> bool:
    return not KNOWN_THERE.isdisjoint(_states(connection, message, entry))


def _was_left_out(connection: Connection, message: OutboundMessage, entry: DocumentEntry) -> bool:
    """Tell whether a document was not sent; one without a record may be known from before."""
    states = _states(connection, message, entry)
    return bool(states) and KNOWN_THERE.isdisjoint(states)


def _change(message: OutboundMessage, parent: DocumentEntry | None) -> ChangeToTell:
    """Return what the message tells: a document whose parent was never sent is a new one."""
    return "registered" if message.change == "replaced" and parent is None else message.change


def is_preliminary(entry: DocumentEntry) -> bool:
    """Tell whether a report is not final yet, as its docStatus says."""
    return any(_PRELIMINARY in value.replace(" ", "") for value in entry.fhir_elements)


def _past(connection: Connection, entry_uuid: str) -> DocumentEntry | None:
    """Return a document that was removed."""
    found = told.objects(connection, DocumentEntry, [entry_uuid], ANYTHING).get(entry_uuid)
    thing = None if found is None else found.thing
    return thing if isinstance(thing, DocumentEntry) else None


def _read(documents: RegisteredDocuments, held: IndexedDocument) -> Iterator[bytes]:
    try:
        with closing(documents.open(held)) as reader:
            yield from reader
    except DocumentNotFound:
        raise Undeliverable("the document is gone") from None
    except StoreError as error:
        raise NotDelivered(type(error).__name__, refused=True) from None
