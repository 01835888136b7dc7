"""A report as PDF/A-2u: its text can be searched and copied, its fonts are in it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from xds.messaging.model import ReportSection
from xds.messaging.rendering import header
from xds.messaging.rendering.documents import RenderedDocument, ReportSource, rendered
from xds.messaging.rendering.pdf_table import table
from xds.messaging.rendering.text import FORMAT
from xds.rendering import fonts
from xds.rendering.pages import GREY, Flow, Sheet
from xds.rendering.pdf_drawing import PdfDescription, drawn
from xds.rendering.pdf_parts import banner, heading, labelled
from xds.rendering.pdf_text import is_wide, monospaced

_NO_TIME: Final = "20000101000000"
"""The time of making a PDF whose message says none; the clock is not asked."""


def render(source: ReportSource) -> RenderedDocument:
    """Return a report as PDF/A-2u (ISO 19005-2)."""
    about = PdfDescription(
        title=header.title(source),
        language=source.report.language or "en-GB",
        made=_made(source),
        foot=header.origin(source),
    )
    return rendered("application/pdf", FORMAT, drawn(_pages(source), about))


def _pages(source: ReportSource) -> Sequence[Sheet]:
    sections = source.content.sections
    flow = Flow(
        banner(*header.banner(source), title=header.title(source)),
        is_wide=bool(sections) and is_wide(sections[0].lines),
    )
    marks = header.marks(source)
    if marks:
        flow.boxed(marks, 10)
    labelled(flow, header.fields(source))
    for section in sections:
        _section(flow, section, source.zone)
    if source.content.other:
        heading(flow, "Other content of the message")
        for text in source.content.other:
            flow.prose(text, fonts.PROSE, 8)
    return flow.sheets


def _section(flow: Flow, section: ReportSection, zone: str) -> None:
    flow.orient(is_wide=is_wide(section.lines))
    if section.heading:
        heading(flow, section.heading)
    monospaced(flow, section.lines)
    if section.rows:
        table(flow, section.rows, zone)
    for note in section.notes:
        flow.prose(note, fonts.PROSE, 8, 9, GREY)
    flow.y += 6


def _made(source: ReportSource) -> datetime:
    said = source.report.reported or source.envelope.sent
    try:
        made = datetime.strptime((said + _NO_TIME[len(said) :])[:14], "%Y%m%d%H%M%S")
    except ValueError:
        made = datetime.strptime(_NO_TIME, "%Y%m%d%H%M%S")
    return made.replace(tzinfo=UTC)
