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
from xds.rendering.pages import GREY, LEADING, Flow, Sheet
from xds.rendering.pdf_drawing import PdfDescription, drawn
from xds.rendering.pdf_text import is_wide, monospaced

_NAME_SIZE: Final = 11.0
_SIZE: Final = 8.5
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
    name, *facts = header.banner(source)

    def banner(flow: Flow) -> None:
        room = flow.room - 80  # for the number of the page
        for line in fonts.wrapped(name, fonts.BOLD, _NAME_SIZE, room):
            flow.put(0, line, fonts.BOLD, _NAME_SIZE)
            flow.advance(_NAME_SIZE)
        for text in ("   ".join(facts), header.title(source)):
            for line in fonts.wrapped(text, fonts.PROSE, _SIZE, flow.room):
                flow.put(0, line, fonts.PROSE, _SIZE)
                flow.advance(_SIZE)
        flow.y += 3
        flow.rule(1.0)
        flow.y += 8

    sections = source.content.sections
    flow = Flow(banner, is_wide=bool(sections) and is_wide(sections[0].lines))
    marks = header.marks(source)
    if marks:
        flow.boxed(marks, 10)
    _fields(flow, header.fields(source))
    for section in sections:
        _section(flow, section, source.zone)
    if source.content.other:
        _heading(flow, "Other content of the message")
        for text in source.content.other:
            flow.prose(text, fonts.PROSE, 8)
    return flow.sheets


def _fields(flow: Flow, fields: Sequence[tuple[str, str]]) -> None:
    """Place labels and values in two columns, filled row by row."""
    half = (flow.room - 14) / 2
    label_room = 6 + max(fonts.width(label, fonts.PROSE, _SIZE) for label, _ in fields)
    for at in range(0, len(fields), 2):
        pair = fields[at : at + 2]
        values = [
            list(fonts.wrapped(value, fonts.PROSE, _SIZE, half - label_room)) for _, value in pair
        ]
        height = max(map(len, values))
        flow.reserve(min(height, 6) * _SIZE * LEADING)
        for line in range(height):
            flow.reserve(_SIZE * LEADING)
            for side, ((label, _), value) in enumerate(zip(pair, values, strict=True)):
                x = side * (half + 14)
                flow.put(x, label if line == 0 else "", fonts.PROSE, _SIZE, GREY)
                if line < len(value):
                    flow.put(x + label_room, value[line], fonts.PROSE, _SIZE)
            flow.advance(_SIZE)
    flow.y += 3
    flow.rule()
    flow.y += 8


def _heading(flow: Flow, text: str) -> None:
    flow.y += 5
    flow.reserve(5 * 10 * LEADING)
    flow.prose(text, fonts.BOLD, 10)
    flow.y += 2


def _section(flow: Flow, section: ReportSection, zone: str) -> None:
    flow.orient(is_wide=is_wide(section.lines))
    if section.heading:
        _heading(flow, section.heading)
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
