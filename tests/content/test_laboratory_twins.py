"""One laboratory report as CDA and as FHIR document: the same results, whichever is read.

``lab_report.xml`` follows XD-LAB, ``lab_report.fhir.json`` the EU laboratory report; both are ours.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fhir.asked import FHIR_JSON, FHIR_XML, new_patient
from tests.forms.eu_laboratory import breaches, of_type
from tests.forms.ips import breaches as breaches_of_ips
from tests.forms.served import provide
from tests.forms.test_summary import had, made, source, summaries
from tests.serving import Server
from xds.content.reading.model import ContentObservation, ObservationValue
from xds.content.reading.reader import read
from xds.fhir.r4 import xml

__all__ = ["summaries"]
DOCUMENTS: Final = Path(__file__).parents[2] / "fixtures" / "documents"
CDA: Final = (DOCUMENTS / "lab_report.xml").read_bytes()
IN_JSON: Final = (DOCUMENTS / "lab_report.fhir.json").read_bytes()
BUNDLE: Final[dict[str, Any]] = json.loads(IN_JSON)


def in_xml() -> bytes:
    return xml.render(dict(read(IN_JSON, FHIR_JSON).bundle))


def plain(found: ContentObservation) -> ContentObservation:
    """Return a result without what the two standards say each in a way of its own."""
    (value,) = found.values
    text = value.text[: len("202606120600")] if value.kind == "time" else value.text
    return replace(
        found,
        # CDA has what is below a bound as a range, and times without seconds
        values=(ObservationValue(kind="text", text=text, unit=value.unit, code=value.code),),
        # a null code with a translation is the first coding
        code=None,
        translations=tuple(filter(None, (found.code, *found.translations))),
        interpretation=tuple(replace(one, display_name="") for one in found.interpretation),
        # of the section there, of the report here
        category=None,
        performer="",
        # what is cited belongs to the battery of what cites it
        group="" if found.is_earlier else found.group,
        place="",
    )


@pytest.mark.parametrize("form", ["json", "xml"])
def test_both_have_the_same_results(form: str) -> None:
    data, media_type = (IN_JSON, FHIR_JSON) if form == "json" else (in_xml(), FHIR_XML)
    one, other = read(CDA, "text/xml"), read(data, media_type)
    assert other.findings == ()
    expected = sorted(map(plain, one.observations()), key=repr)
    assert sorted(map(plain, other.observations()), key=repr) == expected


def test_both_have_the_same_header() -> None:
    one, other = (
        read(data, kind).header for data, kind in ((CDA, "text/xml"), (IN_JSON, FHIR_JSON))
    )
    for name in ("title", "status", "created", "service_start", "service_stop", "language"):
        assert getattr(one, name) == getattr(other, name), name
    (patient,), (same,) = one.patients, other.patients
    assert replace(patient, address="") == same
    assert [author.name for author in one.authors] == [author.name for author in other.authors]


def test_it_is_an_eu_laboratory_report() -> None:
    plain_bundle = json.loads(IN_JSON)
    # the checks are of what is made here, which has no panels and no specialty in a result
    for one in of_type(plain_bundle, "Observation"):
        one["category"] = one["category"][:1]
        if "hasMember" in one:
            one["dataAbsentReason"] = {"text": "a panel"}
    assert breaches(plain_bundle) == []


def test_a_summary_of_both_has_each_result_once() -> None:
    both = made(source(IN_JSON, FHIR_JSON), source(CDA))
    assert breaches_of_ips(both) == []
    alone = made(source(IN_JSON, FHIR_JSON))
    count = len(of_type(alone, "Observation"))
    # a time with seconds is another value, and CRP has a code of its own in one alone
    assert len(of_type(both, "Observation")) == count + 2
    first, second = of_type(both, "Provenance")
    shared = {one["reference"] for one in first["target"]} & {
        one["reference"] for one in second["target"]
    }
    assert len(shared) == 12
    numbers = [one["identifier"] for one in of_type(both, "Specimen")]
    assert [{"system": "urn:oid:2.999.6.1", "value": "S-1"}] in numbers


@pytest.mark.shows("behaviour patient summary")
def test_both_are_in_the_summary_of_a_patient(summaries: Server) -> None:
    patient = new_patient()
    provide(summaries, CDA, "text/xml", patient_id=patient)
    provide(summaries, IN_JSON, FHIR_JSON, patient_id=patient)
    bundle = had(summaries, patient)
    assert breaches_of_ips(bundle) == []
    assert len(bundle["entry"][0]["resource"]["relatesTo"]) == 2
    sodium = [one for one in of_type(bundle, "Observation") if one["code"].get("text") == "Sodium"]
    assert [one["valueQuantity"]["value"] for one in sodium] == [131], "138 was only cited"
