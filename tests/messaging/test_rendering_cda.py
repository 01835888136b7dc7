"""A report as CDA R2: valid, with entries that say what the narrative says."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from lxml import etree

from tests.messaging.reports import CORRECTION, REPORT, TABLE, TEXT, row, source
from tests.reference import REFERENCE, needs
from xds import parsing
from xds.content import cda as content_cda
from xds.content import defaults
from xds.content.document_metadata import completed
from xds.messaging.model import EntityNumber, RenderedContent, ReportSection
from xds.messaging.rendering import cda
from xds.messaging.rendering.documents import ReportSource

SCHEMA = REFERENCE / "cda-xsd" / "CDA_extended.xsd"
NAMESPACES = {"c": "urn:hl7-org:v3", "xsi": "http://www.w3.org/2001/XMLSchema-instance"}

FULL = replace(
    REPORT,
    status="corrected",
    authenticator=replace(REPORT.authors[0], time="20260201081500"),
    encounter_numbers=(EntityNumber(value="V1", oid="2.999.11"),),
    placer_numbers=(EntityNumber(value="ORD-7", oid="2.999.12"), EntityNumber(value="ORD-8")),
)
ODD = RenderedContent(
    sections=(
        ReportSection(
            rows=(
                row("No unit", "12", time="31-Jan-2026 noon", notes=("one\n  two",)),
                row("Words with unit", "a few", unit="per field"),
                row("Odd \x07", "1 ]]> <b>", flag="strange", code=None, group="2a.1"),
                row("Nothing", "", status="not obtained"),
                row("Late", "5.50", unit="mmol/L", status="preliminary"),
            ),
            lines=("  two  columns", "<x>"),
        ),
        ReportSection(heading="Text only", lines=("a", "", "b")),
    )
)
SOURCES = {
    "text": source(TEXT),
    "table": source(TABLE, FULL, CORRECTION),
    "odd": source(ODD, replace(REPORT, laboratory=None, authors=(), type_code=None)),
}


@cache
def made(name: str) -> bytes:
    """Return one of the documents."""
    document = cda.render(SOURCES[name])
    assert document.mime_type == "text/xml"
    return b"".join(document.chunks())


def found(name: str, path: str) -> Sequence[Any]:
    """Return what is at a path of a document."""
    at: Sequence[Any] = parsing.parse(made(name)).xpath(path, namespaces=NAMESPACES)
    return at


@needs(SCHEMA)
@pytest.mark.parametrize("name", SOURCES)
def test_it_is_valid(name: str) -> None:
    _schema().assertValid(parsing.parse(made(name)))


@cache
def _schema() -> Any:
    return etree.XMLSchema(etree.parse(SCHEMA))


@pytest.mark.parametrize(
    ("name", "format_code"),
    [("text", cda.XDS_SD), ("table", cda.XD_LAB)],
)
def test_what_reads_documents_reads_what_was_rendered(name: str, format_code: object) -> None:
    given: ReportSource = SOURCES[name]
    assert cda.render(given).format_code == format_code
    metadata = content_cda.describe(parsing.parse(made(name)), defaults.read(None), None)
    values = completed(metadata, defaults.read(None))
    assert values["unique_id"] == given.identity.unique_id
    assert values["format_code"] == format_code
    assert values["title"] == "Microbiology report"
    assert values["creation_time"] == "20260201080000"
    assert [one.unique_ids for one in metadata.stated.related] == (
        [(given.identity.replaces,)] if given.identity.replaces else []
    )


def test_text_is_carried_with_its_lines() -> None:
    (carried,) = found("text", "//c:nonXMLBody/c:text")
    assert carried.attrib == {"mediaType": "text/plain;charset=UTF-8", "representation": "B64"}
    assert TEXT.sections[0].lines[3] in base64.b64decode(carried.text).decode().splitlines()


def test_rows_are_observations() -> None:
    values = [dict(value.attrib) for value in found("table", "//c:observation/c:value")]
    kinds = [value.pop("{http://www.w3.org/2001/XMLSchema-instance}type") for value in values]
    assert kinds == ["PQ", "IVL_PQ", "PQ", "ST"]
    assert values[0] == {"value": "149", "unit": "g/L"}
    (limit,) = found("table", "//c:value/c:high")
    assert dict(limit.attrib) == {"value": "0.10", "unit": "10^9/L", "inclusive": "false"}
    assert found("table", "//c:interpretationCode/@code") == ["L", "HH"]
    assert found("table", "//c:act/c:text/text()") == ["Repeated & confirmed."]
    marks = found("table", "//c:observation/c:text/c:reference/@value")
    assert marks == [f"#{mark}" for mark in found("table", "//c:td/@ID")]


def test_a_correction_names_the_version_before() -> None:
    assert found("table", "/*/c:versionNumber/@value") == ["2"]
    assert found("table", "/*/c:setId/@*") == ["2.999.5", "24-1001"]
    parent = "/*/c:relatedDocument[@typeCode='RPLC']/c:parentDocument"
    assert found("table", f"{parent}/c:id/@root") == ["2.25.42"]
    assert found("table", f"{parent}/c:versionNumber/@value") == ["1"]


def test_no_value_is_markup_and_columns_stay() -> None:
    (cell,) = found("odd", "//c:td[@ID='r1-3']")
    assert (cell.text, len(cell)) == ("1 ]]> <b>", 0)
    assert found("odd", "//c:tr[c:td/@ID='r1-3']/c:td[1]/text()") == ["\xa0\xa0Odd [U+0007]"]
    (paragraph,) = found("odd", "(//c:section/c:text)[1]/c:paragraph")
    assert "".join(paragraph.itertext()) == "\xa0\xa0two\xa0\xa0columns<x>"
    assert found("odd", "//c:observation/c:statusCode/@code") == [*["completed"] * 4, "active"]


def test_the_same_report_is_the_same_bytes() -> None:
    assert b"".join(cda.render(SOURCES["table"]).chunks()) == made("table")
