"""A report as plain text, and what the identity of its content is made of."""

import hashlib
from dataclasses import replace

import pytest

from tests.messaging.reports import CORRECTION, ENVELOPE, IDENTITY, PATIENT, REPORT, TABLE, TEXT
from xds.messaging.model import RenderedContent, ReportSection
from xds.messaging.rendering.documents import DocumentIdentity
from xds.messaging.rendering.header import moment
from xds.messaging.rendering.render import render
from xds.messaging.rendering.text import canonical


def rendered(content: RenderedContent, identity: DocumentIdentity = IDENTITY) -> list[str]:
    """Return the lines of a report as plain text."""
    document = render("text", REPORT, content, PATIENT, ENVELOPE, identity)
    assert document.mime_type == "text/plain"
    return b"".join(document.chunks()).decode().splitlines()


def test_the_lines_of_a_text_are_its_identity() -> None:
    content = RenderedContent(sections=(ReportSection(lines=(" a  b ", "", "c")),), other=("x",))
    assert canonical(content) == b" a  b\n\nc\n"
    again = replace(content, other=("y",), location="OBX^2")
    assert hashlib.sha1(canonical(again)).digest() == hashlib.sha1(canonical(content)).digest()


def test_a_table_has_another_identity_if_a_reader_sees_another_value() -> None:
    (section,) = TABLE.sections
    moved = [replace(row, location="OBX^9") for row in section.rows]
    assert canonical(replace(TABLE, sections=(replace(section, rows=moved),))) == canonical(TABLE)
    changed = [replace(section.rows[0], value="150"), *section.rows[1:]]
    other = replace(TABLE, sections=(replace(section, rows=changed),))
    assert canonical(other) != canonical(TABLE)


def test_text_has_a_header_and_the_lines_as_they_came() -> None:
    lines = rendered(TEXT)
    assert lines[:2] == [
        "Microbiology report",
        "O'SAMPLE-ŁĘCKA, Ŵyn <b>Marie</b>; NHS number 973 738 3273;"
        " Local number M-0042 (of 2.999.7.1); born 02-Jan-1970; female",
    ]
    labelled = [" ".join(line.split()) for line in lines]
    assert "Collected 31-Jan-2026 09:00 UTC" in labelled
    assert "Laboratory Sample Laboratories (699X0)" in labelled
    assert [line.rstrip() for line in TEXT.sections[0].lines] == lines[-6:]


def test_a_correction_is_marked_and_a_table_has_columns() -> None:
    lines = rendered(TABLE, CORRECTION)
    assert "NEW VERSION OF THE REPORT: replaces document 2.25.42" in lines
    haemoglobin, white = (
        next(line for line in lines if line.startswith(name))
        for name in ("Haemoglobin", "White cell count")
    )
    assert haemoglobin.index("g/L") == white.index("10^9/L")
    assert lines[-1] == "OBR-28: Dr Copy Recipient"


@pytest.mark.parametrize(
    ("dtm", "shown"),
    [
        ("2026", "2026"),
        ("202607", "Jul-2026"),
        ("20260701", "01-Jul-2026"),
        ("202607012330", "02-Jul-2026 00:30 BST"),
        ("20260101083001", "01-Jan-2026 08:30:01 GMT"),
        ("at noon", "at noon"),
        ("20261301", "20261301"),
    ],
)
def test_times_are_those_of_the_readers(dtm: str, shown: str) -> None:
    assert moment(dtm, "Europe/London") == shown
