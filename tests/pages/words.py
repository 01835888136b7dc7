"""The words of documents, of our pages of them, and of those that HL7's style sheet makes."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lxml import etree, html

from xds.content.pages.facts import RegistryFacts
from xds.content.pages.page import render_not_shown, render_page
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.reader import read

V3: Final = "{urn:hl7-org:v3}"
_NOT_READ: Final = frozenset({"head", "style", "script", "title"})


def page_of(data: bytes, media_type: str) -> str:
    """Return the page of a document, as a server without a registry would make it."""
    facts = RegistryFacts(href="../document/x")
    try:
        return render_page(read(data, media_type), facts, data).decode()
    except ContentUnreadable as error:
        return render_not_shown(facts, str(error)).decode()


def of(texts: Iterable[str]) -> set[str]:
    """Return the words of texts, in letters and digits alone."""
    return {word for text in texts for word in re.findall(r"\w+", text)}


def of_page(page: str) -> set[str]:
    """Return the words of one of our pages."""
    return of(html.document_fromstring(page).itertext())


def of_narratives(root: etree._Element) -> set[str]:
    """Return the words of the titles and narratives of a CDA's sections."""
    return of(_narratives(root))


def _narratives(root: etree._Element) -> Iterator[str]:
    for section in root.iter(f"{V3}section"):
        for part in (*section.iterchildren(f"{V3}title"), *section.iterchildren(f"{V3}text")):
            yield from part.itertext(etree.Element)


def of_hl7(transform: etree.XSLT, path: Path) -> set[str]:
    """Return the words of a CDA that are on the page of HL7.

    Its labels are no words of the CDA. Numbers of two digits are left out: it has times in the zone
    in which they were written, ours have them in UTC.
    """
    root = etree.parse(path, etree.XMLParser(remove_comments=True))
    shown = of(
        text
        for element in transform(root).iter(etree.Element)
        if element.tag not in _NOT_READ
        for text in (element.text or "", element.tail or "")
    )
    found = shown & of(root.getroot().itertext(etree.Element))
    return {one for one in found if not (len(one) < 3 and one.isdecimal())}
