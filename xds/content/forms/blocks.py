"""Narratives as blocks that stand one below the other: for pages of a PDF, which have no markup.

CDA narrative and XHTML are read alike, by the local names of their elements; what is not known is
its text. Nothing that a reader should see is left out: what was deleted or inserted is said to be,
digits above and below the line stay so, and the address of a link stands behind its text.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from xds.content.pages.shown import shown_rows
from xds.content.pages.xhtml import sanitised_html, xhtml_element
from xds.content.reading.model import CdaNarrative, ContentTable, SectionContent, XhtmlNarrative
from xds.on_demand.forms import NotConvertible
from xds.rendering.pdf_grid import GridCell, GridRow

Element = Any
"""An element of lxml, which has no types of its own."""

MOST_CHARACTERS: Final = 4_000_000
_MOST_SPANNED: Final = 100
_INDENT: Final = 14.0


@dataclass(frozen=True, slots=True)
class ParagraphBlock:
    """Running text; its line ends are kept."""

    text: str
    indent: float = 0.0
    marker: str = ""
    """Before the text of an item."""
    level: int = 0
    """Of a heading; 0 for any other text."""


@dataclass(frozen=True, slots=True)
class PreformattedBlock:
    """Lines whose blanks have a meaning."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class GridBlock:
    """A table."""

    head: Sequence[GridRow]
    rows: Sequence[GridRow]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class PictureBlock:
    """A picture, by the XML ID that a narrative names."""

    reference: str


Block: TypeAlias = ParagraphBlock | PreformattedBlock | GridBlock | PictureBlock


def blocks(content: SectionContent) -> Sequence[Block]:
    """Return what a section says as blocks; NotConvertible where it is too much."""
    match content:
        case CdaNarrative():
            return BlockReader().read(content.text)
        case XhtmlNarrative():
            narrative = xhtml_element(content.div)
            if narrative is None:
                return (ParagraphBlock(sanitised_html(content.div).striptags()),)
            return BlockReader().read(narrative)
        case ContentTable():
            head = [[GridCell(one, is_head=True) for one in content.columns]]
            said = shown_rows(content.columns, content.rows)
            rows = [[GridCell(one) for one in row] for row in said]
            return (GridBlock(head if content.columns else (), rows, content.caption),)


_PARAGRAPHS: Final = frozenset(
    {"paragraph", "p", "div", "text", "blockquote", "dl", "dt", "dd", "address", "body", "caption"}
)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_UNSEEN: Final = frozenset({"script", "style", "col", "colgroup", "head", "title"})
_LISTS: Final = {"list": "ul", "ul": "ul", "ol": "ol"}
_SUPERSCRIPTS: Final = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_SUBSCRIPTS: Final = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")
_SIMPLE: Final = re.compile(r"[0-9+-]+")
_ADDRESSES: Final = ("https:", "http:", "mailto:")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")


def _name(element: Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


@dataclass(slots=True)
class BlockReader:
    """Reads one narrative."""

    found: list[Block] = field(default_factory=list)
    _line: list[str] = field(default_factory=list)
    _indent: float = 0.0
    _marker: str = ""
    _level: int = 0
    _characters: int = 0

    def read(self, narrative: Element) -> Sequence[Block]:
        """Return its blocks."""
        self._content(narrative)
        self._flush()
        return self.found

    # --- text ------------------------------------------------------------------------------------

    def _say(self, text: str | None) -> None:
        if text:
            self._characters += len(text)
            if self._characters > MOST_CHARACTERS:
                raise NotConvertible("the document has more text than a PDF is made of")
            self._line.append(_BLANKS.sub(" ", text))

    def _flush(self) -> None:
        """End a paragraph."""
        said = "".join(self._line)
        self._line.clear()
        text = "\n".join(line.strip(" ") for line in said.split("\n")).strip("\n")
        if text or self._marker:
            self.found.append(ParagraphBlock(text, self._indent, self._marker, self._level))
            self._marker = ""

    def _content(self, parent: Element) -> None:
        self._say(parent.text)
        for child in parent:
            self._element(child)
            self._say(child.tail)

    def _element(self, element: Element) -> None:
        name = _name(element)
        if not name or name in _UNSEEN:
            return
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, element)
        elif name in _PARAGRAPHS or name in _HEADINGS:
            self._paragraph(element, _HEADINGS.get(name, 0))
        elif name in _LISTS:
            self._list(element, _LISTS[name])
        else:
            self._content(element)

    def _paragraph(self, element: Element, level: int = 0) -> None:
        self._flush()
        before, self._level = self._level, level
        self._content(element)
        self._flush()
        self._level = before

    def _break(self, _: Element) -> None:
        self._line.append("\n")

    def _wrapped(self, element: Element, start: str, end: str) -> None:
        self._line.append(start)
        self._content(element)
        self._line.append(end)

    def _revised(self, element: Element) -> None:
        kind = element.get("revised") or {"del": "delete", "ins": "insert"}.get(_name(element), "")
        if kind in ("delete", "insert"):
            self._wrapped(element, f"[{kind}d: ".replace("insertd", "inserted"), "]")
        else:
            self._content(element)

    def _raised(self, element: Element) -> None:
        self._shifted(element, _SUPERSCRIPTS, "^")

    def _lowered(self, element: Element) -> None:
        self._shifted(element, _SUBSCRIPTS, "_")

    def _shifted(self, element: Element, table: Mapping[int, int], sign: str) -> None:
        inner = BlockReader()
        inner._content(element)
        text = "".join(inner._line).strip()
        if text:
            shown = text.translate(table) if _SIMPLE.fullmatch(text) else f"{sign}({text})"
            self._say(shown)
        self.found += inner.found

    def _note(self, element: Element) -> None:
        self._wrapped(element, " [note: ", "]")

    def _note_reference(self, element: Element) -> None:
        self._line.append(" [see note]")
        self._content(element)

    def _link(self, element: Element) -> None:
        before = len(self._line)
        self._content(element)
        address = element.get("href") or ""
        said = "".join(self._line[before:]).strip()
        if address.lower().startswith(_ADDRESSES) and address != said:
            self._say(f" ({address})" if said else address)

    def _media(self, element: Element) -> None:
        self._flush()
        self.found += [PictureBlock(one) for one in (element.get("referencedObject") or "").split()]
        self._content(element)
        self._flush()

    def _image(self, element: Element) -> None:
        self._say(f"[image: {element.get('alt') or 'without description'}]")

    def _preformatted(self, element: Element) -> None:
        self._flush()
        text = "".join(element.itertext())
        self._characters += len(text)
        self.found.append(PreformattedBlock(text.strip("\n").split("\n")))

    # --- lists -----------------------------------------------------------------------------------

    def _list(self, element: Element, kind: str) -> None:
        self._flush()
        ordered = kind == "ol" or element.get("listType") == "ordered"
        self._indent += _INDENT
        number = 0
        for child in element:
            if _name(child) in ("item", "li"):
                number += 1
                self._marker = f"{number}." if ordered else "\N{BULLET}"
                self._content(child)
                self._flush()
            else:
                self._element(child)
            self._say(child.tail)
        self._flush()
        self._indent -= _INDENT

    # --- tables ----------------------------------------------------------------------------------

    def _table(self, element: Element) -> None:
        self._flush()
        caption = ""
        head: list[GridRow] = []
        rows: list[GridRow] = []
        for part in _rows_of(element):
            name = _name(part)
            if name == "caption":
                caption = self._cell_text(part)
            elif name == "tr":
                is_head = _name(part.getparent()) == "thead"
                row = [*self._cells(part, is_head)]
                (head if is_head and not rows else rows).append(row)
            else:
                self._paragraph(part)
        self.found.append(GridBlock(head, rows, caption))

    def _cells(self, row: Element, is_head: bool) -> Iterator[GridCell]:
        for cell in row:
            if name := _name(cell):
                yield GridCell(
                    self._cell_text(cell),
                    is_head or name == "th",
                    _span(cell.get("colspan")),
                    _span(cell.get("rowspan")),
                )

    def _cell_text(self, cell: Element) -> str:
        inner = BlockReader(_characters=self._characters)
        lines = []
        pictures = []
        for one in inner.read(cell):
            match one:
                case ParagraphBlock():
                    lines.append(f"{one.marker} {one.text}".strip())
                case PreformattedBlock():
                    lines += one.lines
                case GridBlock():
                    lines += [
                        " | ".join(cell.text for cell in row) for row in (*one.head, *one.rows)
                    ]
                case PictureBlock():
                    pictures.append(one)
        self._characters = inner._characters
        self.found += pictures
        return "\n".join(lines)


def _rows_of(table: Element) -> Iterator[Element]:
    """Yield rows, caption and what else there is, out of the parts of a table."""
    for child in table:
        if _name(child) in ("thead", "tbody", "tfoot"):
            yield from (one for one in child if _name(one))
        elif _name(child) and _name(child) not in _UNSEEN:
            yield child


def _span(said: str | None) -> int:
    said = (said or "").strip()
    return min(max(int(said), 1), _MOST_SPANNED) if said.isdecimal() and len(said) < 5 else 1


_HANDLERS: Final[Mapping[str, Callable[[BlockReader, Element], None]]] = {
    "br": BlockReader._break,
    "content": BlockReader._revised,
    "del": BlockReader._revised,
    "ins": BlockReader._revised,
    "sup": BlockReader._raised,
    "sub": BlockReader._lowered,
    "footnote": BlockReader._note,
    "footnoteRef": BlockReader._note_reference,
    "linkHtml": BlockReader._link,
    "a": BlockReader._link,
    "renderMultiMedia": BlockReader._media,
    "img": BlockReader._image,
    "pre": BlockReader._preformatted,
    "table": BlockReader._table,
}
