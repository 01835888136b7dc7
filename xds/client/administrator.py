"""The Document Administrator: updates metadata, and removes metadata and documents.

An update is a submission that brings the next version of an entry (:func:`update_of`) or another
status (:func:`status_change_of`). What goes with a document when it is removed, a registry tells
(:func:`removal_of`): entries in all versions, the Associations that touch them, and SubmissionSets
of which nothing is left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from xds.client import messages
from xds.client.answers import QueryResponse, RegistryResponse
from xds.client.consumer import DocumentConsumer
from xds.client.errors import TransactionRefused
from xds.client.messages import (
    REMOVE_DOCUMENTS,
    REMOVE_METADATA,
    RESTRICTED_UPDATE,
    UPDATE,
    Operation,
)
from xds.client.submitting import submission_of
from xds.closing import Closing
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.document_request import DocumentRequest
from xds.metadata.ebrim import escape
from xds.metadata.objects import Association, DocumentEntry, MetadataObject
from xds.metadata.submission import Submission
from xds.outgoing.transport import HttpEndpoint, Settings

_ALL_VERSIONS: Final = 2
"""$MetadataLevel; a registry without the option passes it over, and has one version of each."""


class DocumentAdministrator(Closing):
    """The Document Administrator of any XDS.b server (ITI TF-1, supplements MU, RMU and RMD).

    ``repository_url`` is needed for ``remove_documents`` alone. Close it, or use it as a context
    manager. Every method raises ClientError where it is refused.
    """

    def __init__(
        self,
        registry_url: str | None = None,
        repository_url: str | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()
        self._registry = HttpEndpoint(registry_url, settings) if registry_url else None
        self._repository = HttpEndpoint(repository_url, settings) if repository_url else None

    def update(self, submission: Submission) -> RegistryResponse:
        """Update metadata (ITI-57)."""
        return self._sent(self._registry, UPDATE, submission.render())

    def restricted_update(self, submission: Submission) -> RegistryResponse:
        """Update attributes of DocumentEntries that may change (ITI-92)."""
        return self._sent(self._registry, RESTRICTED_UPDATE, submission.render())

    def remove_metadata(self, entry_uuids: Iterable[str]) -> RegistryResponse:
        """Remove registered objects, all of them or none (ITI-62)."""
        refs = "".join(f'<rim:ObjectRef id="{escape(uuid)}"/>' for uuid in entry_uuids)
        body = (
            f'<lcm:RemoveObjectsRequest xmlns:lcm="{v.NS_LCM}" xmlns:rim="{v.NS_RIM}">'
            f"<rim:ObjectRefList>{refs}</rim:ObjectRefList></lcm:RemoveObjectsRequest>"
        )
        return self._sent(self._registry, REMOVE_METADATA, body)

    def remove_documents(
        self, requests: Iterable[DocumentRequest | DocumentEntry]
    ) -> RegistryResponse:
        """Remove documents from their repository (ITI-86): after their metadata, as a rule."""
        asked = (
            DocumentRequest.of(one) if isinstance(one, DocumentEntry) else one for one in requests
        )
        listed = "".join(
            "<xds:DocumentRequest>"
            f"<xds:RepositoryUniqueId>{escape(one.repository_unique_id)}</xds:RepositoryUniqueId>"
            f"<xds:DocumentUniqueId>{escape(one.document_unique_id)}</xds:DocumentUniqueId>"
            "</xds:DocumentRequest>"
            for one in asked
        )
        body = (
            f'<rmd:RemoveDocumentsRequest xmlns:rmd="{v.NS_RMD}" xmlns:xds="{v.NS_XDS}">'
            f"{listed}</rmd:RemoveDocumentsRequest>"
        )
        return self._sent(self._repository, REMOVE_DOCUMENTS, body)

    def _sent(
        self, endpoint: HttpEndpoint | None, operation: Operation, body: str
    ) -> RegistryResponse:
        if endpoint is None:
            raise ValueError(f"a DocumentAdministrator without that URL cannot do {operation.name}")
        with messages.posted(endpoint, operation, body) as received:
            response = RegistryResponse.read(received.body)
            received.finish()
        if not response.is_success:
            raise TransactionRefused(operation.name, response)
        return response

    def close(self) -> None:
        """Close the connections."""
        for endpoint in (self._registry, self._repository):
            if endpoint is not None:
                endpoint.close()


# --- updates -------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """An attribute that an update changes."""

    attribute: str
    """Its TF name."""
    before: str
    after: str


def next_version(entry: DocumentEntry, **changes: object) -> DocumentEntry:
    """Return the next version of a registered entry; ``changes`` are declared attributes."""
    new = ebrim.changed(
        entry,
        id=ebrim.new_uuid(),
        lid=entry.lid or entry.id,
        status=None,
        version_info=None,
        classifications=tuple(
            ebrim.changed(one, id=ebrim.new_uuid()) for one in entry.classifications
        ),
        external_identifiers=tuple(
            ebrim.changed(one, id=ebrim.new_uuid()) for one in entry.external_identifiers
        ),
    )
    return _of_one_owner(new.updated(**changes))


def _of_one_owner(entry: DocumentEntry) -> DocumentEntry:
    return ebrim.changed(
        entry,
        classifications=tuple(
            ebrim.changed(one, classifiedObject=entry.id) for one in entry.classifications
        ),
        external_identifiers=tuple(
            ebrim.changed(one, registryObject=entry.id) for one in entry.external_identifiers
        ),
    )


def update_of(
    old: DocumentEntry, new: DocumentEntry, *, propagates: bool = True, **attributes: object
) -> Submission:
    """Return the submission that makes one entry the next version of another (ITI-57, ITI-92).

    ``propagates`` tells whether its Folders and relationships are to hold for the new version;
    ``attributes`` are those of the SubmissionSet.
    """
    submission = submission_of([new], **attributes)
    propagation = v.PROPAGATED if propagates else v.NOT_PROPAGATED
    return submission.with_objects(
        one.updated(previous_version=old.version or "1", association_propagation=propagation)
        if isinstance(one, Association)
        else one
        for one in submission.objects
    )


def status_change_of(old: DocumentEntry, status: str, **attributes: object) -> Submission:
    """Return the submission that gives a registered entry another status (ITI-57)."""
    submission = submission_of([old], **attributes)
    trigger = Association.create(
        association_type=v.UPDATE_AVAILABILITY_STATUS,
        source=submission.submission_set.id,
        target=old.id,
        original_status=old.availability_status or v.APPROVED,
        new_status=status,
    )
    return Submission((submission.submission_set, trigger))


def differences(old: MetadataObject, new: MetadataObject) -> list[Difference]:
    """Return the attributes in which two versions differ, in the order of their declaration."""
    found = []
    for attribute in type(old).attributes().values():
        before, after = (", ".join(attribute.texts(one)) for one in (old, new))
        if before != after and attribute.tf_name not in _OF_VERSIONS:
            found.append(Difference(attribute.tf_name, before, after))
    return found


_OF_VERSIONS: Final = frozenset({"entryUUID", "availabilityStatus", "logicalID"})


# --- removals ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocumentRemoval:
    """What goes together."""

    objects: tuple[MetadataObject, ...]
    """What ITI-62 removes."""
    documents: tuple[DocumentRequest, ...]
    """What ITI-86 removes afterwards."""

    @property
    def entry_uuids(self) -> Sequence[str]:
        """The entryUUIDs of the objects."""
        return [one.id for one in self.objects]


def removal_of(consumer: DocumentConsumer, unique_ids: Sequence[str]) -> DocumentRemoval:
    """Return all that has to go with documents; raises ClientError where a query is refused.

    Nothing is left that refers to it, and no SubmissionSet that holds nothing.
    """
    entries: dict[str, DocumentEntry] = {}
    for unique_id in unique_ids:
        parameters = {"$XDSDocumentEntryUniqueId": (unique_id,)}
        for one in _asked(consumer, v.GET_DOCUMENTS, parameters).document_entries:
            entries[one.id] = one
    gone: dict[str, MetadataObject] = dict(entries)
    frontier = list(entries)
    while frontier:  # memberships of Folders have HasMembers of their own
        touching = list(_associations(consumer, frontier))
        frontier = [one.id for one in touching if one.id not in gone]
        gone.update({one.id: one for one in touching})
    gone.update({one.id: one for one in _emptied(consumer, gone)})
    documents = {DocumentRequest.of(one): None for one in entries.values()}
    return DocumentRemoval(tuple(gone.values()), tuple(documents))


def _asked(
    consumer: DocumentConsumer, query_id: str, parameters: Mapping[str, Sequence[str]]
) -> QueryResponse:
    return consumer.stored_query(query_id, {**parameters, "$MetadataLevel": _ALL_VERSIONS})


def _associations(consumer: DocumentConsumer, uuids: Sequence[str]) -> Iterator[Association]:
    found = _asked(consumer, v.GET_ASSOCIATIONS, {"$uuid": uuids})
    yield from (one for one in found.objects if isinstance(one, Association))


def _emptied(
    consumer: DocumentConsumer, gone: dict[str, MetadataObject]
) -> Iterator[MetadataObject]:
    """Yield the SubmissionSets that hold nothing but what goes."""
    sources = {one.source for one in gone.values() if isinstance(one, Association)}
    uuids = [one.target for one in gone.values() if isinstance(one, Association)]
    found = _asked(consumer, v.GET_SUBMISSION_SETS, {"$uuid": uuids}) if uuids else None
    for submission_set in found.submission_sets if found is not None else ():
        if submission_set.id not in sources:
            continue
        held = _associations(consumer, [submission_set.id])
        if all(one.id in gone for one in held):
            yield submission_set


__all__ = [
    "Difference",
    "DocumentAdministrator",
    "DocumentRemoval",
    "differences",
    "next_version",
    "removal_of",
    "status_change_of",
    "update_of",
]
