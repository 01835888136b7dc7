"""The sections of a FHIR document in the order in which it is read, and what is embedded in it.

R4 documents.html: the narrative of the Composition, then each section with those in it; after them
come tables of the resources that no narrative covers.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from xds import base64_blocks
from xds.base64_blocks import BadBase64
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.fhir.source import BundleEntry, FhirSource, part, parts, text, words
from xds.content.reading.fhir.tables import OF_HEADER, tables
from xds.content.reading.model import (
    ContentAttachment,
    ContentSection,
    ContentTable,
    SectionContent,
    XhtmlNarrative,
)
from xds.fhir.r4.resource import Resource

_MOST_LEVELS: Final = 64
_LINKS: Final = ("result", "hasMember", "entry", "specimen", "imagingStudy", "media")


def sections(source: FhirSource) -> Iterator[ContentSection]:
    """Yield the sections; what no narrative covers comes last, in one without a title."""
    composition = source.composition
    if narrative := _narrative(composition.resource):
        yield ContentSection(content=(narrative,), place=f"{composition.place}.text")
    covered: set[str] = set()
    found = parts(composition.resource, "section")
    for i, one in enumerate(found):
        yield _section(source, one, f"{composition.place}.section[{i}]", covered)
    rest = [
        one for one in source.entries[1:] if one.type not in OF_HEADER and one.place not in covered
    ]
    content = tuple(_of_entries(source, rest))
    if content:
        yield ContentSection(content=content, place="Bundle.entry")


def _narrative(resource: Resource) -> XhtmlNarrative | None:
    div = text(part(resource, "text"), "div")
    return XhtmlNarrative(div=div) if div else None


def _section(
    source: FhirSource, section: Resource, place: str, covered: set[str], level: int = 0
) -> ContentSection:
    entries = list(source.followed(section, "entry", source.composition))
    content: tuple[SectionContent, ...]
    narrative = _narrative(section)
    _cover(source, entries, covered)
    if narrative is not None:
        content = (narrative,)
    else:
        content = (*_why_empty(section), *_of_entries(source, _with_members(source, entries)))
    within = parts(section, "section") if level < _MOST_LEVELS else []
    return ContentSection(
        title=text(section, "title") or words(part(section, "code")),
        code=source.code(part(section, "code")),
        content=content,
        sections=tuple(
            _section(source, one, f"{place}.section[{i}]", covered, level + 1)
            for i, one in enumerate(within)
        ),
        place=place,
    )


def _why_empty(section: Resource) -> Iterator[ContentTable]:
    if said := words(part(section, "emptyReason")):
        yield ContentTable(columns=("Empty because",), rows=((said,),))


def _with_members(source: FhirSource, entries: list[BundleEntry]) -> list[BundleEntry]:
    """Return entries with the results that they have, each once."""
    found: dict[str, BundleEntry] = {}
    waiting = entries[::-1]
    while waiting:
        one = waiting.pop()
        if one.place in found:
            continue
        found[one.place] = one
        members = [m for name in _LINKS for m in source.followed(one.resource, name, one)]
        waiting += members[::-1]
    return list(found.values())


def _cover(source: FhirSource, entries: list[BundleEntry], covered: set[str]) -> None:
    """Note what a section has, with the results of it: it need not be shown again."""
    covered.update(one.place for one in _with_members(source, entries))


def _of_entries(source: FhirSource, entries: list[BundleEntry]) -> Iterator[SectionContent]:
    """Yield the narrative of each resource that has one, and tables of the others."""
    without: list[BundleEntry] = []
    for one in entries:
        narrative = _narrative(one.resource) if one.type not in OF_HEADER else None
        if narrative is not None:
            yield narrative
        else:
            without.append(one)
    yield from tables(source, without)


# What is embedded


def attachments(source: FhirSource) -> Iterator[ContentAttachment]:
    """Yield the files within the document: Binary, and Attachments that have data or a URL."""
    number = 0
    for entry in source.entries:
        for place, attachment in _attachments(entry):
            number += 1
            yield _attached(source, attachment, str(number), place)


def _attachments(entry: BundleEntry) -> Iterator[tuple[str, Resource]]:
    resource = entry.resource
    if entry.type == "Binary":
        yield entry.place, {**resource, "title": ""}
    for i, one in enumerate(parts(resource, "presentedForm")):
        yield f"{entry.place}.presentedForm[{i}]", one
    for i, one in enumerate(parts(resource, "content")):
        if found := part(one, "attachment"):
            yield f"{entry.place}.content[{i}].attachment", found
    if entry.type == "Media" and (found := part(resource, "content")):
        yield f"{entry.place}.content", found


def _attached(
    source: FhirSource, attachment: Resource, identifier: str, place: str
) -> ContentAttachment:
    data, url = text(attachment, "data"), text(attachment, "url")
    if not data and url:
        held = source.follow({"reference": url}, source.composition)
        data = text(held.resource, "data") if held is not None else ""
    return ContentAttachment(
        id=identifier,
        media_type=text(attachment, "contentType"),
        data=partial(_bytes, data, f"{place}.data") if data else None,
        title=text(attachment, "title"),
        reference="" if data else url,
        place=place,
    )


def _bytes(data: str, place: str) -> bytes:
    try:
        return b"".join(base64_blocks.decode_text(data))
    except (BadBase64, UnicodeEncodeError):
        raise ContentUnreadable("What is embedded there is not base64.", place=place) from None
