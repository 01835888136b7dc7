"""The page of a document: header, notices, sections, attachments.

The header and the notices are made of the structured header and of what the registry knows, never
of the narrative: whatever a document writes, these stand above it. A page has no script, and its
policy allows none; its style sheet is within it, by its hash.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from xds.content.pages import header, shown
from xds.content.pages.attachments import AttachmentView, ShownAttachments
from xds.content.pages.facts import RegistryFacts
from xds.content.pages.markup import MarkupRenderer, number_notes
from xds.content.pages.narrative import CDA_NARRATIVE
from xds.content.pages.pictures import picture_of
from xds.content.pages.scope import NarrativeScope
from xds.content.pages.templates import style_sheet, template
from xds.content.pages.words import language_of, quoted
from xds.content.pages.xhtml import sanitised_html, sanitised_xhtml, xhtml_element
from xds.content.reading import kinds
from xds.content.reading.model import (
    CdaNarrative,
    ContentFinding,
    ContentHeader,
    ContentSection,
    ContentTable,
    ReadDocument,
    SectionContent,
    XhtmlNarrative,
)

MEDIA_TYPE: Final = "text/html; charset=utf-8"

_MOST_SECTIONS: Final = 2_000
_LOWEST_HEADING: Final = 6
_MOST_TEXT: Final = 2_000_000
"""Characters of a text document."""


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section as the template has it."""

    anchor: str
    level: int
    """Of its heading; 0 where it has none."""
    title: str
    language: str
    contents: Sequence[Markup]


def render_page(document: ReadDocument, facts: RegistryFacts, data: bytes = b"") -> bytes:
    """Return the page of a document; it does not fail, whatever the document has.

    ``data`` are its bytes, by which images and HTML are shown that have no structure.
    """
    attachments = ShownAttachments(document.attachments, document.media, facts.href)
    texts = [one.text for one in _narratives(document.sections)]
    scope = NarrativeScope(texts, attachments.markup)
    number_notes(scope, CDA_NARRATIVE)
    sections = list(_sections(document.sections, scope))
    listed = attachments.listed()
    text = document.text
    if len(text) > _MOST_TEXT:
        text, scope.is_cut = text[:_MOST_TEXT], True
    notices = [*header.notices(document, facts)]
    parts, has_more_parts = header.parts(document)
    scope.is_cut = scope.is_cut or has_more_parts
    if scope.is_cut or attachments.is_cut:
        notices.append(header.Notice("This page leaves out a part of the document: see its end."))
    patients = header.patients(document, facts)
    rendered = template("document.html").render(
        title=document.header.title or facts.title or facts.kind or "Document",
        subtitle=patients[0].name,
        css=style_sheet(),
        patients=patients,
        language=language_of(document.header.language),
        lines=[*header.lines(document, facts)],
        identity=[*header.identity(document, facts)],
        notices=notices,
        parts=parts,
        findings=[one.message for one in document.findings if one.code in header.TECHNICAL],
        sections=sections,
        contents=[one for one in sections if one.level],
        text=text,
        body=_body(document, facts, data),
        attachments=listed,
        further=[one for one in listed if not one.is_body and not _is_source(one, facts)],
        sources=[(one.href, header.named(one.title, one.time)) for one in facts.sources],
        original=facts.original or f"{facts.href}/original",
        is_made=facts.is_made,
        size="" if facts.size is None else shown.shown_size(facts.size),
        is_cut=scope.is_cut or attachments.is_cut,
    )
    # what no UTF-8 can say is no text either
    return rendered.encode("utf-8", "replace")


def render_not_shown(facts: RegistryFacts, why: str) -> bytes:
    """Return the page of a document that is not shown: its header, why, and where it is had."""
    finding = ContentFinding(code="not-shown", message=why)
    document = ReadDocument(
        kind="other", media_type=facts.media_type, header=ContentHeader(), findings=[finding]
    )
    return render_page(document, facts)


def render_refusal(title: str, text: str, request_id: str = "") -> bytes:
    """Return the page of an error, which says nothing of a document or a patient."""
    rendered = template("refusal.html").render(
        title=title, subtitle="", text=text, request_id=request_id, css=style_sheet()
    )
    return rendered.encode("utf-8", "replace")


def _is_source(attachment: AttachmentView, facts: RegistryFacts) -> bool:
    """Tell whether an attachment is a document of which a page has a link of its own."""
    return bool(facts.sources) and attachment.kind == "elsewhere"


def _body(document: ReadDocument, facts: RegistryFacts, data: bytes) -> Markup:
    """Return what shows a document that has neither sections nor text."""
    source = quoted(f"{facts.href}/original")
    if document.kind == "pdf":
        frame = (
            f'<iframe class="pdf" src="{source}#navpanes=0" title="The document, a PDF"></iframe>'
        )
        return Markup(f'{frame}<p><a href="{source}">Open the PDF by itself</a></p>')
    if document.kind == "image" and (picture := picture_of(data)):
        size = f'width="{picture.width}" height="{picture.height}"'
        told = quoted(facts.title or "The document, an image")
        return Markup(f'<a href="{source}"><img src="{source}" alt="{told}" {size}></a>')
    if document.kind == "html":
        return sanitised_html(kinds.decoded(data)[0][:_MOST_TEXT])
    return Markup("")


# --- sections ------------------------------------------------------------------------------------


def _narratives(sections: Sequence[ContentSection]) -> Iterator[CdaNarrative]:
    for section, _ in _in_order(sections):
        yield from (one for one in section.content if isinstance(one, CdaNarrative))


def _in_order(sections: Sequence[ContentSection]) -> Iterator[tuple[ContentSection, int]]:
    """Yield sections, with those within, and the level of the heading of each."""
    pending = [(one, 2) for one in reversed(sections)]
    number = 0
    while pending and number <= _MOST_SECTIONS:
        section, level = pending.pop()
        number += 1
        yield section, level
        below = level + 1 if _title(section) else level
        pending += [(one, below) for one in reversed(section.sections)]


def _title(section: ContentSection) -> str:
    return section.title or (section.code.display_name if section.code else "")


def _sections(sections: Sequence[ContentSection], scope: NarrativeScope) -> Iterator[SectionView]:
    for number, (section, level) in enumerate(_in_order(sections), 1):
        if number > _MOST_SECTIONS:
            scope.is_cut = True
            return
        title = _title(section)
        contents = [_content(one, scope) for one in section.content]
        yield SectionView(
            f"section-{number}",
            min(level, _LOWEST_HEADING) if title else 0,
            title,
            language_of(section.language),
            [one for one in contents if one],
        )


def _content(content: SectionContent, scope: NarrativeScope) -> Markup:
    match content:
        case CdaNarrative():
            return MarkupRenderer(CDA_NARRATIVE, scope).render(content.text)
        case XhtmlNarrative():
            narrative = xhtml_element(content.div)
            if narrative is None:
                return sanitised_html(content.div)
            return sanitised_xhtml(narrative, scope)
        case ContentTable():
            return _table(content, scope)


def _table(table: ContentTable, scope: NarrativeScope) -> Markup:
    scope.tables += 1
    columns = max(len(table.columns), 1)
    room = max(scope.elements_left, 0) // columns
    rows = shown.shown_rows(table.columns, table.rows[:room])
    scope.elements_left -= len(rows) * columns
    scope.is_cut = scope.is_cut or len(rows) < len(table.rows)
    label = f"Table {scope.tables}: {table.caption}".rstrip(": ")
    return Markup(template("table.html").render(table=table, rows=rows, label=label))
