"""What is rendered, and what it becomes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from xds.messaging.model import MessageEnvelope, MessagePatient, MessageReport, RenderedContent
from xds.metadata.objects import Code

ReportForm = Literal["pdf", "cda", "fhir", "text"]
"""``pdf`` is PDF/A-2u; ``cda`` XD-LAB, or an unstructured CDA where there are no rows of results;
``fhir`` a FHIR R4 document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentIdentity:
    """Which version of which report a rendered document is."""

    unique_id: str
    """uniqueId of its DocumentEntry: an OID, or an OID^extension."""
    set_id: str = ""
    """What all versions of the report share, in the form of a uniqueId; empty: the unique id."""
    version: int = 1
    """Counts from 1."""
    replaces: str = ""
    """uniqueId of the version whose place it takes; empty where it is the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSource:
    """All that a rendered report is made of."""

    report: MessageReport
    content: RenderedContent
    patient: MessagePatient
    envelope: MessageEnvelope
    identity: DocumentIdentity
    zone: str = "UTC"
    """In which times of day are written for readers, as the IANA database names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedDocument:
    """A document made of a report."""

    mime_type: str
    format_code: Code
    chunks: Callable[[], Iterator[bytes]]
    """Yields its bytes, the same from the beginning at each call."""


def rendered(mime_type: str, format_code: Code, content: bytes) -> RenderedDocument:
    """Return a document that is in memory."""
    return RenderedDocument(
        mime_type=mime_type, format_code=format_code, chunks=lambda: iter((content,))
    )
