"""The narrative block of CDA R2 as HTML: the table of its elements (CDA R2 4.3.5, NarrativeBlock).

``section/text`` is what a section says, legally; its entries need not be shown (CDA R2 1.3).
"""

from collections.abc import Mapping
from typing import Final

from xds.content.cda_values import NS
from xds.content.pages.markup import (
    Element,
    Holds,
    MarkupRenderer,
    MarkupRow,
    Rows,
    Vocabulary,
)

_FLOW: Final = frozenset({Holds.FLOW})
_OF_TABLE: Final = frozenset({Holds.TABLE})
_PLAIN: Final = MarkupRenderer.plain


def _revised(renderer: MarkupRenderer, element: Element, row: MarkupRow) -> None:
    """Write ``content``, of which a revision says what it adds and what it takes away."""
    tag = {"insert": "ins", "delete": "del"}.get(element.get("revised") or "", row.tag)
    renderer.within(tag, element)


def _multimedia(renderer: MarkupRenderer, element: Element, row: MarkupRow) -> None:
    renderer.media((element.get("referencedObject") or "").split(), element)


_ELEMENTS: Final[Mapping[str, MarkupRow]] = {
    "content": MarkupRow("span", _revised),
    "linkHtml": MarkupRow("a", MarkupRenderer.link),
    "sub": MarkupRow("sub", _PLAIN),
    "sup": MarkupRow("sup", _PLAIN),
    "br": MarkupRow("br", MarkupRenderer.empty),
    "footnote": MarkupRow("sup", MarkupRenderer.note),
    "footnoteRef": MarkupRow("sup", MarkupRenderer.note_reference),
    "renderMultiMedia": MarkupRow("span", _multimedia),
    "paragraph": MarkupRow("p", MarkupRenderer.paragraph, is_block=True),
    "caption": MarkupRow("span", MarkupRenderer.inline_caption, classes="caption"),
    "list": MarkupRow("ul", MarkupRenderer.list, holds=Holds.ITEMS, is_block=True),
    "item": MarkupRow("li", _PLAIN, frozenset({Holds.ITEMS}), is_block=True),
    "table": MarkupRow("table", MarkupRenderer.table, holds=Holds.TABLE, is_block=True),
    # their widths are not heeded
    "colgroup": MarkupRow("", MarkupRenderer.nothing, _OF_TABLE, Holds.TABLE),
    "col": MarkupRow("", MarkupRenderer.nothing, _OF_TABLE, Holds.TABLE),
    "thead": MarkupRow("thead", MarkupRenderer.head, _OF_TABLE, Holds.ROWS),
    "tfoot": MarkupRow("tfoot", _PLAIN, _OF_TABLE, Holds.ROWS),
    "tbody": MarkupRow("tbody", _PLAIN, _OF_TABLE, Holds.ROWS),
    "tr": MarkupRow("tr", _PLAIN, frozenset({Holds.TABLE, Holds.ROWS}), Holds.CELLS),
    "th": MarkupRow("th", MarkupRenderer.cell, frozenset({Holds.CELLS})),
    "td": MarkupRow("td", MarkupRenderer.cell, frozenset({Holds.CELLS})),
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
    languages=("language",),
    style="styleCode",
    styles=STYLES,
    caption=_qualified("caption"),
    header_cell=_qualified("th"),
    data_cell=_qualified("td"),
    blocks=tuple(_qualified(name) for name, row in _ELEMENTS.items() if row.is_block),
    footnote=_qualified("footnote"),
)
