"""The narrative block of CDA R2 as HTML: the table of its elements (CDA R2 4.3.5, NarrativeBlock).

``section/text`` is what a section says, legally; its entries need not be shown (CDA R2 1.3).
"""

from collections.abc import Mapping
from typing import Final

from xds.content.cda_values import NS
from xds.content.pages.markup import (
    CELLS,
    ID,
    ITEMS,
    LANGUAGE,
    OF_CELLS,
    ROWS,
    STYLE,
    TABLE,
    Element,
    MarkupRenderer,
    MarkupRow,
    Rows,
    Vocabulary,
    simple,
)

_PLAIN: Final = MarkupRenderer.plain


_REVISED: Final[Mapping[str | None, str]] = {"insert": "ins", "delete": "del"}
"""What a revision adds, and what it takes away."""


def _multimedia(renderer: MarkupRenderer, element: Element, row: MarkupRow) -> None:
    renderer.media((element.get("referencedObject") or "").split(), element)


_ELEMENTS: Final[Mapping[str, MarkupRow]] = {
    "content": simple("span", revised=_REVISED),
    "linkHtml": MarkupRow("a", MarkupRenderer.link),
    "sub": simple("sub"),
    "sup": simple("sup"),
    "br": MarkupRow("br", MarkupRenderer.empty),
    "footnote": MarkupRow("sup", MarkupRenderer.note),
    "footnoteRef": MarkupRow("sup", MarkupRenderer.note_reference),
    "renderMultiMedia": MarkupRow("span", _multimedia),
    "paragraph": MarkupRow("p", MarkupRenderer.paragraph, is_block=True),
    "caption": MarkupRow("span", MarkupRenderer.inline_caption, classes="caption"),
    "list": MarkupRow("ul", MarkupRenderer.list, holds=ITEMS, is_block=True),
    "item": simple("li", ITEMS, is_block=True),
    "table": MarkupRow("table", MarkupRenderer.table, holds=TABLE, is_block=True),
    # their widths are not heeded
    "colgroup": MarkupRow("", MarkupRenderer.nothing, TABLE, TABLE),
    "col": MarkupRow("", MarkupRenderer.nothing, TABLE, TABLE),
    "thead": MarkupRow("thead", MarkupRenderer.head, TABLE, ROWS),
    "tfoot": simple("tfoot", TABLE, ROWS),
    "tbody": simple("tbody", TABLE, ROWS),
    "tr": simple("tr", TABLE | ROWS, CELLS),
    "th": MarkupRow("th", MarkupRenderer.header_cell, CELLS),
    "td": simple("td", CELLS),
}

STYLES: Final[Mapping[str, str]] = {
    "bold": "bold",
    "underline": "underline",
    "italics": "italics",
    "emphasis": "italics",
    "lrule": "rule-left",
    "rrule": "rule-right",
    "toprule": "rule-top",
    "botrule": "rule-bottom",
    "arabic": "arabic",
    "littleroman": "little-roman",
    "bigroman": "big-roman",
    "littlealpha": "little-alpha",
    "bigalpha": "big-alpha",
    "disc": "disc",
    "circle": "circle",
    "square": "square",
    # the values of ``align``
    "left": "left",
    "right": "right",
    "center": "center",
}
"""The vocabulary of ``styleCode`` (CDA R2 4.3.5.11); local codes, which begin with x, are none."""


def _qualified(name: str) -> str:
    return f"{{{NS}}}{name}"


_ROWS: Final[Rows] = {_qualified(name): row for name, row in _ELEMENTS.items()}
CDA_NARRATIVE: Final = Vocabulary(
    rows=_ROWS,
    id="ID",
    attributes={"ID": ID, "language": LANGUAGE, "styleCode": STYLE, "align": STYLE, **OF_CELLS},
    styles=STYLES,
    caption=_qualified("caption"),
    header_cell=_qualified("th"),
    data_cell=_qualified("td"),
    blocks=tuple(_qualified(name) for name, row in _ELEMENTS.items() if row.is_block),
    footnote=_qualified("footnote"),
)
