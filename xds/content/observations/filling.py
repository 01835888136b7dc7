"""Results are read of documents once these are registered, and again where nobody has yet.

A subscriber of the registry's events reads each document that is new: what it writes is one commit
with the number of the last event, so nothing is left out by a crash. ``xds observations fill``
reads what was registered before.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from xds import logs
from xds.config import Config
from xds.content.observations.stored import MOST_OBSERVATIONS, READER, stored
from xds.content.reading import kinds
from xds.content.reading.deployment import rules_of
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules
from xds.database.access import Database
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry
from xds.metadata.systems import Systems
from xds.registry import events
from xds.registry.events import Event
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import EVERYTHING
from xds.registry.storage import observations
from xds.registry.storage.fragments import parsed
from xds.registry.storage.observations import ReadingOutcome, ReadResults
from xds.registry.subscribers import Reaction, Subscriber
from xds.repository import index
from xds.repository.index import IndexedDocument
from xds.repository.reading import RegisteredDocuments
from xds.repository.store import DocumentDamaged, DocumentNotFound, open_store

NAME: Final = "observations"
"""The subscriber of events."""
MOST_BYTES: Final = 16 << 20
"""Of a document that is read for its results."""
_BEGINNING: Final = 4096
"""Bytes that tell whether a larger document might have had results."""
_MOST_FOUND: Final = 1_000
_PAGE: Final = 50

_log = logs.get_logger(__name__)


class _Nothing(Exception):
    """Why no results are stored of a document."""

    def __init__(self, outcome: ReadingOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class ResultReader:
    """Reads the results of documents in the repository here."""

    documents: RegisteredDocuments | None
    """None where this server has no repository."""
    rules: ReadingRules

    @classmethod
    def open(cls, config: Config) -> "ResultReader":
        """Open the store of the options; StoreUnavailable."""
        rules = rules_of(config, Systems.read(config.identifier_systems))
        if config.serve_repository == "no":
            return cls(None, rules)
        store = open_store(config.documents_url, config.documents_settings)
        return cls(RegisteredDocuments(store), rules)

    def results(self, connection: Connection, entry_uuids: Sequence[str]) -> Iterator[ReadResults]:
        """Yield what came of reading the documents of entries; StoreUnavailable.

        Of what is not registered any more nothing is said, nor of what is made on demand.
        """
        view = RegistryView(connection, _MOST_FOUND, EVERYTHING, versions=True)
        found = view.find(DocumentEntry, [equal("entry_uuid", entry_uuids)])
        entries = [one.content for one in found]
        held = index.find(connection, [one.unique_id or "" for one in entries])
        for entry in entries:
            if not entry.is_on_demand:
                document = held.get(entry.unique_id or "")
                yield self._of_document(entry, document)

    def _of_document(self, entry: DocumentEntry, document: IndexedDocument | None) -> ReadResults:
        logical_id = entry.logical_id or entry.id
        try:
            data = self._bytes(document)
            outcome: ReadingOutcome = "read"
            found = _observations(data, entry.mime_type or "", self.rules)
        except _Nothing as reason:
            outcome, found = reason.outcome, ()
        return ReadResults(
            logical_id=logical_id, outcome=outcome, reader=READER, observations=found
        )

    def _bytes(self, document: IndexedDocument | None) -> bytes:
        """Return a document that may have results; nothing of any other."""
        if document is None or self.documents is None:
            raise _Nothing("elsewhere")
        try:
            if document.size <= MOST_BYTES:
                with closing(self.documents.open(document)) as blocks:
                    return kinds.markup_in(blocks)
            with closing(self.documents.open(document, 0, _BEGINNING)) as blocks:
                if kinds.markup_in(blocks):
                    raise _Nothing("too large")
                return b""
        except (DocumentNotFound, DocumentDamaged):
            raise _Nothing("missing") from None


def _observations(
    data: bytes, media_type: str, rules: ReadingRules
) -> tuple[observations.NewObservation, ...]:
    found: list[observations.NewObservation] = []
    try:
        for one in read(data, media_type, rules).observations():
            if len(found) == MOST_OBSERVATIONS:
                raise _Nothing("too large")
            found.append(stored(one))
    except (_Nothing, MemoryError):
        raise
    except ContentUnreadable:
        raise _Nothing("unreadable") from None
    except Exception as error:
        # one document must not keep all that come after it; its words are for no log
        _log.error("the results of a document cannot be read", error=type(error).__name__)
        raise _Nothing("unreadable") from None
    return tuple(found)


def subscriber(config: Config, database: Database) -> Subscriber | None:
    """Return the subscriber that reads what is new; None where the options want no results."""
    if config.observations == "off":
        return None
    reader = ResultReader.open(config)

    def react(found: Sequence[Event]) -> Reaction:
        until, new, gone = _due(found)
        if not (new or gone):
            return Reaction(is_idle=True)
        with database.read() as connection:
            results = list(reader.results(connection, new)) if new else []

        def write(connection: Connection) -> None:
            observations.write(connection, results)
            observations.forget(connection, gone)

        return Reaction(write, until=until)

    return Subscriber(NAME, react, rest_seconds=0.05)


def _due(found: Sequence[Event]) -> tuple[int, list[str], list[str]]:
    """Return up to which event to react now, the entries that are new, and the removed documents.

    Documents are many bytes: they are read a few at a time.
    """
    new: list[str] = []
    gone: list[str] = []
    for one in found:
        if one.object_kind != DocumentEntry.KIND or one.entry_uuid is None:
            continue
        if one.kind == events.REGISTERED:
            new.append(one.entry_uuid)
            if len(new) == _PAGE:
                return one.number, new, gone
        elif one.kind == events.REMOVED and one.removed is not None:
            (thing,) = parsed([one.removed])
            gone.append(getattr(thing, "logical_id", None) or one.entry_uuid)
    return found[-1].number, new, gone


def fill(config: Config, database: Database) -> Iterator[ReadResults]:
    """Read the documents that nobody has read, and yield what came of each once it is stored.

    It may be broken off and begun again, and servers may serve meanwhile.
    """
    reader = ResultReader.open(config)
    after = 0
    while True:
        with database.read() as connection:
            rows = observations.unread(connection, READER, after, _PAGE)
            results = list(reader.results(connection, [uuid for _, uuid in rows]))
        if not rows:
            return
        with database.write() as connection:
            observations.write(connection, results)
        yield from results
        after = rows[-1][0]
