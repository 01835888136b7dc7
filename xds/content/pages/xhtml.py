"""``Narrative.div`` of FHIR resources, and HTML, as HTML that is safe (FHIR R4, narrative 2.4).

What FHIR allows becomes the page's own markup by a table, as that of CDA does; nh3 holds the result
to its lists of tags, attributes and schemes. What is no XHTML goes to nh3 as it is.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

import nh3
from markupsafe import Markup

from xds.content.pages.markup import (
    CELLS,
    ID,
    ITEMS,
    LANGUAGE,
    OF_CELLS,
    ROWS,
    STYLE,
    TABLE,
    TERMS,
    Element,
    MarkupRenderer,
    MarkupRow,
    Rows,
    Vocabulary,
    simple,
)
from xds.content.pages.narrative import STYLES
from xds.content.pages.pictures import picture_of
from xds.content.pages.scope import NarrativeScope
from xds.content.pages.words import quoted
from xds.parsing import MalformedXML, parse

NS: Final = "http://www.w3.org/1999/xhtml"
_XML_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_PLAIN: Final = MarkupRenderer.plain
_DATA_IMAGE: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,([A-Za-z0-9+/=\s]+)")


def _image(renderer: MarkupRenderer, element: Element, row: MarkupRow) -> None:
    """Write an image of the document itself, or one that the narrative carries; fetch none."""
    source, told = (element.get("src") or "").strip(), element.get("alt") or ""
    found = _DATA_IMAGE.fullmatch(source)
    if found is None:
        renderer.media([source.removeprefix("#")], element, told)
        return
    try:
        picture = picture_of(base64.b64decode(found[1]))
    except binascii.Error:
        picture = None
    if picture is None:
        renderer.media([""], element, told)
        return
    address = f"data:{picture.media_type};base64,{''.join(found[1].split())}"
    renderer.write(f'<img src="{address}" alt="{quoted(told)}"')
    renderer.write(f' width="{picture.width}" height="{picture.height}">')


def _heading(renderer: MarkupRenderer, element: Element, row: MarkupRow) -> None:
    """Write a heading without the level, which is that of another document."""
    renderer.within("div", element, classes="heading")


_TAGS: Final = (
    *(
        "b",
        "i",
        "em",
        "strong",
        "u",
        "s",
        "small",
        "big",
        "sub",
        "sup",
        "tt",
        "code",
        "kbd",
        "samp",
    ),
    *("var", "dfn", "cite", "q", "abbr", "ins", "del", "span", "label", "bdo", "font"),
)
"""Inline elements, written as they are but for those of :data:`_RENAMED`."""
_RENAMED: Final = {"big": "span", "tt": "code", "label": "span", "bdo": "span", "font": "span"}
_BLOCKS: Final = ("div", "pre", "blockquote", "address")
_ELEMENTS: Final[Mapping[str, MarkupRow]] = {
    **{name: simple(_RENAMED.get(name, name)) for name in _TAGS},
    **{name: simple(name, is_block=True) for name in _BLOCKS},
    **{f"h{n}": MarkupRow("div", _heading, is_block=True) for n in range(1, 7)},
    "p": MarkupRow("p", MarkupRenderer.paragraph, is_block=True),
    "br": MarkupRow("br", MarkupRenderer.empty),
    "hr": MarkupRow("hr", MarkupRenderer.empty, is_block=True),
    "a": MarkupRow("a", MarkupRenderer.link),
    "img": MarkupRow("img", _image),
    "ul": MarkupRow("ul", MarkupRenderer.list, holds=ITEMS, is_block=True),
    "ol": MarkupRow("ol", MarkupRenderer.list, holds=ITEMS, is_block=True),
    "li": simple("li", ITEMS, is_block=True),
    "dl": simple("dl", holds=TERMS, is_block=True),
    "dt": simple("dt", TERMS, is_block=True),
    "dd": simple("dd", TERMS, is_block=True),
    "table": MarkupRow("table", MarkupRenderer.table, holds=TABLE, is_block=True),
    "caption": MarkupRow("span", MarkupRenderer.inline_caption, classes="caption"),
    "colgroup": MarkupRow("", MarkupRenderer.nothing, TABLE, TABLE),
    "col": MarkupRow("", MarkupRenderer.nothing, TABLE, TABLE),
    "thead": MarkupRow("thead", MarkupRenderer.head, TABLE, ROWS),
    "tfoot": simple("tfoot", TABLE, ROWS),
    "tbody": simple("tbody", TABLE, ROWS),
    "tr": simple("tr", TABLE | ROWS, CELLS),
    "th": MarkupRow("th", MarkupRenderer.header_cell, CELLS),
    "td": simple("td", CELLS),
}
_STYLES: Final = {**STYLES, "strikethrough": "struck", "justify": "left"}
"""The classes that FHIR names for narratives, and the values of ``align``."""


def _qualified(name: str) -> str:
    return f"{{{NS}}}{name}"


_ROWS: Final[Rows] = {_qualified(name): row for name, row in _ELEMENTS.items()}
XHTML_NARRATIVE: Final = Vocabulary(
    rows=_ROWS,
    id="id",
    attributes={
        "id": ID,
        "lang": LANGUAGE,
        _XML_LANGUAGE: LANGUAGE,
        "class": STYLE,
        "align": STYLE,
        **OF_CELLS,
    },
    styles=_STYLES,
    caption=_qualified("caption"),
    header_cell=_qualified("th"),
    data_cell=_qualified("td"),
    blocks=tuple(_qualified(name) for name, row in _ELEMENTS.items() if row.is_block),
)

_WRITTEN: Final = frozenset(
    {"caption", "img", *(row.tag for row in _ELEMENTS.values() if row.tag), "a", "p"}
)
_OF_CELLS: Final = frozenset({"colspan", "rowspan", "headers", "scope"})
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "*": {"id", "lang", "class"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "th": {*_OF_CELLS},
    "td": {*_OF_CELLS},
    # of the region that a table scrolls in
    "div": {"tabindex", "role", "aria-label"},
}
_SCHEMES: Final = frozenset({"https", "http", "mailto", "data"})
"""``data`` is that of images whose bytes were looked at; no link has it."""


def xhtml_element(div: str) -> Element | None:
    """Parse a narrative; None where it is no XHTML."""
    try:
        return parse(div.encode())
    except (MalformedXML, UnicodeEncodeError):
        return None


def sanitised_xhtml(narrative: Element, scope: NarrativeScope) -> Markup:
    """Return a narrative as HTML that may stand in a ``div``."""
    return Markup(
        nh3.clean(
            str(MarkupRenderer(XHTML_NARRATIVE, scope).render(narrative)),
            tags=set(_WRITTEN),
            attributes=_ATTRIBUTES,
            attribute_filter=_without_data,
            url_schemes=set(_SCHEMES),
            link_rel="noopener noreferrer nofollow",
        )
    )


def _without_data(tag: str, attribute: str, value: str) -> str | None:
    return None if attribute == "href" and value.lower().startswith("data:") else value


_UNSEEN: Final = frozenset({"script", "style", "template", "title"})
"""What no browser shows of HTML."""


_HEADINGS: Final = tuple(f"h{n}" for n in range(1, 7))
"""Kept to be seen; their levels are those of another page."""


def sanitised_html(text: str) -> Markup:
    """Return HTML that is no XHTML, without its links, images, scripts and styles."""
    return Markup(
        nh3.clean(
            text,
            tags={*_WRITTEN, *_HEADINGS} - {"a", "img"},
            clean_content_tags=set(_UNSEEN),
            attributes={
                "*": {"lang"},
                "th": {*_OF_CELLS} - {"headers"},
                "td": {"colspan", "rowspan"},
            },
            set_tag_attribute_values={name: {"role": "presentation"} for name in _HEADINGS},
            url_schemes=set(),
        )
    )
