"""A report as FHIR R4 document: valid, whole, and the same each time."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests.fhir import schema
from tests.messaging.reports import CORRECTION, REPORT, TABLE, TEXT, row, source
from tests.reference import FHIR, needs
from xds.content import fhir_document
from xds.fhir.r4 import structure
from xds.fhir.r4.json import read
from xds.messaging.model import EntityNumber, MessageOrganisation, RenderedContent, ReportSection
from xds.messaging.rendering import fhir

DEFINITIONS = FHIR / "fhir.schema.json"
ODD = RenderedContent(
    sections=(
        ReportSection(
            heading="Odd",
            notes=("one\ntwo",),
            rows=(
                row("No unit", "12", time="31-Jan-2026 noon"),
                row("Words with unit", "a few", unit="per field"),
                row("Odd \x07", "1 ]]> <b>", flag="strange, high", code=None),
                row("Nothing", "", status="not obtained"),
                row("Text", "line <i>\n  line", is_text=True),
            ),
            lines=("  two  columns \x1b", "<x>"),
        ),
        ReportSection(),
    )
)
SOURCES = {
    "text": source(TEXT),
    "table": source(
        TABLE,
        replace(
            REPORT, status="corrected", authenticator=REPORT.authors[0], service_stop="20260202"
        ),
        CORRECTION,
    ),
    "odd": source(
        ODD,
        replace(
            REPORT,
            laboratory=None,
            authors=(),
            type_code=None,
            reported="2026",
            requester=None,
            requesting_organisation=MessageOrganisation(name="", code="R0X"),
            placer_numbers=(EntityNumber(value="1", oid="2.999.1"), EntityNumber(value="2")),
        ),
    ),
}


@cache
def made(name: str) -> Mapping[str, Any]:
    """Return one of the documents."""
    document = fhir.render(SOURCES[name])
    assert document.mime_type == "application/fhir+json"
    return read(b"".join(document.chunks()))


def resources(name: str, kind: str) -> Sequence[Any]:
    """Return the resources of a type."""
    found = [entry["resource"] for entry in made(name)["entry"]]
    return [one for one in found if one["resourceType"] == kind]


@pytest.mark.parametrize("name", SOURCES)
def test_it_is_a_document_of_r4(name: str) -> None:
    bundle = dict(made(name))
    assert structure.problems(bundle, expected="Bundle") == []
    assert fhir_document.problems(bundle) == []


@needs(DEFINITIONS)
@pytest.mark.parametrize("name", SOURCES)
def test_it_is_valid_by_the_schema(name: str) -> None:
    definitions = json.loads(DEFINITIONS.read_bytes())["definitions"]
    bundle = json.loads(b"".join(fhir.render(SOURCES[name]).chunks()))
    assert schema.accepts(definitions, bundle)


@pytest.mark.parametrize("name", SOURCES)
def test_each_reference_leads_to_an_entry_and_each_entry_is_named(name: str) -> None:
    there = [entry["fullUrl"] for entry in made(name)["entry"]]
    named = set(_references(made(name)))
    assert len(set(there)) == len(there)
    assert named == set(there[1:])


def _references(value: Any) -> Sequence[str]:
    if isinstance(value, list):
        return [one for item in value for one in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if "reference" in value else []
    return [*own, *(one for item in value.values() for one in _references(item))]


def test_rows_are_observations() -> None:
    values = [one.get("valueQuantity") for one in resources("table", "Observation")]
    assert values[:3] == [
        {"value": 149, "unit": "g/L"},
        {"value": "0.10", "comparator": "<", "unit": "10^9/L"},
        {"value": 1200, "unit": "10^9/L"},
    ]
    *_, platelets, comment = resources("table", "Observation")
    assert platelets["interpretation"][0]["coding"][0]["code"] == "HH"
    assert platelets["note"] == [{"text": "Repeated & confirmed."}]
    assert platelets["effectiveDateTime"] == "2026-01-31T10:00:00Z"
    assert comment["valueString"] == "First line <b>\nsecond line"
    odd = resources("odd", "Observation")
    assert [len(one) for one in odd[2]["interpretation"]] == [1, 2]
    assert odd[1]["valueString"] == "a few per field"
    assert odd[2]["code"] == {"text": "Odd [U+0007]"}
    assert odd[3]["dataAbsentReason"] == {"text": "not obtained"}


def test_a_correction_names_the_version_before() -> None:
    (composition,) = resources("table", "Composition")
    assert made("table")["identifier"]["value"] == "urn:oid:2.25.43"
    assert composition["identifier"] == {"system": "urn:oid:2.999.5", "value": "24-1001"}
    assert composition["status"] == "amended"
    assert composition["relatesTo"][0]["targetIdentifier"]["value"] == "urn:oid:2.25.42"
    (report,) = resources("table", "DiagnosticReport")
    assert report["status"] == "corrected"


def test_text_is_attached_and_no_value_is_markup() -> None:
    (report,) = resources("text", "DiagnosticReport")
    (attached,) = report["presentedForm"]
    assert TEXT.sections[0].lines[3] in base64.b64decode(attached["data"]).decode()
    (composition,) = resources("text", "Composition")
    narrative = composition["section"][0]["text"]["div"]
    assert "<pre>Specimen : MSU\n\n   Escherichia coli  &gt;10^5" in narrative
    assert "<script" not in narrative


def test_the_same_report_is_the_same_bytes() -> None:
    first, second = (b"".join(fhir.render(SOURCES["table"]).chunks()) for _ in range(2))
    assert first == second
