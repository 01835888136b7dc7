"""Documents that real senders made: each has a page, which has every word of their narratives."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from lxml import etree, html
from playwright.sync_api import Browser

from tests.browser import MISSING, NARROW, chromium, names, path_of_chromium, visited
from tests.fhir.asked import FHIR_JSON, provide
from tests.reference import SHARED, STYLESHEET, needs
from tests.serving import Server
from xds.content.pages.facts import RegistryFacts
from xds.content.pages.page import render_not_shown, render_page
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.reader import read

SAMPLES: Final = SHARED / "samples" / "documents"
TYPES: Final = {".xml": "text/xml", ".json": FHIR_JSON, ".pdf": "application/pdf"}
V3: Final = "{urn:hl7-org:v3}"

pytestmark = needs(SAMPLES)


def files(*patterns: str) -> list[Path]:
    return sorted(one for pattern in patterns for one in SAMPLES.glob(pattern))


def by_name(path: Path) -> str:
    return path.stem


def page_of(path: Path) -> str:
    data = path.read_bytes()
    facts = RegistryFacts(href="../document/x")
    try:
        return render_page(read(data, TYPES[path.suffix]), facts, data).decode()
    except ContentUnreadable as error:
        return render_not_shown(facts, str(error)).decode()


def words_of(texts: Iterable[str]) -> list[str]:
    """Return the words of texts, in letters and digits alone."""
    return [word for text in texts for word in re.findall(r"\w+", text)]


def words_of_page(page: str) -> set[str]:
    return set(words_of(html.document_fromstring(page).itertext()))


def narratives(root: etree._Element) -> Iterator[str]:
    """Yield all text of the sections' titles and narratives."""
    for section in root.iter(f"{V3}section"):
        for part in (*section.iterchildren(f"{V3}title"), *section.iterchildren(f"{V3}text")):
            yield from part.itertext(etree.Element)


@pytest.mark.parametrize("path", files("handed/*.*"), ids=by_name)
def test_every_word_of_a_narrative_is_on_the_page(path: Path) -> None:
    page = page_of(path)
    assert "cannot" not in html.document_fromstring(page).findtext(".//header") or ""
    if path.suffix == ".xml":
        root = etree.fromstring(path.read_bytes(), etree.XMLParser(remove_comments=True))
        assert [*dict.fromkeys(words_of(narratives(root)))] != [] or not [
            *root.iter(f"{V3}section")
        ]
        assert set(words_of(narratives(root))) - words_of_page(page) == set()


@cache
def stylesheet() -> etree.XSLT:
    access = etree.XSLTAccessControl(
        read_network=False, write_network=False, write_file=False, create_dir=False
    )
    return etree.XSLT(etree.parse(STYLESHEET), access_control=access)


_LABELS: Final = frozenset({"head", "style", "script", "title"})


@needs(STYLESHEET)
@pytest.mark.parametrize(
    "path", [one for one in files("handed/*.*") if one.suffix == ".xml"], ids=by_name
)
def test_the_words_of_the_page_of_hl7_are_on_ours(path: Path) -> None:
    """Its body alone: the labels of its header are its own."""
    root = etree.parse(path)
    found = stylesheet()(root, useJavascript="'false'", dobodyheader="'false'")
    told = {
        word
        for element in found.iter(etree.Element)
        if element.tag not in _LABELS
        for word in words_of([element.text or "", element.tail or ""])
    }
    own = set(words_of(root.getroot().itertext(etree.Element)))
    assert (told & own) - words_of_page(page_of(path)) == set()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.slow
@pytest.mark.skipif(path_of_chromium() is None, reason=MISSING)
@pytest.mark.parametrize("path", files("handed/*.*", "hostile/*.*"), ids=by_name)
def test_the_page_of_a_sample_is_safe_and_everybody_can_read_it(
    server: Server, browser: Browser, path: Path
) -> None:
    where = f"/fhir/document/{provide(server, path.read_bytes(), TYPES[path.suffix])}"
    with visited(browser, server.url, where) as visit:
        assert names(visit.violations()) == ""
        assert visit.overflow() <= 0
        visit.page.set_viewport_size({"width": NARROW, "height": 640})
        assert visit.overflow() <= 0
        assert (visit.dialogs, visit.foreign, visit.complaints) == ([], [], [])
        assert visit.failed == []
