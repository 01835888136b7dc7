"""The body of a CDA: its sections in their order, and what is embedded in it (CDA R2 4.3)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from xds import base64_blocks
from xds.base64_blocks import BadBase64
from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.cda.tables import tables
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.model import (
    CdaNarrative,
    ContentAttachment,
    ContentSection,
    SectionContent,
)

_MEDIA: Final = f"{{{NS}}}observationMedia"
_ITSELF: Final = "body"
"""The id of the attachment that is all of the body."""


@dataclass(slots=True)
class CdaBody:
    """What the body of a document has."""

    sections: tuple[ContentSection, ...] = ()
    attachments: list[ContentAttachment] = field(default_factory=list)
    media: dict[str, str] = field(default_factory=dict)
    """The attachment of each XML ID of an observationMedia."""


def body(source: CdaSource) -> CdaBody:
    """Read the body, structured or not."""
    found = CdaBody()
    for unstructured in hl7.each(source.root, "component/nonXMLBody"):
        for text in hl7.each(unstructured, "text"):
            title = hl7.text(hl7.first(source.root, "title"))
            found.attachments.append(_embedded(source, text, _ITSELF, title, is_body=True))
    structured = f"{{{NS}}}component/{{{NS}}}structuredBody"
    for element in source.root.iterfind(structured):
        found.sections += tuple(_sections(source, element))
        _embed(source, element, found)
    return found


def _sections(source: CdaSource, parent: Element) -> Iterator[ContentSection]:
    for component in parent.iterchildren(f"{{{NS}}}component"):
        for section in component.iterchildren(f"{{{NS}}}section"):
            yield _section(source, section)


def _section(source: CdaSource, section: Element) -> ContentSection:
    code = section.find(f"{{{NS}}}code")
    language = hl7.first(section, "languageCode")
    return ContentSection(
        title=hl7.text(hl7.first(section, "title")),
        code=source.code(code),
        language=(language.get("code") or "").strip() if language is not None else "",
        content=_content(source, section),
        sections=tuple(_sections(source, section)),
        place=source.places.of(section),
    )


def _content(source: CdaSource, section: Element) -> tuple[SectionContent, ...]:
    narrative = section.find(f"{{{NS}}}text")
    if narrative is not None and (len(narrative) or (narrative.text or "").strip()):
        return (CdaNarrative(text=narrative),)
    return tuple(tables(source, section))


# What is embedded


def _embed(source: CdaSource, structured: Element, found: CdaBody) -> None:
    for number, media in enumerate(structured.iter(_MEDIA), start=1):
        value = hl7.first(media, "value")
        if value is None:
            continue
        xml_id = media.get("ID") or ""
        identifier = xml_id if xml_id and xml_id not in found.media else str(number)
        found.attachments.append(_embedded(source, value, identifier, _title(source, media)))
        if xml_id:
            found.media.setdefault(xml_id, identifier)


def _title(source: CdaSource, media: Element) -> str:
    """Return the name of what stands beside an image: XD-LAB and French documents have one."""
    organizer = media.getparent()
    organizer = organizer.getparent() if organizer is not None else None
    return source.words(hl7.first(organizer, "code")) if organizer is not None else ""


def _embedded(
    source: CdaSource, element: Element, identifier: str, title: str, *, is_body: bool = False
) -> ContentAttachment:
    reference = hl7.first(element, "reference")
    refers = (reference.get("value") or "").strip() if reference is not None else ""
    is_text = (element.get("representation") or "TXT") != "B64"
    content = "".join(element.xpath("text()"))
    has_content = bool(content.strip())
    place = source.places.of(element)
    read = (lambda: content.encode()) if is_text else partial(_bytes, content, place)
    return ContentAttachment(
        id=identifier,
        media_type=element.get("mediaType") or "text/plain",
        data=read if has_content or not refers else None,
        title=title,
        reference="" if has_content else refers,
        is_body=is_body,
        place=place,
    )


def _bytes(content: str, place: str) -> bytes:
    try:
        return b"".join(base64_blocks.decode_text(content))
    except (BadBase64, UnicodeEncodeError):
        raise ContentUnreadable("What is embedded there is not base64.", place=place) from None
