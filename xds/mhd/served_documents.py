"""What is given out of documents: which there are, what never changes of them, and their bytes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from mimetypes import MimeTypes
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.fhir.http import negotiation
from xds.fhir.r4.outcome import Refused
from xds.fhir.vocabulary import UUID_URN
from xds.metadata.criteria import ANYTHING, Comparison, Criterion, Operator, is_anything
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import NotConvertible
from xds.repository.index import IndexedDocument
from xds.repository.store import BytesReader, DocumentNotFound, DocumentReader
from xds.security.access import Access
from xds.security.details import RequestedDocument, RetrieveDetails

FIRST_VERSION: Final = 'W/"1"'
"""The ETag of a Binary resource in its only version."""

_REMEMBERED: Final = 8_192
_NOWHERE: Final = "there is no document of this id"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:[ \t]*;[\x20-\x7e]*)?", re.ASCII)
_ACTIVE: Final = frozenset(
    {"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"}
)
"""Types that a browser may run scripts from, with the rights of this server's pages."""
_APART: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Neither run nor load anything: a stored document could else call home when it is opened."""
_EXTENSIONS: Final = MimeTypes(())


@dataclass(frozen=True, slots=True)
class ServedDocument:
    """What never changes of a registered document: entryUUID, bytes and type belong together."""

    identifier: str
    asked: RequestedDocument
    """Its ids, as an audit record has them."""
    held: IndexedDocument
    etag: str
    mime_type: str
    registered: int
    """In seconds."""
    headers: tuple[tuple[str, str], ...]
    content: bytes | None = None
    """Of a document that was made on demand, and is not kept: its bytes."""
    made_of: tuple[str, ...] = ()
    """The uniqueIds of the documents that it was made of."""

    @property
    def resource_etag(self) -> str:
        """The ETag of its Binary resource: of what is kept there is one version."""
        return FIRST_VERSION if self.content is None else f"W/{self.etag}"

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return self.held.size


class _MadeAtRetrieval(Exception):
    """The document of an entry is made when it is retrieved."""

    def __init__(self, entry: DocumentEntry) -> None:
        super().__init__()
        self.entry = entry


class ServedDocuments:
    """The documents by their entryUUID.

    What is known of some thousand is remembered in each process, since it cannot change: an entry
    keeps its uniqueId, repository and type, and the repository keeps a document as it is. The store
    is asked each time, so that a document which was removed is not given out. Who may see a
    document is not remembered: it is decided for each access, before. Whoever comes to remove
    metadata and to leave the document has to forget what is remembered as well.
    """

    def __init__(self, domain: AffinityDomain) -> None:
        self._domain = domain
        self._documents = domain.repository.documents
        self._remembered: Callable[[str], ServedDocument] = lru_cache(_REMEMBERED)(self._find)

    def find(self, identifier: str, access: Access) -> ServedDocument:
        """Return what is known of a document; Refused where it may not be known, or is not."""
        try:
            found = self._remembered(identifier)
        except _MadeAtRetrieval as made:
            return self._made(made.entry, identifier, access)
        except Refused:
            self._require_visible(identifier, access.visible)
            raise
        self._require_released(found.asked, access)
        access.details = RetrieveDetails((found.asked,))
        return found

    def _require_released(self, asked: RequestedDocument, access: Access) -> None:
        """Refuse as unknown a document that is withheld from the caller."""
        if self._domain.withheld([asked.document_unique_id], access.visible).unique_ids:
            access.details = RetrieveDetails((replace(asked, is_released=False),))
            raise _unknown(_NOWHERE)

    def _made(self, entry: DocumentEntry, identifier: str, access: Access) -> ServedDocument:
        """Make a document on demand, as it is now; Refused where that cannot be done."""
        asked = self._asked(entry)
        self._require_released(asked, access)
        access.details = RetrieveDetails((replace(asked, is_released=False),))
        documents = self._domain.on_demand
        if documents is None:
            raise LookupError("FHIR is where both actors are")
        try:
            made = documents.retrieved(entry, access.visible)
        except NotConvertible as reason:
            raise _unknown(str(reason), "XDSDocumentUniqueIdError") from None
        parts = [replace(asked, document_unique_id=one) for one in made.sources]
        access.details = RetrieveDetails((asked, *parts))
        mime_type = made.type.mime_type
        held = IndexedDocument(made.unique_id, "", mime_type, len(made.content), made.hash)
        entry = entry.updated(mime_type=mime_type)
        served = _served(identifier.lower(), asked, entry, held, made.made)
        return replace(served, content=made.content, made_of=made.sources)

    def note(self, identifier: str, access: Access) -> None:
        """Say which document is not given out; Refused where there is none."""
        try:
            asked = self._remembered(identifier).asked
        except _MadeAtRetrieval as made:
            asked = self._asked(made.entry)
        access.details = RetrieveDetails((replace(asked, is_released=False),))

    def _asked(self, entry: DocumentEntry) -> RequestedDocument:
        return RequestedDocument(
            self._domain.repository.unique_id, entry.unique_id or "", entry.home_community_id
        )

    def _require_visible(self, identifier: str, visible: Criterion) -> None:
        """Refuse as unknown what the caller may not know of, whatever there is to say of it."""
        if is_anything(visible) or not _UUID.fullmatch(identifier):
            return
        with self._domain.registry.view(visible) as view:
            if not view.every_version.count(DocumentEntry, [_of_id(identifier)]):
                raise _unknown(_NOWHERE)

    def whole(self, found: ServedDocument) -> bytes:
        """Read a small document; Refused 410 when it is gone."""
        if found.content is not None:
            return found.content
        try:
            return self._documents.whole(found.held)
        except DocumentNotFound as error:
            raise _gone() from error

    def open(
        self, found: ServedDocument, start: int = 0, length: int | None = None
    ) -> DocumentReader:
        """Open a document, or a part of it; Refused 410 when it is gone."""
        if found.content is not None:
            return BytesReader(found.content, start, length)
        try:
            return self._documents.open(found.held, start, length)
        except DocumentNotFound as error:
            raise _gone() from error

    def _find(self, identifier: str) -> ServedDocument:
        """Find what is registered; Refused 404 where nothing is, or elsewhere (MHD 2:3.68.4.2)."""
        entry, registered_at = self._entry(identifier)
        repository = self._domain.repository
        if entry.repository_unique_id != repository.unique_id:
            raise _unknown("the document is kept by another repository", "XDSUnknownRepositoryId")
        if entry.is_on_demand:
            raise _MadeAtRetrieval(entry)
        held = repository.locate(entry.unique_id or "")
        if held is None:
            self._documents.tell_unknown(identifier.lower())
            raise _unknown("the repository has no such document", "XDSDocumentUniqueIdError")
        return _served(identifier.lower(), self._asked(entry), entry, held, registered_at)

    def _entry(self, identifier: str) -> tuple[DocumentEntry, str]:
        if not _UUID.fullmatch(identifier):
            raise _unknown("the id of a document is a UUID")
        with self._domain.registry.view(ANYTHING) as view:
            for found in view.every_version.find(DocumentEntry, [_of_id(identifier)]):
                return found.thing, found.registered_at
        raise _unknown(_NOWHERE)


def _served(
    identifier: str,
    asked: RequestedDocument,
    entry: DocumentEntry,
    held: IndexedDocument,
    registered_at: str,
) -> ServedDocument:
    registered = datetime.strptime(registered_at, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    stated = entry.mime_type or ""
    mime_type = stated if _MEDIA_TYPE.fullmatch(stated) else "application/octet-stream"
    bare = negotiation.MediaType.parse(mime_type).name
    etag = f'"{held.hash}"'
    headers = [
        ("Content-Type", mime_type),
        ("Content-Length", str(held.size)),
        ("ETag", etag),
        ("Last-Modified", formatdate(registered, usegmt=True)),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "private, no-transform"),
        ("Vary", "Accept"),
        # neither a title nor a uniqueId, which may tell of the patient
        ("Content-Disposition", f'inline; filename="{identifier}{extension_of(bare)}"'),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if bare in _ACTIVE:
        headers.append(("Content-Security-Policy", _APART))
    return ServedDocument(identifier, asked, held, etag, mime_type, int(registered), tuple(headers))


def extension_of(media_type: str) -> str:
    """Return the suffix of a file of that type; empty where there is none."""
    known = _EXTENSIONS.guess_extension(media_type)
    suffix = media_type.rpartition("+")[2]
    return known or (f".{suffix}" if suffix in ("json", "xml") else "")


def _of_id(identifier: str) -> Comparison:
    return Comparison("entry_uuid", Operator.EQUAL, (UUID_URN + identifier.lower(),))


def _gone() -> Refused:
    return Refused.because(
        410, "deleted", "the document is no longer there", error_code="XDSDocumentUniqueIdError"
    )


def _unknown(diagnostics: str, error_code: str = "") -> Refused:
    return Refused.because(404, "not-found", diagnostics, error_code=error_code)
