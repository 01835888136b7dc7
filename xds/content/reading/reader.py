"""One function for documents of every kind: what the bytes say, as one model.

What is refused here is refused at every door with the same words: XML that is not well-formed or
has a DTD, JSON that is none, where that is what the bytes begin as and are said to be.
"""

from email.message import Message
from typing import Final

from lxml import etree

from xds import parsing
from xds.content.reading import kinds, pdf
from xds.content.reading.cda import document as cda_document
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.fhir import document as fhir_reader
from xds.content.reading.model import ContentFinding, ContentHeader, DocumentKind, ReadDocument
from xds.content.reading.rules import PLAIN, ReadingRules
from xds.fhir.r4 import json, xml
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.r4.structure import is_document
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML

_BUNDLE: Final = f"{{{xml.NS_FHIR}}}Bundle"
_DEEPEST: Final = parsing.DEEPEST - 1
"""So that beyond 10 MB no document is nested deeper than below."""
_MARKUP: Final = ("json", "xml")
CHARSET_GUESSED: Final = ContentFinding(
    code="charset-guessed",
    message="The text is not UTF-8 and its encoding is not known; it is read as Windows-1252.",
)


def read(data: bytes, declared_media_type: str = "", rules: ReadingRules = PLAIN) -> ReadDocument:
    """Read a document; its kind is told by the bytes, and what is declared decides doubts.

    Raises ContentUnreadable where the bytes begin as XML or JSON and are none, are not declared to
    be something else, or are XML that is refused (a DTD, too deep, too much markup).
    """
    declared, charset = _declared(declared_media_type)
    if told := kinds.media_type(data):
        if told == "application/pdf":
            return pdf.read(data)
        is_image = told.startswith("image/")
        return _plain("image" if is_image else "other", told)
    markup = kinds.markup_of(data)
    if markup == "xml":
        return _of_xml(data, declared, charset, rules)
    if markup == "json":
        return _of_json(data, declared, charset, rules)
    if kinds.is_binary(data):
        return _plain("other", declared or "application/octet-stream")
    return _of_text(data, declared, charset)


def _declared(media_type: str) -> tuple[str, str]:
    """Return a media type in lower case, and its charset."""
    message = Message()
    message["Content-Type"] = media_type.replace("\n", " ").replace("\r", " ") or "text/plain"
    charset = message.get_param("charset") or ""
    return media_type.partition(";")[0].strip().lower(), str(charset)


def _plain(kind: DocumentKind, media_type: str) -> ReadDocument:
    return ReadDocument(kind=kind, media_type=media_type, header=ContentHeader())


def _of_text(data: bytes, declared: str, charset: str, media_type: str = "") -> ReadDocument:
    if kinds.is_html(data) or declared == "text/html":
        return _plain("html", "text/html")
    found, is_sure = kinds.decoded(data, charset)
    is_text = declared.startswith("text/") and not media_type
    return ReadDocument(
        kind="text",
        media_type=media_type or (declared if is_text else "text/plain"),
        header=ContentHeader(),
        text=found,
        findings=() if is_sure else (CHARSET_GUESSED,),
    )


# XML


def parse_xml(data: bytes, charset: str = "") -> etree._Element:
    """Parse a document in XML; ``charset`` is what its transport says. ContentUnreadable."""
    try:
        return parsing.parse(data, encoding=charset or None, deepest=_DEEPEST)
    except parsing.MalformedXML as error:
        raise ContentUnreadable.of_xml(error) from None


def _of_xml(data: bytes, declared: str, charset: str, rules: ReadingRules) -> ReadDocument:
    try:
        root = parse_xml(data, charset)
    except ContentUnreadable:
        if kinds.is_html(data) or not _is_said(declared, "xml"):
            return _of_text(data, declared, charset)
        raise
    document = cda_document.clinical_document(root)
    if document is not None:
        return cda_document.read(document, rules)
    if root.tag == _BUNDLE:
        return of_bundle(bundle_of_xml(data), FHIR_XML, rules)
    if etree.QName(root).localname == "html":
        return _plain("html", "text/html")
    return _of_text(data, "", charset, "application/xml")


def _is_said(declared: str, markup: str) -> bool:
    """Tell whether a document is to be XML or JSON, by what it is declared to be.

    What is declared as nothing that is known is what it begins as.
    """
    if declared.endswith(markup) or declared.startswith(f"application/{markup}"):
        return True
    return not declared.startswith("text/") and not any(one in declared for one in _MARKUP)


# FHIR


def bundle_of_xml(data: bytes) -> Resource:
    """Read a FHIR resource in XML; ContentUnreadable."""
    try:
        return xml.read(data)[0]
    except Refused as refused:
        raise _unreadable(refused) from None


def bundle_of_json(data: bytes) -> Resource:
    """Read a FHIR resource in JSON; ContentUnreadable."""
    try:
        return json.read(data)
    except Refused as refused:
        raise _unreadable(refused) from None


def _unreadable(refused: Refused) -> ContentUnreadable:
    issue = refused.issues[0]
    return ContentUnreadable(issue.diagnostics, place=", ".join(issue.expression))


def of_bundle(bundle: Resource, media_type: str, rules: ReadingRules) -> ReadDocument:
    """Read a Bundle that came as FHIR; one that is no document is shown as it is."""
    if is_document(bundle):
        return fhir_reader.read(bundle, media_type, rules)
    return _plain("other", media_type)


def _of_json(data: bytes, declared: str, charset: str, rules: ReadingRules) -> ReadDocument:
    try:
        resource = bundle_of_json(data)
    except ContentUnreadable:
        if not _is_said(declared, "json"):
            return _of_text(data, declared, charset)
        raise
    if resource.get("resourceType") == "Bundle" and is_document(resource):
        return fhir_reader.read(resource, FHIR_JSON, rules)
    return _of_text(data, "", charset, "application/json")
