"""The CDA of a patient's summary: its sections, its results, and the documents that they are of."""

from dataclasses import replace
from typing import Final

import pytest
from lxml import etree

from tests.forms.test_summary import DISCHARGE, JSON, LAB_REPORT, RECORD, source
from tests.reference import REFERENCE
from xds.content.forms import table
from xds.content.forms.results import results_of
from xds.content.reading.cda_schema import CdaSchema
from xds.content.reading.model import ContentObservation, ObservationValue
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules
from xds.on_demand.forms import FormRequest, FormSource

NS: Final = {"c": "urn:hl7-org:v3"}
SCHEMA: Final = REFERENCE / "cda-xsd" / "CDA_extended.xsd"
REQUIRED: Final = ("10160-0", "48765-2", "11450-4")
SOURCES: Final = {LAB_REPORT: "text/xml", RECORD: JSON, DISCHARGE: "text/xml"}


def made(*sources: FormSource) -> bytes:
    request = FormRequest(
        unique_id="2.25.1",
        made="20260601101500",
        patient_id="P1^^^&2.999.1.1&ISO",
        sources=sources,
    )
    return table.read(None).rows["summary-cda"].build(request)


def every() -> list[FormSource]:
    return [source(data, mime_type) for data, mime_type in SOURCES.items()]


def texts(data: bytes, path: str) -> list[str]:
    return list(map(str, etree.fromstring(data).xpath(path, namespaces=NS)))


@pytest.mark.parametrize("sources", [every(), []], ids=["three", "none"])
def test_it_follows_the_schema(sources: list[FormSource]) -> None:
    if not SCHEMA.exists():
        pytest.skip("the schema of CDA is not here")
    found = read(made(*sources), "text/xml", ReadingRules(cda_schema=CdaSchema(SCHEMA)))
    assert found.findings == ()


def test_its_header_says_what_it_is() -> None:
    data = made(*every())
    header = read(data, "text/xml").header
    assert (header.unique_id, header.title) == ("2.25.1", "International Patient Summary")
    assert header.confidentiality is not None
    assert header.confidentiality.code == "R", "the highest of the documents"
    (patient,) = header.patients
    assert (patient.family, patient.birth_date, patient.sex) == ("Quill", "19640229", "M")
    assert texts(data, "//c:assignedAuthoringDevice/c:softwareName/text()")
    assert texts(data, "//c:serviceEvent/@classCode") == ["PCPR"]
    assert header.authenticators == ()


def test_sections_have_the_words_and_the_documents() -> None:
    data = made(*every())
    codes = texts(data, "//c:section/c:code/@code")
    assert codes[:3] == [*REQUIRED]
    text = "".join(texts(data, "//c:section[c:code/@code='48765-2']/c:text//text()"))
    assert "Penicillin: rash in childhood" in text
    assert "From [3] Discharge summary" in text
    for code in REQUIRED:
        ids = texts(data, f"//c:section[c:code/@code='{code}']//c:externalDocument/c:id/@root")
        assert len(ids) == 2, "the record and the discharge summary"


def test_what_is_not_known_is_not_taken_for_nothing() -> None:
    data = made()
    for code in REQUIRED:
        (flavor,) = texts(data, f"//c:section[c:code/@code='{code}']/@nullFlavor")
        assert flavor == "NI"
    assert texts(data, "//c:entry") == []


def test_results_are_read_again_as_they_were() -> None:
    sources = every()
    before = [
        found
        for one in sources
        for found in results_of(one, read(one.read(), one.entry.mime_type or ""))
    ]
    after = list(read(made(*sources), "text/xml").observations())
    assert [_plain(one) for one in after] == [_plain(one) for one in before]
    documents = texts(
        made(*sources), "//c:entry/c:observation/c:reference/c:externalDocument/c:id/@root"
    )
    assert set(documents) <= {one.entry.unique_id for one in sources}
    assert len(documents) == len(after)


def _plain(found: ContentObservation) -> ContentObservation:
    """Return what the CDA of a summary keeps: groups are notes there, and ratios are texts."""
    values = [
        ObservationValue(kind="text", text=one.text) if one.kind == "ratio" else one
        for one in found.values
    ]
    specimen = found.specimen
    return replace(
        found,
        values=values,
        specimen=replace(specimen, collected="", received="") if specimen is not None else None,
        category=None,
        group="",
        notes=[one for one in found.notes if not one.startswith("Part of: ")],
        place="",
    )
