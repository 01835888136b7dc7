"""Documents that real senders made: each has a page, which has every word of their narratives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from lxml import etree, html

from tests.browser import MISSING, NARROW, Chromium, chromium, names, path_of_chromium, visited
from tests.fhir.asked import FHIR_JSON, provide
from tests.pages import words
from tests.pages.style_sheet import MISSING as NO_STYLE_SHEET
from tests.pages.style_sheet import style_sheet
from tests.reference import SHARED, needs
from tests.serving import Server

SAMPLES: Final = SHARED / "samples" / "documents"
TYPES: Final = {".xml": "text/xml", ".json": FHIR_JSON, ".pdf": "application/pdf"}

pytestmark = needs(SAMPLES)


def files(*patterns: str) -> list[Path]:
    return sorted(one for pattern in patterns for one in SAMPLES.glob(pattern))


def by_name(path: Path) -> str:
    return path.stem


def page_of(path: Path) -> str:
    return words.page_of(path.read_bytes(), TYPES[path.suffix])


@pytest.mark.parametrize("path", files("handed/*.*"), ids=by_name)
def test_every_word_of_a_narrative_is_on_the_page(path: Path) -> None:
    page = page_of(path)
    assert "cannot" not in html.document_fromstring(page).findtext(".//header") or ""
    if path.suffix == ".xml":
        root = etree.fromstring(path.read_bytes(), etree.XMLParser(remove_comments=True))
        assert words.of_narratives(root) or root.find(f".//{words.V3}section") is None
        assert words.of_narratives(root) - words.of_page(page) == set()


@pytest.mark.parametrize(
    "path", [one for one in files("handed/*.*") if one.suffix == ".xml"], ids=by_name
)
def test_the_words_of_the_page_of_hl7_are_on_ours(path: Path) -> None:
    """The words that the document has: the labels of each page are its own."""
    transform = style_sheet()
    if transform is None:
        pytest.skip(NO_STYLE_SHEET)
    assert words.of_hl7(transform, path) - words.of_page(page_of(path)) == set()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


@pytest.mark.slow
@pytest.mark.skipif(path_of_chromium() is None, reason=MISSING)
@pytest.mark.parametrize("path", files("handed/*.*", "hostile/*.*"), ids=by_name)
def test_the_page_of_a_sample_is_safe_and_everybody_can_read_it(
    server: Server, browser: Chromium, path: Path
) -> None:
    where = f"/fhir/document/{provide(server, path.read_bytes(), TYPES[path.suffix])}"
    with visited(browser, server.url, where) as visit:
        assert names(visit.violations()) == ""
        assert visit.overflow() <= 0
        visit.page.set_viewport_size({"width": NARROW, "height": 640})
        assert visit.overflow() <= 0
        assert (visit.dialogs, visit.foreign, visit.complaints) == ([], [], [])
        assert visit.failed == []
