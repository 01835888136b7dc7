"""Reads the documents that forms are made of."""

from typing import Final

from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.model import ReadDocument
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import FormSource, NotConvertible

MOST_BYTES: Final = 16 << 20
"""Of a document that is read; base64 makes up most of such a one."""
MOST_MARKUP: Final = 300_000
"""Tags, or members of JSON: each takes some hundred bytes of memory, and a microsecond or two."""
CDA_TYPES: Final = frozenset({"text/xml", "application/xml", "application/hl7-v3+xml"})
FHIR_TYPES: Final = frozenset(
    {
        "application/fhir+json",
        "application/fhir+xml",
        "application/json",
        "application/json+fhir",
        "application/xml+fhir",
    }
)


def bare_type(entry: DocumentEntry) -> str:
    """Return the media type of a document without its parameters."""
    return (entry.mime_type or "").partition(";")[0].strip().lower()


def is_structured(entry: DocumentEntry) -> bool:
    """Tell whether a document is registered as what may be a CDA or a FHIR document."""
    return bare_type(entry) in CDA_TYPES | FHIR_TYPES


def document_of(source: FormSource, rules: ReadingRules) -> ReadDocument:
    """Read a document; NotConvertible where that cannot be done."""
    data = source.read()
    if len(data) > MOST_BYTES or _has_much_markup(data):
        raise NotConvertible("the document is too large to be converted")
    try:
        return read(data, source.entry.mime_type or "", rules)
    except ContentUnreadable as error:
        raise NotConvertible(f"the document cannot be read: {error}") from None


def _has_much_markup(data: bytes) -> bool:
    return data.count(b"<") > MOST_MARKUP or data.count(b'":') > MOST_MARKUP
