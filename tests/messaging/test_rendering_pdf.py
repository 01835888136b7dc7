"""A report as PDF/A-2u: its text, its pages, and whether it is PDF/A."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.java.programs import MISSING, run
from tests.messaging.reports import (
    CORRECTION,
    IDENTITY,
    REPORT,
    TABLE,
    TEXT,
    row,
    source,
)
from xds.messaging.model import MessageReport, RenderedContent, ReportSection
from xds.messaging.rendering import pdf
from xds.messaging.rendering.documents import DocumentIdentity
from xds.rendering import fonts

pypdf: Any = pytest.importorskip("pypdf")


def drawn(
    content: RenderedContent,
    report: MessageReport = REPORT,
    identity: DocumentIdentity = IDENTITY,
) -> bytes:
    """Return a report as PDF."""
    document = pdf.render(source(content, report, identity))
    assert document.mime_type == "application/pdf"
    return b"".join(document.chunks())


def pages(content: bytes) -> list[str]:
    """Return the text of each page, with one space where there are several."""
    read = pypdf.PdfReader(io.BytesIO(content))
    return [" ".join(page.extract_text().split()) for page in read.pages]


def of_lines(*lines: str) -> RenderedContent:
    """Return a text report."""
    return RenderedContent(sections=(ReportSection(lines=lines),))


def test_each_line_can_be_copied_and_none_is_markup() -> None:
    (page,) = pages(drawn(TEXT))
    for line in TEXT.sections[0].lines:
        assert " ".join(line.split()) in page
    for part in (
        "O'SAMPLE-ŁĘCKA, Ŵyn <b>Marie</b>",
        "NHS number 973 738 3273",
        "Page 1 of 1",
        "Rendered from HL7 message MSG-1&2 of LIMS R0X",
    ):
        assert part in page


def test_a_table_shows_all_of_its_rows_marks_and_notes() -> None:
    report = replace(REPORT, status="corrected")
    (page,) = pages(drawn(TABLE, report, CORRECTION))
    for text in (
        "CORRECTED REPORT: replaces document 2.25.42",
        "Full blood count",
        "White cell count <0.10 10^9/L 4.0-11.0 low",
        "critically high corrected 31-Jan-2026 10:00 UTC",
        "First line <b> second line",
        "Repeated & confirmed.",
        "Telephoned to the ward.",
        "OBR-28: Dr Copy Recipient",
    ):
        assert text in page


def test_the_same_report_is_the_same_bytes() -> None:
    assert drawn(TABLE) == drawn(TABLE)
    silent = replace(REPORT, reported="", title="A \x07 & <b>")
    assert drawn(TEXT, silent) == drawn(TEXT, silent) != drawn(TEXT)


def test_a_long_report_has_the_patient_and_the_heads_on_each_page() -> None:
    rows = tuple(row(f"Test {at}", f"v{at}", unit="g/L") for at in range(120))
    found = pages(drawn(RenderedContent(sections=(ReportSection(rows=rows),))))
    assert len(found) == 3
    for number, page in enumerate(found, 1):
        assert "NHS number 973 738 3273" in page
        assert "Test Result Unit" in page
        assert f"Page {number} of 3" in page
    everything = " ".join(found)
    assert all(f"Test {at} v{at} g/L" in everything for at in range(120))


def test_long_lines_are_smaller_or_on_a_turned_page_and_broken_at_last() -> None:
    columns = "Organism  " + "S    R    I    " * 12
    narrow, wide, long = "a  b " * 25, columns, "word " * 200 + "x" * 300
    sizes = {}
    for line in (narrow, wide, long):
        read = pypdf.PdfReader(io.BytesIO(drawn(of_lines(line, "short"))))
        (page,) = read.pages
        assert "".join(line.split()) in "".join(page.extract_text().split())
        sizes[line] = page.mediabox.width > page.mediabox.height
    assert sizes == {narrow: False, wide: True, long: False}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb", "a b"),
        ("\x1b[31m", "[U+001B][31m"),
        ("漢 x", "[U+6F22] x"),
        ("\ufeffx", "[U+FEFF]x"),
        ("é ≥ β", "é ≥ β"),
    ],
)
def test_what_the_fonts_lack_is_shown_by_its_code_point(text: str, shown: str) -> None:
    (page,) = pages(drawn(of_lines(f"<{text}>", "end")))
    assert f"<{shown}>" in page


def test_words_are_broken_where_they_fit_and_none_is_lost() -> None:
    text = "  one two " + "long" * 30 + " end"
    lines = list(fonts.wrapped(text, fonts.PROSE, 10, 80))
    assert lines[0] == "  one two"
    assert all(fonts.width(line, fonts.PROSE, 10) <= 80 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.slow
def test_twenty_thousand_lines_are_a_file_of_less_than_a_megabyte() -> None:
    content = drawn(of_lines(*(f"{at:05}  Nitrofurantoin   S" for at in range(20_000))))
    assert len(content) < 1_000_000
    last = pypdf.PdfReader(io.BytesIO(content)).pages[-1]
    assert "19999  Nitrofurantoin   S" in last.extract_text()


@pytest.mark.slow
def test_it_is_pdf_a_2u(tmp_path: Path) -> None:
    odd = of_lines("漢 \x07 é ≥ ─ عربي \ue000 \xad \u200b", "x" * 400)
    named = replace(REPORT, title="A \x07 & <b> 漢", reported="")
    documents = (drawn(TEXT), drawn(TABLE, REPORT, CORRECTION), drawn(odd, named))
    files = [tmp_path / f"{number}.pdf" for number, _ in enumerate(documents)]
    for file, content in zip(files, documents, strict=True):
        file.write_bytes(content)
    told = run("pdf_validator/ValidatePdf", "2u", *map(str, files))
    if told is None:
        pytest.skip(MISSING)
    assert told == dict.fromkeys((one.name for one in files), "PASS")
