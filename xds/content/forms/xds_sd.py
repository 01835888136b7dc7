"""PDF or text wrapped as a scanned document (XDS-SD, ITI TF-3 5.2).

The content goes into the body byte for byte. A PDF that was made elsewhere is PDF/A-1b, as XDS-SD
wants it, where its maker has made it so; one that is made here, of a CDA or a FHIR document, is.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from xds.content.forms import cda_header, marks
from xds.content.forms.reading import bare_type
from xds.content.forms.settings import FormSettings, ScannedDocumentSettings
from xds.content.reading import kinds
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry
from xds.on_demand.forms import FormRequest, FormType, NotConvertible
from xds.rendering.cda_elements import ROOT, XSI, Element, element, instance, template, time

PDF: Final = FormType(
    "text/xml", Code("urn:ihe:iti:xds-sd:pdf:2008", v.IHE_FORMAT_CODES, "ITI XDS-SD PDF")
)
TEXT: Final = FormType(
    "text/xml", Code("urn:ihe:iti:xds-sd:text:2008", v.IHE_FORMAT_CODES, "ITI XDS-SD TEXT")
)
TEMPLATE: Final = "1.3.6.1.4.1.19376.1.2.20"
_ORIGINAL_AUTHOR: Final = f"{TEMPLATE}.1"
_SCANNER: Final = f"{TEMPLATE}.2"
_OPERATOR: Final = f"{TEMPLATE}.3"
_WORKSTATION: Final = Code("WSD", "1.2.840.10008.2.16.4", "Workstation")
_LINE: Final = 57
"""Bytes of a line of base64, which has 76 characters."""


@dataclass(frozen=True, slots=True)
class ScannedDocumentMaker:
    """Makes XDS-SD documents of one deployment."""

    settings: FormSettings
    render: Callable[[FormRequest], bytes]
    """Makes a PDF/A-1b of a document that is neither PDF nor text."""
    renders: Callable[[DocumentEntry], bool]
    """Whether it can."""

    def type_of(self, entry: DocumentEntry) -> FormType | None:
        """Return whether a text or a PDF would be wrapped."""
        mime_type = bare_type(entry)
        if mime_type == "text/plain":
            return TEXT
        return PDF if mime_type == "application/pdf" or self.renders(entry) else None

    def build(self, request: FormRequest) -> bytes:
        """Wrap a document; NotConvertible where its bytes are not what it is registered as."""
        (source,) = request.sources
        mime_type = bare_type(source.entry)
        if mime_type == "text/plain":
            text, _ = kinds.decoded(source.read())
            return self._wrapped(request, text.encode(), "text/plain;charset=UTF-8")
        if mime_type != "application/pdf":
            return self._wrapped(request, self.render(request), "application/pdf")
        data = source.read()
        if kinds.media_type(data) != "application/pdf":
            raise NotConvertible("the document is registered as a PDF and is none")
        return self._wrapped(request, data, "application/pdf")

    def _wrapped(self, request: FormRequest, data: bytes, media_type: str) -> bytes:
        lines = (data[at : at + _LINE] for at in range(0, len(data), _LINE))
        encoded = "\n".join(base64.b64encode(line).decode() for line in lines)
        text = element("text", encoded, mediaType=media_type, representation="B64")
        body = element("component", element("nonXMLBody", text))
        made = element(ROOT, *_header(request, self.settings), body)
        etree.cleanup_namespaces(made, top_nsmap={"xsi": XSI})
        document: bytes = etree.tostring(made, xml_declaration=True, encoding="UTF-8")
        return document


def _header(request: FormRequest, settings: FormSettings) -> Iterator[Element]:
    entry, made = request.sources[0].entry, request.made
    organisation, own = settings.organisation, settings.xds_sd
    title = entry.title or (entry.type_code.display_name if entry.type_code else "")
    yield from cda_header.beginning(
        template(TEMPLATE), request.unique_id, entry.type_code, title or "Document", made
    )
    yield from cda_header.classified(entry)
    yield cda_header.record_target(entry, own.patient_country)
    written = entry.creation_time or made
    yield from cda_header.authors(entry, template(_ORIGINAL_AUTHOR), when=written)
    yield cda_header.device(
        organisation, templates=template(_SCANNER), kind=_WORKSTATION, model=own.model, made=made
    )
    yield _operator(organisation.id, own, made)
    yield cda_header.custodian(organisation)
    yield cda_header.service(entry, made)
    original = entry.unique_id or ""
    yield cda_header.converted_from(original, marks.converted(original, made))


def _operator(organisation_id: str, own: ScannedDocumentSettings, made: str) -> Element:
    """Return the scan operator: who answers for the conversion, where a deployment names one."""
    root, _, extension = organisation_id.partition("^")
    parts = (("given", own.operator_given), ("family", own.operator_family))
    said = [element(tag, text) for tag, text in parts if text]
    name = element("name", *said) if said else element("name", nullFlavor="NA")
    return element(
        "dataEnterer",
        *template(_OPERATOR),
        time("time", made),
        element("assignedEntity", instance("id", root, extension), element("assignedPerson", name)),
    )
