"""What is registered at the moment of the documents that a message concerns."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from sqlalchemy import Connection

from xds.messaging.registering.versions import FiledReport
from xds.metadata.criteria import Comparison, Operator
from xds.metadata.objects import DocumentEntry
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import EVERYTHING

_MOST: Final = 10_000


def latest(connection: Connection, known: Iterable[FiledReport]) -> Mapping[str, DocumentEntry]:
    """Return the latest versions of the documents that are filed, by uniqueId."""
    ids = tuple(one.unique_id for one in known if one.unique_id)
    if not ids:
        return {}
    view = RegistryView(connection, _MOST, EVERYTHING)
    found = view.find(DocumentEntry, [Comparison("unique_id", Operator.EQUAL, ids)])
    return {one.thing.unique_id or "": one.thing for one in found}


def standing(entries: Mapping[str, DocumentEntry]) -> set[tuple[str, str | None, str | None]]:
    """Return what of documents decides a plan, to be compared."""
    return {(key, one.version, one.availability_status) for key, one in entries.items()}


def having(connection: Connection) -> Callable[[str, str], bool]:
    """Return what tells whether a uniqueId is registered for a document of a SHA-1."""
    view = RegistryView(connection, _MOST, EVERYTHING)

    def has_content(unique_id: str, content: str) -> bool:
        wanted = Comparison("unique_id", Operator.EQUAL, (unique_id,))
        found = view.find(DocumentEntry, [wanted])
        return any(one.thing.hash == content for one in found)

    return has_content


def taken(connection: Connection) -> Callable[[str], bool]:
    """Return what tells whether a uniqueId is registered."""
    view = RegistryView(connection, _MOST, EVERYTHING, versions=True)

    def is_taken(unique_id: str) -> bool:
        wanted = Comparison("unique_id", Operator.EQUAL, (unique_id,))
        return bool(view.count(DocumentEntry, [wanted]))

    return is_taken
