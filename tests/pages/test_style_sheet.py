"""The words that the style sheet of HL7 shows of documents of other systems are on our pages."""

from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from tests.pages import words
from tests.pages.style_sheet import MISSING, documents, samples, style_sheet

_LABELS: Final = frozenset({"by", "code"})
"""Words of its labels that a document happens to have, too."""
_MANY: Final = "EMERGE"
"""A vendor of six hundred documents that are much alike: of them a tenth."""


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(4, id=pytest.HIDDEN_PARAM),
        pytest.param(1, id="all documents", marks=pytest.mark.slow),
    ],
)
def test_the_words_that_hl7_shows_are_on_our_pages(step: int) -> None:
    """Of some hundred documents of twelve vendors: narratives, titles, and all of the header."""
    folder, transform = samples(), style_sheet()
    if folder is None or transform is None:
        pytest.skip(MISSING)
    found = documents(one for one in folder.iterdir() if one.is_dir())
    alike = [one for one in found if _MANY in one.parts]
    chosen = [one for one in found if one not in alike] + alike[::10]
    assert len(chosen) > 100
    some = chosen[::step]
    lacking = {str(one): missing for one in some if (missing := _missing(transform, one))}
    assert lacking == {}


def _missing(transform: etree.XSLT, path: Path) -> set[str]:
    wanted = words.of_hl7(transform, path) - _LABELS
    root = etree.parse(path, etree.XMLParser(remove_comments=True)).getroot()
    return (wanted | words.of_narratives(root)) - words.of_page(
        words.page_of(path.read_bytes(), "text/xml")
    )
