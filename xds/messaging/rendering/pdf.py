"""A report as PDF/A-2u: its text can be searched and copied, its fonts are in it."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast
from xml.sax.saxutils import escape

from fpdf import FPDF
from fpdf.fonts import TTFFont

from xds.messaging.model import ReportSection
from xds.messaging.rendering import fonts, header
from xds.messaging.rendering.documents import PRODUCT, RenderedDocument, ReportSource, rendered
from xds.messaging.rendering.pages import GREY, LEADING, MARGIN, Flow, Sheet
from xds.messaging.rendering.pdf_table import table
from xds.messaging.rendering.pdf_text import is_wide, monospaced
from xds.messaging.rendering.text import FORMAT

_COMPLIANCE: Final = "PDF/A-2U"
_NAME_SIZE: Final = 11.0
_SIZE: Final = 8.5
_SMALL: Final = 7.0
_METADATA: Final = """\
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<pdfaid:part>2</pdfaid:part><pdfaid:conformance>U</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<xmp:CreateDate>{made}</xmp:CreateDate><xmp:ModifyDate>{made}</xmp:ModifyDate>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>"""
"""XMP as PDF/A wants it. That of fpdf2 has the time of the clock."""
_NO_TIME: Final = "20000101000000"
"""The time of making a PDF whose message says none; the clock is not asked."""


def render(source: ReportSource) -> RenderedDocument:
    """Return a report as PDF/A-2u (ISO 19005-2)."""
    return rendered("application/pdf", FORMAT, _drawn(_pages(source), source))


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


# --- drawing -------------------------------------------------------------------------------------


def _drawn(sheets: Sequence[Sheet], source: ReportSource) -> bytes:
    pdf = FPDF(unit="pt", format="A4", enforce_compliance=_COMPLIANCE)
    pdf.set_auto_page_break(False)
    pdf.set_draw_color(GREY)
    pdf.set_lang(source.report.language or "en-GB")
    made = _made(source)
    pdf.set_creation_date(made)
    pdf.set_xmp_metadata(_metadata(header.title(source), made))
    origin = header.origin(source)
    for number, sheet in enumerate(sheets, 1):
        pdf.add_page(orientation="landscape" if sheet.is_wide else "portrait")
        width, height = sheet.size
        for box in sheet.boxes:
            pdf.set_line_width(box.line)
            if box.height:
                pdf.rect(box.x, box.y, box.width, box.height)
            else:
                pdf.line(box.x, box.y, box.x + box.width, box.y)
        for one in sheet.texts:
            _write(pdf, one.x, one.y, one.text, one.font, one.size, one.grey)
        of_all = f"Page {number} of {len(sheets)}"
        at = width - MARGIN - fonts.width(of_all, fonts.PROSE, _SIZE)
        _write(pdf, at, MARGIN + _NAME_SIZE, of_all, fonts.PROSE, _SIZE)
        _foot(pdf, origin, width, height)
    return bytes(pdf.output())


def _foot(pdf: FPDF, origin: str, width: float, height: float) -> None:
    lines = list(fonts.wrapped(origin, fonts.PROSE, _SMALL, width - 2 * MARGIN))
    for at, line in enumerate(lines):
        y = height - 16 - (len(lines) - 1 - at) * _SMALL * LEADING
        _write(pdf, MARGIN, y, line, fonts.PROSE, _SMALL, GREY)


def _write(pdf: FPDF, x: float, y: float, text: str, font: str, size: float, grey: int = 0) -> None:
    pdf.set_text_color(grey)
    for name, shown in fonts.runs(text, font):
        if name not in pdf.fonts:
            # fpdf2 takes a file in memory, though its types say a path
            data = cast(Path, io.BytesIO(fonts.font(name).data))
            pdf.fonts[name] = TTFFont(pdf, data, name, "")
        pdf.set_font(name, size=size)
        pdf.text(x, y, shown)
        x += size * fonts.font(name).width(shown)


def _metadata(title: str, made: datetime) -> str:
    readable = "".join(shown for _, shown in fonts.runs(title, fonts.PROSE))
    return _METADATA.format(title=escape(readable), tool=escape(PRODUCT), made=made.isoformat())


def _made(source: ReportSource) -> datetime:
    said = source.report.reported or source.envelope.sent
    try:
        made = datetime.strptime((said + _NO_TIME[len(said) :])[:14], "%Y%m%d%H%M%S")
    except ValueError:
        made = datetime.strptime(_NO_TIME, "%Y%m%d%H%M%S")
    return made.replace(tzinfo=UTC)
