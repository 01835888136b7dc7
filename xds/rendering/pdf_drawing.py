"""Pages become a PDF/A, whose text can be searched: the same bytes for the same pages."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, cast
from xml.sax.saxutils import escape

from fpdf import FPDF
from fpdf.fonts import TTFFont

from xds import PRODUCT
from xds.rendering import fonts
from xds.rendering.pages import GREY, LEADING, MARGIN, Sheet

Conformance = Literal["PDF/A-1B", "PDF/A-2U"]
"""The parts and levels of ISO 19005 that are made."""

_NUMBER_SIZE: Final = 8.5
_NUMBER_BASE: Final = 11.0
_SMALL: Final = 7.0
_METADATA: Final = """\
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<pdfaid:part>{part}</pdfaid:part><pdfaid:conformance>{level}</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<xmp:CreateDate>{made}</xmp:CreateDate><xmp:ModifyDate>{made}</xmp:ModifyDate>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>"""
"""XMP as PDF/A wants it. That of fpdf2 has the time of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfDescription:
    """What a PDF says of itself."""

    title: str
    language: str
    """RFC 5646."""
    made: datetime
    foot: str
    """Stands at the foot of each page."""
    conformance: Conformance = "PDF/A-2U"


def drawn(sheets: Sequence[Sheet], about: PdfDescription) -> bytes:
    """Return the pages as PDF/A (ISO 19005)."""
    pdf = FPDF(unit="pt", format="A4", enforce_compliance=about.conformance)
    pdf.set_auto_page_break(False)
    pdf.set_draw_color(GREY)
    pdf.set_lang(about.language)
    pdf.set_creation_date(about.made)
    pdf.set_xmp_metadata(_metadata(about))
    for number, sheet in enumerate(sheets, 1):
        pdf.add_page(orientation="landscape" if sheet.is_wide else "portrait")
        width, height = sheet.size
        for box in sheet.boxes:
            pdf.set_line_width(box.line)
            if box.height:
                pdf.rect(box.x, box.y, box.width, box.height)
            else:
                pdf.line(box.x, box.y, box.x + box.width, box.y)
        for image in sheet.images:
            pdf.image(io.BytesIO(image.data), image.x, image.y, image.width, image.height)
        for one in sheet.texts:
            _write(pdf, one.x, one.y, one.text, one.font, one.size, one.grey)
        of_all = f"Page {number} of {len(sheets)}"
        at = width - MARGIN - fonts.width(of_all, fonts.PROSE, _NUMBER_SIZE)
        _write(pdf, at, MARGIN + _NUMBER_BASE, of_all, fonts.PROSE, _NUMBER_SIZE)
        _foot(pdf, about.foot, width, height)
    return bytes(pdf.output())


def _foot(pdf: FPDF, said: str, width: float, height: float) -> None:
    lines = list(fonts.wrapped(said, fonts.PROSE, _SMALL, width - 2 * MARGIN))
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


def _metadata(about: PdfDescription) -> str:
    readable = "".join(shown for _, shown in fonts.runs(about.title, fonts.PROSE))
    conformance = about.conformance.removeprefix("PDF/A-")
    return _METADATA.format(
        title=escape(readable),
        tool=escape(PRODUCT),
        made=about.made.isoformat(),
        part=conformance[0],
        level=conformance[1],
    )
