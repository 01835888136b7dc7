"""Narratives of CDA and of FHIR for tests: made of markup, rendered, and read as a browser does."""

from lxml import etree, html

from xds.content.pages.markup import MarkupRenderer, number_notes
from xds.content.pages.narrative import CDA_NARRATIVE
from xds.content.pages.scope import NarrativeScope
from xds.content.pages.xhtml import sanitised_html, sanitised_xhtml, xhtml_element
from xds.parsing import parse


def text_element(markup: str) -> etree._Element:
    """Return a ``section/text`` with that content."""
    return parse(f'<text xmlns="urn:hl7-org:v3" xmlns:x="urn:other">{markup}</text>'.encode())


def scope_of(*texts: etree._Element, **limits: int) -> NarrativeScope:
    """Return what narratives of one page share; whatever they refer to is named."""
    found = NarrativeScope(texts, lambda reference, caption: f"[{reference}]", **limits)  # type: ignore[arg-type, return-value]
    number_notes(found, CDA_NARRATIVE)
    return found


def rendered(markup: str, **limits: int) -> str:
    """Return a narrative of CDA as HTML."""
    text = text_element(markup)
    return str(MarkupRenderer(CDA_NARRATIVE, scope_of(text, **limits)).render(text))


def rendered_xhtml(markup: str) -> str:
    """Return a narrative of FHIR as HTML."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{markup}</div>'
    narrative = xhtml_element(div)
    if narrative is None:
        return str(sanitised_html(div))
    return str(sanitised_xhtml(narrative, scope_of()))


def tree(markup: str) -> html.HtmlElement:
    """Parse HTML as browsers do, forgivingly."""
    return html.fragment_fromstring(markup, create_parent="div")


def words(markup: str) -> str:
    """Return the words of HTML, with single spaces."""
    return " ".join(" ".join(tree(markup).itertext()).split())
