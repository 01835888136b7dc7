"""Where references lead: every form that FHIR has for them (R4 references, bundle.html)."""

from typing import Any

import pytest

from xds.fhir.references import (
    ConditionalReference,
    Contained,
    Dangling,
    Entry,
    Foreign,
    Held,
    InRequest,
    Named,
    References,
    entry_uuid,
)
from xds.mhd.provide.bundle import EntryKind

BASE = "https://hub.example/fhir"
UUID = "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001"


def _entry(
    index: int, full_url: str, url: str = "Patient", kind: EntryKind = EntryKind.PATIENT
) -> Entry:
    place = f"Bundle.entry[{index}]"
    return Entry(
        index=index,
        place=place,
        path=f"{place}.resource",
        kind=kind,
        method="PATCH" if kind is EntryKind.PATCH else "POST",
        url=url,
        full_url=full_url,
        resource={"resourceType": url.partition("/")[0], "n": index},
        resource_type=url.partition("/")[0],
        is_context=kind in (EntryKind.PATIENT, EntryKind.OTHER),
    )


ENTRIES = (
    _entry(0, UUID),
    _entry(1, "https://source.example/r4/Patient/7"),
    _entry(2, "", "Patient/12"),
    _entry(3, "https://source.example/r4/Practitioner/3", "Practitioner", EntryKind.OTHER),
    _entry(
        4, "urn:uuid:aaaaaaaa-0000-4000-8000-000000000004", "DocumentReference/9", EntryKind.PATCH
    ),
)
REFERENCES = References(BASE, ENTRIES)
OF = {"contained": [{"resourceType": "Patient", "id": "p"}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UUID, InRequest(ENTRIES[0])),
        (UUID.upper().replace("URN:UUID", "urn:uuid"), InRequest(ENTRIES[0])),
        ("https://source.example/r4/Patient/7", InRequest(ENTRIES[1])),
        ("https://source.example/r4/Patient/7/_history/2", InRequest(ENTRIES[1])),
        ("Patient/12", InRequest(ENTRIES[2])),
        ("Patient/13", Held("Patient", "13")),
        ("/Patient/13", Held("Patient", "13")),
        ("Patient/13/_history/1", Held("Patient", "13")),
        (f"{BASE}/Patient/13", Held("Patient", "13")),
        (f"{BASE}/Patient/12", InRequest(ENTRIES[2])),
        ("DocumentReference/9", Held("DocumentReference", "9")),
        (
            "Patient?identifier=urn:oid:2.999.1.1%7CA%2B1",
            ConditionalReference("Patient", (("identifier", "urn:oid:2.999.1.1|A+1"),)),
        ),
        ("https://other.example/fhir/Patient/1", Foreign("https://other.example/fhir/Patient/1")),
        (f"{BASE}elsewhere/Patient/1", Foreign(f"{BASE}elsewhere/Patient/1")),
        ("#p", Contained(OF["contained"][0])),
    ],
)
def test_a_reference_leads_to(text: str, expected: object) -> None:
    assert REFERENCES.follow({"reference": text}, OF) == expected


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "urn:uuid:aaaaaaaa-0000-4000-8000-00000000000f"},
        {"reference": "#q"},
        {"reference": "12"},
        {"reference": "patient/12"},
        {"display": "Anna"},
        {},
    ],
)
def test_a_reference_dangles(reference: dict[str, Any]) -> None:
    assert isinstance(REFERENCES.follow(reference, OF), Dangling)


def test_a_relative_reference_begins_at_the_server_of_its_entry() -> None:
    full_url = "https://source.example/r4/DocumentReference/1"
    assert REFERENCES.lead("Patient/7", full_url) == InRequest(ENTRIES[1])
    assert REFERENCES.lead("Patient/7", UUID) == Held("Patient", "7")


def test_a_logical_reference_names_an_identifier() -> None:
    identifier = {"system": "urn:oid:2.999.1.1", "value": "A1"}
    assert REFERENCES.follow({"identifier": identifier}, {}) == Named(identifier)


def test_a_literal_reference_counts_before_an_identifier() -> None:
    reference = {"reference": UUID, "identifier": {"value": "A1"}}
    assert REFERENCES.follow(reference, {}) == InRequest(ENTRIES[0])


@pytest.mark.parametrize(
    ("parameters", "identifier"),
    [
        (
            (("identifier", "urn:oid:2.999.1.1|A1"),),
            {"system": "urn:oid:2.999.1.1", "value": "A1"},
        ),
        ((("identifier", "A1"),), {"value": "A1"}),
        ((("identifier", "|A1"),), {"value": "A1"}),
        ((("family", "Shaw"),), None),
        ((("identifier", "A1"), ("active", "true")), None),
    ],
)
def test_a_search_is_by_identifier(
    parameters: tuple[tuple[str, str], ...], identifier: dict[str, str] | None
) -> None:
    assert ConditionalReference("Patient", parameters).identifier == identifier


def test_others_refer_to_patients_and_actors_of_the_request_only() -> None:
    found = REFERENCES.resource({"reference": "https://source.example/r4/Practitioner/3"})
    assert found == ENTRIES[3].resource
    assert REFERENCES.resource({"reference": ENTRIES[4].full_url}) is None
    assert REFERENCES.resource({"reference": "Practitioner/3"}) is None


def test_an_id_that_no_entry_can_have_has_no_entry_uuid() -> None:
    assert entry_uuid("AAAAAAAA-0000-4000-8000-000000000001") == UUID
    assert entry_uuid("17") is None
