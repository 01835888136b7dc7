"""Where the bytes of a submitted document are (MHD 2:3.65.4.1.2, 2:3.65.4.1.3).

An attachment's URL leads to a Binary or a FHIR document of the same Bundle, else to another server.
What lies there is fetched where the options allow it, also if its assembly was delayed until then
(ITI TF-1 10.2.8). A document of another server with neither hash nor size is made on demand: it is
registered with its URL, and not fetched now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from xds import base64_blocks
from xds.content.fhir_document import document_bytes, problems
from xds.fhir.r4.resource import Resource
from xds.fhir.references import Entry, Foreign, InRequest
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML
from xds.mhd.provide.bundle import EntryKind
from xds.mhd.provide.pending import PendingSubmission
from xds.mhd.provide.publishing import DocumentContent, media_type

_MISSING: Final = "XDSMissingDocument"
_FORMS: Final = {
    FHIR_JSON: FHIR_JSON,
    "application/json": FHIR_JSON,
    FHIR_XML: FHIR_XML,
    "application/xml": FHIR_XML,
    "text/xml": FHIR_XML,
}
"""In which form a FHIR document is stored, by the media type that its DocumentReference says."""


@dataclass(frozen=True, slots=True)
class OnDemand:
    """A document that another server makes when it is asked for it."""

    url: str


@dataclass(frozen=True, slots=True)
class Attachments:
    """The attachments of one request."""

    pending: PendingSubmission

    def source(self, entry: Entry) -> DocumentContent | OnDemand | None:
        """Tell where a DocumentReference's document is; None where that is a problem."""
        attachment = attachment_of(entry.resource)
        path = attachment_path(entry.path)
        if "data" in attachment:
            self.pending.issues.error(
                "not-supported",
                "the document must be an entry of the Bundle, to which attachment.url leads",
                f"{path}.data",
            )
            return None
        if not attachment.get("url"):
            self.pending.issues.error("required", "attachment.url is required", f"{path}.url")
            return None
        return self._found(attachment, path, entry.full_url)

    def _found(
        self, attachment: Resource, path: str, full_url: str
    ) -> DocumentContent | OnDemand | None:
        url: str = attachment["url"]
        match self.pending.references.lead(url, full_url):
            case InRequest(entry) if entry.kind is EntryKind.BINARY:
                return self._binary(attachment, path, entry)
            case InRequest(entry) if entry.kind is EntryKind.FHIR_DOCUMENT:
                return self._fhir_document(attachment, path, entry)
            case InRequest():
                reason = "attachment.url leads to an entry that is neither Binary nor document"
                self.pending.issues.error("value", reason, f"{path}.url", error_code=_MISSING)
            case Foreign(url):
                return self._foreign(attachment, path, url)
            case _:
                reason = "attachment.url leads to no entry of the Bundle by its fullUrl"
                self.pending.issues.error("not-found", reason, f"{path}.url", error_code=_MISSING)
        return None

    def _binary(self, attachment: Resource, path: str, entry: Entry) -> DocumentContent | None:
        binary = entry.resource
        stated, own = attachment.get("contentType"), binary.get("contentType")
        if own and stated and media_type(own) != media_type(stated):
            self.pending.issues.error(
                "value",
                "contentType is not that of the Binary",
                f"{path}.contentType",
                f"{entry.path}.contentType",
            )
        # an empty document has no data: FHIR has no empty values
        if "data" not in binary and attachment.get("size") != 0:
            self.pending.issues.error("required", "the Binary has no data", f"{entry.path}.data")
            return None
        chunks = partial(base64_blocks.decode_text, binary.get("data", ""))
        return DocumentContent(chunks=chunks, path=f"{entry.path}.data", entry=entry.index)

    def _fhir_document(
        self, attachment: Resource, path: str, entry: Entry
    ) -> DocumentContent | None:
        form = _FORMS.get(media_type(attachment.get("contentType")))
        if form is None:
            self.pending.issues.error(
                "value",
                f"contentType of a FHIR document must be {FHIR_JSON} or {FHIR_XML}",
                f"{path}.contentType",
            )
            return None
        if found := problems(entry.resource, entry.path):
            self.pending.issues.add(found)
            return None

        def chunks() -> Iterator[bytes]:
            yield document_bytes(entry.resource, form)

        return DocumentContent(chunks=chunks, path=entry.path, entry=entry.index, is_rendered=True)

    def _foreign(
        self, attachment: Resource, path: str, url: str
    ) -> DocumentContent | OnDemand | None:
        if not self.pending.fetching.admits(url):
            self.pending.issues.error(
                "forbidden",
                "the document lies on another server, from which this one may not fetch it: "
                "put it into the Bundle, or have its URL allowed (option fhir_fetch_from)",
                f"{path}.url",
            )
            return None
        if "hash" not in attachment and "size" not in attachment:
            return OnDemand(url)
        accept = media_type(attachment.get("contentType")) or "*/*"
        fetch = partial(self.pending.fetching.fetch, url, accept=accept)
        # size 0 says that the document is assembled when it is first retrieved, which is now
        is_delayed = attachment.get("size") == 0
        return DocumentContent(chunks=fetch, path=f"{path}.url", is_rendered=is_delayed)


def attachment_path(path: str) -> str:
    """Return the FHIRPath of the attachment of the DocumentReference at ``path``."""
    return f"{path}.content[0].attachment"


def attachment_of(resource: Resource) -> Resource:
    """Return the attachment of a DocumentReference, empty where it has none."""
    content = resource.get("content") or [{}]
    attachment: Resource = content[0].get("attachment") or {}
    return attachment


def check_every_content_is_used(pending: PendingSubmission) -> None:
    """Note the Binaries and documents that no DocumentReference leads to (ITI TF-2 3.41.4.1.3)."""
    used = set()
    for entry in pending.submitted.of(EntryKind.DOCUMENT):
        url = attachment_of(entry.resource).get("url") or ""
        found = pending.references.lead(url, entry.full_url) if url else None
        if isinstance(found, InRequest):
            used.add(found.entry.index)
    for entry in pending.submitted.of(EntryKind.BINARY, EntryKind.FHIR_DOCUMENT):
        if entry.index not in used:
            pending.issues.error(
                "invalid",
                "no DocumentReference of the Bundle leads here",
                entry.path,
                error_code="XDSMissingDocumentMetadata",
            )
