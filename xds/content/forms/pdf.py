"""A document as PDF/A: its header, its sections in their order, its pictures.

What an unstructured CDA has as its body is what it says: text and pictures are drawn; the pages of
a PDF are put behind the header as they are, and the whole is no PDF/A then.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from pypdf.generic import NameObject

from xds.content.forms.blocks import (
    Block,
    GridBlock,
    ParagraphBlock,
    PictureBlock,
    PreformattedBlock,
    blocks,
)
from xds.content.pages import header, shown
from xds.content.pages.attachments import ServedAttachment, served_attachment
from xds.content.pages.facts import RegistryFacts, facts_of
from xds.content.reading.model import ContentAttachment, ContentSection, ReadDocument
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import NotConvertible
from xds.rendering import fonts
from xds.rendering.pages import Flow
from xds.rendering.pdf_drawing import Conformance, PdfDescription, drawn
from xds.rendering.pdf_grid import grid
from xds.rendering.pdf_parts import banner, heading, labelled
from xds.rendering.pdf_text import is_wide, monospaced
from xds.rendering.pictures import flattened

_SIZE: Final = 9.5
_SMALL: Final = 8.0
_HEADINGS: Final = (12.0, 11.0, 10.0, 9.5)
"""Sizes by level."""
_WIDE_COLUMNS: Final = 8
"""From which on a table stands on a page that is turned."""
_MOST_SECTIONS: Final = 2_000
_MOST_PAGES: Final = 1_000
_ACTIVE: Final = ("/Annots", "/AA", "/B")
"""What of the page of a PDF is left out: links, forms, and what may start something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfSource:
    """What a PDF is made of."""

    document: ReadDocument
    entry: DocumentEntry
    data: bytes
    told: str
    """Of what it was made, by whom, when."""
    made: str
    """DTM."""
    conformance: Conformance = "PDF/A-2U"


def render(source: PdfSource) -> bytes:
    """Return a document as PDF; NotConvertible of what has nothing to show, or too much."""
    document = source.document
    if document.kind not in ("cda", "fhir", "text", "image"):
        raise NotConvertible(f"a document of the kind {document.kind} is not made a PDF")
    facts = facts_of(source.entry, "")
    drawing = _PdfDocument(source, facts)
    made = drawn(drawing.flow.sheets, _description(source, facts))
    bodies = [one for one in drawing.bodies if one.kind == "pdf"]
    return _followed_by(made, bodies[0].data) if bodies else made


def _title(source: PdfSource, facts: RegistryFacts) -> str:
    return source.document.header.title or facts.title or facts.kind or "Document"


def _description(source: PdfSource, facts: RegistryFacts) -> PdfDescription:
    said = source.document.header.language or source.entry.language_code or "en"
    return PdfDescription(
        title=_title(source, facts),
        language=said if said.replace("-", "").isalnum() else "en",
        made=datetime.strptime(source.made, "%Y%m%d%H%M%S").replace(tzinfo=UTC),
        foot=source.told,
        conformance=source.conformance,
    )


class _PdfDocument:
    """The pages of one document."""

    def __init__(self, source: PdfSource, facts: RegistryFacts) -> None:
        self._source = source
        self._attachments = {one.id: one for one in source.document.attachments}
        self._drawn: set[str] = set()
        patients = header.patients(source.document, facts)
        first = patients[0]
        said = [f"born {first.born}", first.sex.lower() if first.sex != "not given" else ""]
        said += [number for number, _ in first.identifiers[:2]]
        self.flow = Flow(
            banner(first.name, *filter(None, said), title=_title(source, facts)),
        )
        self.bodies = [self._served(one) for one in source.document.attachments if one.is_body]
        self._beginning(facts, patients)
        if source.document.kind == "image":
            self._picture(source.data, "The document, a picture")
        self._text(source.document.text)
        for section, level in _in_order(source.document.sections):
            self._section(section, level)
        for body in self.bodies:
            self._body(body)
        self._rest()

    def _beginning(self, facts: RegistryFacts, patients: Sequence[header.PatientView]) -> None:
        flow, document = self.flow, self._source.document
        warnings = [one.text for one in header.notices(document, facts) if one.is_warning]
        flow.boxed([self._source.told, *warnings], _SMALL)
        fields = [
            ("Patient's id", f"{number} (of {whose})" if whose else number)
            for one in patients
            for number, whose in one.identifiers
        ]
        fields += [("Address", one.address) for one in patients if one.address]
        lines = (*header.lines(document, facts), *header.identity(document, facts))
        fields += [(one.name, "; ".join(one.values)) for one in lines]
        labelled(flow, fields)

    def _section(self, section: ContentSection, level: int) -> None:
        title = section.title or (section.code.display_name if section.code else "")
        found = [block for content in section.content for block in blocks(content)]
        if found and isinstance(found[0], GridBlock):
            self.flow.orient(is_wide=_is_wide(found[0]))  # the heading stands above it
        if title:
            heading(self.flow, title, _HEADINGS[min(level, len(_HEADINGS) - 1)])
        for block in found:
            self._block(block)

    def _block(self, block: Block) -> None:
        match block:
            case ParagraphBlock():
                self._paragraph(block)
            case PreformattedBlock(lines):
                monospaced(self.flow, lines)
                self.flow.y += 4
            case GridBlock(head, rows, caption):
                self.flow.orient(is_wide=_is_wide(block))
                if caption:
                    self.flow.prose(caption, fonts.BOLD, _SMALL)
                grid(self.flow, head, rows)
            case PictureBlock(reference):
                self._media(reference)

    def _paragraph(self, block: ParagraphBlock) -> None:
        flow = self.flow
        if block.level:
            heading(flow, block.text, 10)
            return
        if block.marker:
            flow.reserve(_SIZE * 2)
            flow.put(block.indent - 12, block.marker, fonts.PROSE, _SIZE)
        flow.prose(block.text, fonts.PROSE, _SIZE, block.indent)
        flow.y += 3

    def _text(self, text: str) -> None:
        if text:
            lines = text.replace("\r\n", "\n").replace("\f", "\n").split("\n")
            self.flow.orient(is_wide=is_wide(lines))
            monospaced(self.flow, lines)

    # --- what is within --------------------------------------------------------------------------

    def _served(self, attachment: ContentAttachment) -> ServedAttachment:
        self._drawn.add(attachment.id)
        return served_attachment(attachment)

    def _body(self, body: ServedAttachment) -> None:
        if body.kind == "text":
            self._text(body.text)
        elif body.kind == "image":
            self._picture(body.data, "The document, a picture")
        elif body.kind == "pdf":
            said = "The document is a PDF: its pages follow."
            self.flow.prose(said, fonts.PROSE, _SIZE)
        else:
            raise NotConvertible(f"the body of the document is {body.kind}, and is not made a PDF")

    def _media(self, reference: str) -> None:
        identifier = self._source.document.media.get(reference, reference)
        attachment = self._attachments.get(identifier)
        if attachment is None:
            self.flow.prose("[picture left out: it is not in the document]", fonts.PROSE, _SMALL)
            return
        served = self._served(attachment)
        if served.kind == "image":
            self._picture(served.data, attachment.title or "a picture")
        else:
            self._drawn.discard(attachment.id)

    def _picture(self, data: bytes, name: str) -> None:
        found = flattened(data)
        if found is None:
            self.flow.prose(f"[{name}: it cannot be drawn]", fonts.PROSE, _SMALL)
            return
        self.flow.image(found.data, found.width, found.height)
        self.flow.y += 4

    def _rest(self) -> None:
        """Name what is in the document and not in the PDF."""
        left = [one for one in self._source.document.attachments if one.id not in self._drawn]
        if not left:
            return
        heading(self.flow, "Attachments of the original that are not in this PDF")
        for one in left:
            served = served_attachment(one)
            size = shown.shown_size(len(served.data)) if served.data else ""
            told = ", ".join(filter(None, (served.media_type, size, one.reference)))
            self.flow.prose(f"{one.title or one.id} ({told})", fonts.PROSE, _SMALL)


def _is_wide(block: GridBlock) -> bool:
    """Tell whether a table wants a page that is turned."""
    return max((len(row) for row in (*block.head, *block.rows)), default=0) >= _WIDE_COLUMNS


def _in_order(sections: Sequence[ContentSection]) -> Iterator[tuple[ContentSection, int]]:
    pending = [(one, 0) for one in reversed(sections)]
    count = 0
    while pending:
        section, level = pending.pop()
        count += 1
        if count > _MOST_SECTIONS:
            raise NotConvertible("the document has more sections than a PDF is made of")
        yield section, level
        below = level + 1 if section.title or section.code else level
        pending += [(one, below) for one in reversed(section.sections)]


def _followed_by(made: bytes, data: bytes) -> bytes:
    """Return a PDF with the pages of another one behind it, without what these may start."""
    try:
        writer = PdfWriter(clone_from=io.BytesIO(made))
        pages = PdfReader(io.BytesIO(data), strict=False).pages
        if len(pages) > _MOST_PAGES:
            raise NotConvertible("the PDF in the document has too many pages")
        for page in pages:
            writer.add_page(_inert(page))
        written = io.BytesIO()
        writer.write(written)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, NotConvertible):
            raise
        raise NotConvertible("the PDF in the document cannot be read") from None
    return written.getvalue()


def _inert(page: PageObject) -> PageObject:
    for name in _ACTIVE:
        page.pop(NameObject(name), None)
    return page
