"""Blocks as the narrative of a document that is made: XHTML for FHIR, markup of CDA R2."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from xds.content.forms.blocks import (
    Block,
    GridBlock,
    ParagraphBlock,
    PictureBlock,
    PreformattedBlock,
)
from xds.rendering.cda_elements import Element, element
from xds.rendering.pdf_grid import GridCell, GridRow
from xds.rendering.values import sayable

_SPACE = "\N{NO-BREAK SPACE}"


# --- XHTML ---------------------------------------------------------------------------------------


def xhtml(found: Iterable[Block]) -> str:
    """Return blocks as the ``div`` of a narrative (FHIR R4, narrative)."""
    content = "".join(map(_xhtml, found)) or "<p>-</p>"
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'


def _text(said: str) -> str:
    return escape(sayable(said), quote=False).replace("\n", "<br/>")


def _xhtml(block: Block) -> str:
    match block:
        case ParagraphBlock(text, _, marker, level):
            tag = f"h{level}" if level else "p"
            return f"<{tag}>{_text(f'{marker} {text}'.strip())}</{tag}>"
        case PreformattedBlock(lines):
            return f"<pre>{escape(sayable(chr(10).join(lines)), quote=False)}</pre>"
        case GridBlock(head, rows, caption):
            parts = [f"<caption>{_text(caption)}</caption>" if caption else ""]
            parts += [
                f"<{tag}>{_rows(some)}</{tag}>"
                for tag, some in (("thead", head), ("tbody", rows))
                if some
            ]
            return f"<table>{''.join(parts)}</table>" if head or rows else ""
        case PictureBlock():
            return "<p>[picture of the original]</p>"


def _rows(rows: Sequence[GridRow]) -> str:
    return "".join(f"<tr>{''.join(map(_cell, row)) or '<td/>'}</tr>" for row in rows)


def _cell(cell: GridCell) -> str:
    tag = "th" if cell.is_head else "td"
    spans = "".join(f' {name}="{value}"' for name, value in _spans(cell))
    return f"<{tag}{spans}>{_text(cell.text)}</{tag}>"


def _spans(cell: GridCell) -> Iterator[tuple[str, str]]:
    if cell.columns > 1:
        yield "colspan", str(cell.columns)
    if cell.rows > 1:
        yield "rowspan", str(cell.rows)


# --- CDA -----------------------------------------------------------------------------------------


def cda(found: Iterable[Block]) -> list[Element]:
    """Return blocks as what ``section/text`` holds (CDA R2, 4.3.5)."""
    return [one for block in found if (one := _cda(block)) is not None] or [
        element("paragraph", "-")
    ]


def _cda(block: Block) -> Element | None:
    match block:
        case ParagraphBlock(text, _, marker, level):
            said = _lines(f"{marker} {text}".strip().split("\n"))
            inner = [element("content", *said, styleCode="Bold")] if level else said
            return element("paragraph", *inner)
        case PreformattedBlock(lines):
            kept = [line.expandtabs().replace("  ", _SPACE * 2) for line in lines]
            return element("paragraph", *_lines(kept))
        case GridBlock(head, rows, caption):
            if not (head or rows):
                return None
            return element(
                "table",
                element("caption", caption) if caption else None,
                element("thead", *map(_row, head)) if head else None,
                element("tbody", *map(_row, rows or [[GridCell("")]])),
            )
        case PictureBlock():
            return element("paragraph", "[picture of the original]")


def _lines(lines: Sequence[str]) -> list[Element | str]:
    content: list[Element | str] = []
    for line in lines:
        content += [line, element("br")]
    return content[:-1]


def _row(row: GridRow) -> Element:
    cells = [
        element("th" if one.is_head else "td", *_lines(one.text.split("\n")), **dict(_spans(one)))
        for one in row
    ]
    return element("tr", *(cells or [element("td")]))
