"""Persistence of Retrieved Documents: what was retrieved is registered (ITI TF-1 10.2.10)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, equal
from xds.metadata.objects import Association, DocumentEntry
from xds.on_demand.entries import snapshot_entry, submission
from xds.on_demand.forms import FormType
from xds.registry.registry import DocumentRegistry
from xds.registry.versions import entries as versions
from xds.repository.repository import DocumentRepository
from xds.security.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What an On-Demand entry gave at some time."""

    entry: DocumentEntry
    source: DocumentEntry
    """What it was made of."""
    unique_id: str
    type: FormType
    made: str
    """DTM."""


def keep(
    registry: DocumentRegistry,
    repository: DocumentRepository,
    access: Access,
    snapshot: Snapshot,
    content: bytes,
) -> None:
    """Store a document and register it as a snapshot of its On-Demand entry.

    It takes the place of the snapshot before, and is Deprecated with the document that it was made
    of, as a transformation of that. Nothing happens where another process does the same at the same
    time. Raises TransactionFailure.
    """
    entry = snapshot_entry(snapshot.entry, snapshot.type, snapshot.unique_id, snapshot.made)
    relations = [(v.IS_SNAPSHOT_OF, snapshot.entry.id), (v.XFRM, snapshot.source.id)]
    relations += [(v.RPLC, one.id) for one in snapshots_of(registry, snapshot.entry)]
    submitted = submission(repository.unique_id, entry, relations)
    access.submits(submitted, documents=1)
    staged = repository.stage((content,))
    try:
        repository.provide_and_register(submitted, {entry.id: staged}, access.commit)
    except TransactionFailure:
        if repository.locate(snapshot.unique_id) is None:
            raise


def snapshots_of(
    registry: DocumentRegistry, entry: DocumentEntry, *, approved: bool = True
) -> list[DocumentEntry]:
    """Return the latest versions of the snapshots of an On-Demand entry, Approved or all."""
    criteria = [equal("availability_status", [v.APPROVED])] if approved else []
    with registry.view(ANYTHING) as view:
        known = view.every_version.find(DocumentEntry, [equal("logical_id", [_logical(entry)])])
        uuids = [one.found.entry_uuid for one in known]
        sources = list(dict.fromkeys(_sources(versions.associations(view.connection, uuids))))
        logical = [
            _logical(one.thing)
            for one in view.every_version.find(DocumentEntry, [equal("entry_uuid", sources)])
        ]
        found = view.find(DocumentEntry, [equal("logical_id", logical), *criteria])
        return [one.thing for one in found]


def _sources(found: Sequence[Association]) -> Iterator[str]:
    return (one.source for one in found if one.association_type == v.IS_SNAPSHOT_OF)


def _logical(entry: DocumentEntry) -> str:
    return entry.logical_id or entry.id
