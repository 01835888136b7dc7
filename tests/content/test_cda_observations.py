"""Results of a CDA: one of every data type, in batteries and isolates, with what is around them."""

from pathlib import Path
from typing import Final

import pytest

from tests.fhir.genomics import edited
from xds.content.reading.cda.observations import STATUSES
from xds.content.reading.model import ContentObservation, ObservationValue
from xds.content.reading.reader import read
from xds.metadata.objects import Code

REPORT: Final = (Path(__file__).parents[2] / "fixtures/documents/lab_report.xml").read_text("utf-8")
LOINC, SNOMED = "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.96"
ISOLATE: Final = "Escherichia coli"


def results(*edits: tuple[str, str]) -> list[ContentObservation]:
    return list(read(edited(REPORT, *edits).encode()).observations())


def result(name: str, *edits: tuple[str, str]) -> ContentObservation:
    """Return the current result of a name."""
    (found,) = (one for one in results(*edits) if one.name == name and not one.is_earlier)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sodium", ObservationValue(kind="quantity", text="131", number="131", unit="mmol/L")),
        (
            "Potassium",
            ObservationValue(kind="range", text="< 2.5", comparator="<", high="2.5", unit="mmol/L"),
        ),
        (
            "C-reactive protein, fast",
            ObservationValue(kind="quantity", text="8.10", number="8.10", unit="mg/L"),
        ),
        ("Colour of urine", ObservationValue(kind="text", text="straw")),
        (
            "Nitrite",
            ObservationValue(
                kind="code", text="Negative", code=Code("260385009", SNOMED, "Negative")
            ),
        ),
        ("Comment", ObservationValue(kind="text", text="haemolysed")),
        ("INR", ObservationValue(kind="quantity", text="2.0", number="2.0")),
        ("Platelet clumps", ObservationValue(kind="quantity", text="3", number="3")),
        ("Hepatitis B titre", ObservationValue(kind="ratio", text="1:128", low="1", high="128")),
        ("Time of last dose", ObservationValue(kind="time", text="202606120600")),
        ("Fasting", ObservationValue(kind="boolean", text="true")),
        ("Glucose", ObservationValue(kind="absent", text="not asked")),
        ("Blood culture", ObservationValue(kind="text", text="not: Escherichia coli")),
    ],
)
def test_the_value_by_its_data_type(name: str, value: ObservationValue) -> None:
    assert result(name).values == (value,)


def test_what_is_around_a_result() -> None:
    found = result("Sodium")
    assert found.code == Code("2951-2", LOINC, "Sodium")
    assert (found.status, found.time) == ("final", "20260612091500")
    assert [one.code for one in found.interpretation] == ["L"]
    assert found.reference_range == "133 - 146 mmol/L"
    assert found.category == Code("18719-5", LOINC, "Chemistry studies")
    assert found.group == "Electrolytes"
    assert found.specimen is not None
    assert found.specimen.type == Code("119297000", SNOMED, "Blood specimen")
    assert found.specimen.identifiers == ("S-1^^^&2.999.6.1&ISO",)
    assert (found.specimen.collected, found.specimen.received) == (
        "20260612071500",
        "20260612083000",
    )


def test_a_result_without_a_code_of_its_own_has_its_translation() -> None:
    found = result("C-reactive protein, fast")
    assert found.code is None
    assert found.translations == (Code("CRP", "2.999.9.4", "C-reactive protein"),)
    assert (found.status, found.reference_range) == ("preliminary", "up to 5")


def test_what_was_found_in_an_isolate_belongs_to_the_organism() -> None:
    found = result("Ampicillin [Susceptibility]")
    assert found.group == ISOLATE
    assert found.specimen is not None
    assert (found.specimen.text, found.specimen.identifiers) == (
        ISOLATE,
        ("ISO-1^^^&2.999.6.2&ISO",),
    )
    assert found.specimen.collected == "20260612071500", "that of the urine that it grew from"
    assert found.category == Code("18725-2", LOINC, "Microbiology studies"), "not the leaf's"


def test_a_result_that_is_only_cited_is_an_earlier_one_of_another_specimen() -> None:
    (found,) = (one for one in results() if one.is_earlier)
    assert (found.name, found.values[0].text, found.time) == ("Sodium", "138", "20260301090000")
    assert found.specimen is None
    assert found.group == "Electrolytes"


def test_results_that_have_not_happened_are_none() -> None:
    before = len(results())
    edits = (
        '<observation classCode="OBS" moodCode="EVN" negationInd="true">',
        "<observation moodCode='INT'>",
    )
    assert len(results(edits)) == before - 1


def test_an_observation_that_is_no_result_by_its_template_is_none() -> None:
    part = (
        '<templateId root="1.3.6.1.4.1.19376.1.3.1.6"/>\n                      <code code="6301-6"'
    )
    edits = (part, part.replace("1.3.6.1.4.1.19376.1.3.1.6", "2.999.1"))
    assert "INR" not in [one.name for one in results(edits)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('value="1e400" unit="g"', ""),
        ('value="NaN" unit="g"', ""),
        ('value="-1.50" unit="g"', "-1.50"),
        ('value="&lt;3" unit="g"', ""),
    ],
)
def test_a_number_is_one_or_is_only_a_text(value: str, found: str) -> None:
    known = 'value="131" unit="mmol/L"'
    assert result("Sodium", (known, value)).values[0].number == found


def test_several_specimens_belong_to_nobody_but_who_names_them() -> None:
    start = REPORT.index('<entryRelationship typeCode="COMP">\n                <procedure')
    end = REPORT.index("</procedure>", start)
    end = REPORT.index("</entryRelationship>", end) + len("</entryRelationship>")
    one = REPORT[start:end]
    both = one + one.replace("S-1", "S-9").replace("Blood", "Other")
    assert result("Sodium", (one, both)).specimen is None
    role = '<specimenRole><id root="2.999.6.1" extension="S-9"/></specimenRole>'
    named = f'<specimen typeCode="SPC">{role}</specimen>'
    place = '<value xsi:type="PQ" value="131" unit="mmol/L"/>'
    found = result("Sodium", (one, both), (place, place + named)).specimen
    assert found is not None
    assert found.text == "Other specimen"


@pytest.mark.parametrize(("act", "status"), STATUSES.items())
def test_the_status_of_an_act_is_one_of_fhir(act: str, status: str) -> None:
    edits = ('<statusCode code="aborted"/>', f'<statusCode code="{act}"/>')
    assert result("Glucose", edits).status == status
