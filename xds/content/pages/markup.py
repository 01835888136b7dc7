"""Markup of a document becomes HTML by a table: what stands in no row is its text, escaped.

Nothing in a document makes it fail. Where an element stands out of its place, its words stand
there, in a table within a cell, in a list within an item. What is beyond the limits is left out,
which :attr:`NarrativeScope.is_cut` tells.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from lxml import etree
from markupsafe import Markup

from xds.content.pages.links import safe_link
from xds.content.pages.scope import NarrativeScope
from xds.content.pages.words import (
    escaped,
    has_words,
    language_of,
    quoted,
    span_of,
    texts_of,
    words,
)

Element: TypeAlias = etree._Element
_DEEPEST: Final = 64
"""How deep elements are nested that become elements; below it their text stands. A browser itself
flattens what is nested deeper than 512."""
_LONGEST_LABEL: Final = 80

_ID: Final = re.compile(r"[^\s\"'<>&]{1,200}")
_SCOPES: Final = frozenset({"row", "col", "rowgroup", "colgroup"})


FLOW: Final = 1
"""What may stand directly within an element of HTML: anything, or the parts of something. Plain
numbers, of which several are a sum: they are looked at for each element."""
ITEMS: Final = 2
TERMS: Final = 4
TABLE: Final = 8
ROWS: Final = 16
CELLS: Final = 32

ID: Final = 1
LANGUAGE: Final = 2
STYLE: Final = 3
SPAN: Final = 4
HEADERS: Final = 5
OF_CELLS: Final[Mapping[str, int]] = {"colspan": SPAN, "rowspan": SPAN, "headers": HEADERS}

_WITHIN: Final[Mapping[int, tuple[str, str]]] = {
    ITEMS: ("<li>", "</li>"),
    TERMS: ("<dd>", "</dd>"),
    TABLE: ("<tbody><tr><td>", "</td></tr></tbody>"),
    ROWS: ("<tr><td>", "</td></tr>"),
    CELLS: ("<td>", "</td>"),
}
"""What is put around something that has no place there."""


@dataclass(frozen=True, slots=True)
class MarkupRow:
    """A row of the table: what an element becomes, and where it may stand."""

    tag: str
    write: Callable[["MarkupRenderer", Element, "MarkupRow"], None]
    fits: int = FLOW
    holds: int = FLOW
    is_block: bool = False
    """Whether a paragraph cannot hold it."""
    classes: str = ""
    simple: tuple[str, str] | None = None
    """Of what is its tag, its attributes and whatever is in it: what stands before its attributes,
    and after all of it."""
    revised: Mapping[str | None, tuple[str, str]] = field(default_factory=dict)
    """The same by what its attribute ``revised`` says."""


Rows = Mapping[object, MarkupRow]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The elements and attributes of one language of narratives."""

    rows: Rows
    id: str
    """The name of the attribute by which elements are referred to."""
    attributes: Mapping[str, int]
    """What each attribute that is heeded says: ID, LANGUAGE, STYLE, SPAN or HEADERS."""
    styles: Mapping[str, str]
    """Words of the style attribute, in lower case, to classes of the page."""
    caption: str
    """The tag of the caption of a table or a list."""
    header_cell: str
    data_cell: str
    blocks: tuple[str, ...] = ()
    footnote: str = ""


class MarkupRenderer:
    """Renders one narrative."""

    def __init__(self, vocabulary: Vocabulary, scope: NarrativeScope) -> None:
        self.vocabulary = vocabulary
        self.scope = scope
        self._rows = vocabulary.rows
        self._parts: list[str] = []
        self.write = self._parts.append
        self._depth = 0
        self._notes: list[tuple[int, Element]] = []
        self._links = 0
        self._tables: list[Element] = []
        self._headers: dict[Element, frozenset[str]] = {}
        self._is_head = False

    def render(self, narrative: Element) -> Markup:
        """Return what is in a narrative as HTML that may stand in a ``div``."""
        self.content(narrative, FLOW)
        self._write_notes()
        return Markup("".join(self._parts))

    # --- content ---------------------------------------------------------------------------------

    def content(self, parent: Element, holds: int, without: Element | None = None) -> None:
        """Write what is in an element, into an element of HTML that holds certain others.

        Nearly all of the time of a page is spent here, so what is simple is written at once.
        """
        if text := parent.text:
            self._text(text, holds)
        if not len(parent):
            return
        if self._depth >= _DEEPEST:
            self._flattened(parent, holds)
            return
        self._depth += 1
        scope, find, write = self.scope, self._rows.get, self.write
        unknown = _UNKNOWN if holds == FLOW else None
        for child in parent.iterchildren("*"):
            scope.elements_left -= 1
            if scope.elements_left < 0:
                scope.is_cut = True
                break
            row = find(child.tag, unknown)
            if row is None or not row.fits & holds:
                if child is not without:
                    self._out_of_place(child, row, holds)
            elif row.simple is None:
                if child is not without:
                    row.write(self, child, row)
            else:
                before, after = row.simple
                if given := child.items():
                    if row.revised:
                        before, after = row.revised.get(child.get("revised"), row.simple)
                    write(f"{before}{self._attributes(child, given)}>")
                else:
                    write(f"{before}>")
                if len(child):
                    self.content(child, row.holds)
                elif text := child.text:
                    self._text(text, row.holds)
                write(after)
            if tail := child.tail:
                self._text(tail, holds)
        self._depth -= 1

    def _text(self, text: str, holds: int) -> None:
        if holds == FLOW:
            self.write(escaped(text))
        elif not text.isspace():
            before, after = _WITHIN[holds]
            self._parts += (before, escaped(text), after)

    def _flattened(self, parent: Element, holds: int) -> None:
        texts = (text for child in parent.iterchildren("*") for text in texts_of(child))
        if told := " ".join(texts).strip():
            self._text(f" {told} ", holds)

    def _out_of_place(self, child: Element, row: MarkupRow | None, holds: int) -> None:
        if row is None and holds != FLOW:
            self.content(child, holds)  # as if its tags were not there
        elif row is None or (holds == FLOW and not row.fits & FLOW):
            self.write(_APART)
            self.within("span", child, classes="block")
            self.write(_APART)
        else:
            before, after = _WITHIN[holds]
            self.write(before)
            if row.fits & FLOW:
                row.write(self, child, row)
            else:
                self.content(child, FLOW)
            self.write(after)

    def within(self, tag: str, element: Element, holds: int = FLOW, classes: str = "") -> None:
        """Write an element of HTML with the content and the common attributes of another."""
        self.write(f"<{tag}{self.attributes(element, classes)}>")
        self.content(element, holds)
        self.write(f"</{tag}>")

    # --- attributes ------------------------------------------------------------------------------

    def attributes(self, element: Element, classes: str = "") -> str:
        """Return the attributes that an element may have: id, language, style, those of cells."""
        if given := element.items():
            return self._attributes(element, given, classes)
        return f' class="{classes}"' if classes else ""

    def _attributes(
        self, element: Element, given: Sequence[tuple[str, str]], classes: str = ""
    ) -> str:
        known = self.vocabulary.attributes
        found, has_spans = "", False
        for name, value in given:
            kind = known.get(name)
            if kind == STYLE:
                classes = f"{classes} {self._classes(value)}"
            elif kind == ID:
                found += self.identifier(value)
            elif kind == LANGUAGE:
                if (language := language_of(value)) and " lang=" not in found:
                    found += f' lang="{language}"'
            elif kind == SPAN:
                has_spans = True
            elif kind == HEADERS:
                found += self._cell_headers(element, value)
        if has_spans:
            found += self._spans(element)
        if classes and (used := dict.fromkeys(classes.split())):
            found += f' class="{" ".join(used)}"'
        return found

    def _classes(self, styles: str) -> str:
        known = self.vocabulary.styles
        return " ".join(known[word] for word in styles.lower().split() if word in known)

    def identifier(self, given: str) -> str:
        """Return the attribute ``id``, kept apart from the page's own; nothing for a second one."""
        if not _ID.fullmatch(given) or given in self.scope.ids:
            return ""
        self.scope.ids.add(given)
        return f' id="d-{given}"'

    def _spans(self, cell: Element) -> str:
        if cell.tag not in (self.vocabulary.header_cell, self.vocabulary.data_cell):
            return ""
        spans = {name: span_of(cell.get(name)) for name in ("colspan", "rowspan")}
        covered = spans["colspan"] * spans["rowspan"]
        if covered == 1:
            return ""
        self.scope.spanned_left -= covered
        if self.scope.spanned_left < 0:
            return ""
        return "".join(f' {name}="{number}"' for name, number in spans.items() if number > 1)

    def _cell_headers(self, cell: Element, given: str) -> str:
        """Return the header cells that a cell names, those alone that its table has."""
        if not self._tables or cell.tag not in (
            self.vocabulary.header_cell,
            self.vocabulary.data_cell,
        ):
            return ""
        table = self._tables[-1]
        if table not in self._headers:
            cells = table.iter(self.vocabulary.header_cell)
            known = (one.get(self.vocabulary.id) for one in cells if has_words(one))
            self._headers[table] = frozenset(one for one in known if one and _ID.fullmatch(one))
        own = cell.get(self.vocabulary.id)
        found = [one for one in given.split() if one in self._headers[table] and one != own]
        return f' headers="{" ".join(f"d-{quoted(one)}" for one in found)}"' if found else ""

    # --- the ways to write an element ------------------------------------------------------------

    def plain(self, element: Element, row: MarkupRow) -> None:
        """Write it as the element of its row."""
        self.write(f"<{row.tag}{self.attributes(element, row.classes)}>")
        self.content(element, row.holds)
        self.write(f"</{row.tag}>")

    def inline_caption(self, element: Element, row: MarkupRow) -> None:
        """Write a caption before what it is of, which it must not grow together with."""
        self.plain(element, row)
        self.write(" ")

    def empty(self, element: Element, row: MarkupRow) -> None:
        """Write it as an element that has no content; if there is any, it follows."""
        self.write(f"<{row.tag}>")
        self.content(element, FLOW)

    def nothing(self, element: Element, row: MarkupRow) -> None:
        """Write of it what is in it alone, in the place where it stands."""
        self.content(element, row.holds)

    def paragraph(self, element: Element, row: MarkupRow) -> None:
        """Write a paragraph; one that holds what no ``p`` can is a ``div``."""
        blocks = self.vocabulary.blocks
        is_large = next(element.iterdescendants(*blocks), None) is not None
        tag, classes = ("div", "paragraph") if is_large else ("p", "")
        self.within(tag, element, classes=classes)

    def list(self, element: Element, row: MarkupRow) -> None:
        """Write a list, ordered where its row or its listType says so."""
        tag = "ol" if element.get("listType") == "ordered" else row.tag
        caption = self._caption(element)
        if caption is not None:
            self.within("div", caption, classes="caption")
        self.write(f"<{tag}{self.attributes(element)}>")
        self.content(element, row.holds, without=caption)
        self.write(f"</{tag}>")

    def table(self, element: Element, row: MarkupRow) -> None:
        """Write a table; the outermost scrolls for itself where it is wider than the page."""
        caption = self._caption(element)
        is_outermost = not self._tables
        if is_outermost:
            self.scope.tables += 1
            label = f"Table {self.scope.tables}"
            if caption is not None and (told := words(caption)):
                label = f"{label}: {told[:_LONGEST_LABEL]}"
            self.write(
                f'<div class="wide" tabindex="0" role="region" aria-label="{quoted(label)}">'
            )
        self._tables.append(element)
        outer, self._is_head = self._is_head, False
        self.write(f"<table{self.attributes(element)}>")
        if caption is not None:
            self.within("caption", caption)
        self.content(element, row.holds, without=caption)
        self.write("</table>")
        self._is_head = outer
        self._tables.pop()
        if is_outermost:
            self.write("</div>")

    def head(self, element: Element, row: MarkupRow) -> None:
        """Write the head of a table, whose header cells are those of columns."""
        outer, self._is_head = self._is_head, True
        self.plain(element, row)
        self._is_head = outer

    def header_cell(self, element: Element, row: MarkupRow) -> None:
        """Write a header cell of a table; one without words is none."""
        if not has_words(element):
            self.within("td", element)
            return
        self.write(f'<th scope="{self._scope(element)}"{self.attributes(element)}>')
        self.content(element, FLOW)
        self.write("</th>")

    def _scope(self, cell: Element) -> str:
        given = (cell.get("scope") or "").lower()
        if given in _SCOPES:
            return given
        row = cell.getparent()
        is_beside = row is not None and row.find(self.vocabulary.data_cell) is not None
        return "row" if is_beside and not self._is_head else "col"

    def link(self, element: Element, row: MarkupRow) -> None:
        """Write a link, where it leads to a page that may be opened; else its text."""
        href = (element.get("href") or "").strip()
        name = element.get("name") or ""
        anchor = self.identifier(name) if name else ""
        target = self._inner(href) if href.startswith("#") else None
        outer = None if target or self._links else safe_link(href)
        if target and not self._links:
            opening = f'<a href="#d-{quoted(target)}"'
        elif outer:
            opening = f'<a href="{quoted(outer.href)}" rel="noopener noreferrer nofollow"'
        else:
            self.within("span", element)
            if anchor:
                self.write(f"<span{anchor}></span>")
            if href and not href.startswith("#"):
                self.write(' <span class="aside">[link left out]</span> ')
            return
        self._links += 1
        self.write(f"{opening}{anchor}{self.attributes(element)}>")
        before = len(self._parts)
        self.content(element, FLOW)
        if not "".join(self._parts[before:]).strip():
            self.write(escaped(href))
        self.write("</a>")
        self._links -= 1
        if outer and outer.host:
            self.write(f' <span class="aside">[{escaped(outer.host)}]</span> ')

    def _inner(self, href: str) -> str | None:
        given = href[1:]
        known = _ID.fullmatch(given) and self.scope.has_id(given, self.vocabulary.id)
        return given if known else None

    def media(self, references: Iterable[str], element: Element, told: str = "") -> None:
        """Write what an element refers to, with the words that are in it."""
        caption = told or words(element)
        self.write(f'<span class="media"{self.attributes(element)}>')
        for reference in references:
            self.write(self.scope.media(reference, caption))
        if caption:
            self.write(f'<span class="caption">{escaped(caption)}</span>')
        self.write("</span>")

    # --- notes -----------------------------------------------------------------------------------

    def note(self, element: Element, row: MarkupRow) -> None:
        """Write the number of a footnote; the note itself stands below the narrative."""
        number = self.scope.notes[element]
        self._notes.append((number, element))
        self._write_reference(number)

    def note_reference(self, element: Element, row: MarkupRow) -> None:
        """Write the number of the footnote that an element refers to."""
        if number := self.scope.notes_by_id.get((element.get("IDREF") or "").strip()):
            self._write_reference(number)
        self.content(element, FLOW)

    def _write_reference(self, number: int) -> None:
        if self._links:
            self.write(f"<sup>[{number}]</sup>")
            return
        self.write(f'<sup><a href="#note-{number}" aria-label="Note {number}">[{number}]</a></sup>')

    def _write_notes(self) -> None:
        if not self._notes:
            return
        self.write('<div class="notes">')
        # a note may have notes of its own
        for number, element in self._notes:
            self.write(f'<div id="note-{number}"><span class="number">[{number}]</span> ')
            self.within("div", element)
            self.write("</div>")
        self.write("</div>")

    def _caption(self, element: Element) -> Element | None:
        first = next(element.iterchildren("*"), None)
        return first if first is not None and first.tag == self.vocabulary.caption else None


def number_notes(scope: NarrativeScope, vocabulary: Vocabulary) -> None:
    """Give numbers to the footnotes of a page, in the order in which they are written."""
    for narrative in scope.narratives:
        for note in narrative.iter(vocabulary.footnote):
            number = scope.notes[note] = len(scope.notes) + 1
            if given := note.get(vocabulary.id):
                scope.notes_by_id.setdefault(given, number)


def simple(
    tag: str,
    fits: int = FLOW,
    holds: int = FLOW,
    *,
    is_block: bool = False,
    revised: Mapping[str | None, str] = MappingProxyType({}),
) -> MarkupRow:
    """Return the row of an element that is its tag, its attributes and whatever is in it.

    ``revised`` has other tags by what its attribute of that name says.
    """
    return MarkupRow(
        tag,
        MarkupRenderer.plain,
        fits,
        holds,
        is_block=is_block,
        simple=_tags(tag),
        revised={value: _tags(other) for value, other in revised.items()},
    )


def _tags(tag: str) -> tuple[str, str]:
    return f"<{tag}", f"</{tag}>"


_APART: Final = " "
"""Written on either side of what the page has no element for: words must not grow together."""
_UNKNOWN: Final = MarkupRow(
    "span", MarkupRenderer.plain, simple=(f"{_APART}<span", f"</span>{_APART}")
)
"""The row of elements of no row, where their text may stand."""
