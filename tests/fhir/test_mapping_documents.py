"""DocumentReferences: what is written of a DocumentEntry, and what real senders may send."""

from typing import Any

import pytest

from tests.fhir.mapped import PATIENT, READING, SYSTEMS, WRITING
from tests.fhir.test_mapping_table import ENTRY
from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import Mapped, Reading
from xds.fhir.datatypes.identifiers import uuid_identifier
from xds.fhir.datatypes.relations import read_relates_to
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import new_uuid
from xds.metadata.objects import Author, Code, DocumentEntry
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.document_references import document_reference, read_document_reference
from xds.mhd.mapping.patients import patient_resource
from xds.registry.queries.views import KnownPatient, Relation

RFC = "urn:ietf:rfc:3986"
PATH = READING.path
TARGET = "urn:uuid:bbbbbbbb-0000-4000-8000-000000000001"


def minimal(**elements: Any) -> Resource:
    """Return what every DocumentReference has, and more."""
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": RFC, "value": "urn:oid:2.999.3.1"},
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "url": "urn:uuid:x"}}],
        **elements,
    }


def attached(**elements: Any) -> Resource:
    return minimal(content=[{"attachment": {"contentType": "text/plain", **elements}}])


def read(resource: Resource, reading: Reading = READING) -> Mapped[DocumentEntry]:
    return read_document_reference(resource, reading, patient_id=PATIENT)


def refusal(resource: Resource) -> list[tuple[str, ...]]:
    """Return code and expressions of each error, relative to the resource."""
    with pytest.raises(Refused) as caught:
        read(resource)
    assert caught.value.status == 400
    return [
        (one.code, *(e.removeprefix(f"{PATH}.") for e in one.expression))
        for one in caught.value.issues
        if one.severity == "error"
    ]


def warned(mapped: Mapped[DocumentEntry]) -> list[str]:
    assert all(one.severity == "warning" for one in mapped.warnings)
    return [e.removeprefix(f"{PATH}.") for one in mapped.warnings for e in one.expression]


# --- written -------------------------------------------------------------------------------------


def test_a_whole_entry_is_comprehensive() -> None:
    resource = document_reference(
        ENTRY.updated(uri=None, document_availability=None),
        context=WRITING,
        registered_at="20260304112000",
        last_updated_at="20260305070809",
        patient=17,
    )
    attachment = resource["content"][0]["attachment"]
    assert resource["id"] == "aaaaaaaa-0000-4000-8000-000000000002"
    assert resource["meta"] == {
        "lastUpdated": "2026-03-05T07:08:09Z",
        "profile": [mhd.COMPREHENSIVE_DOCUMENT_REFERENCE],
    }
    assert resource["date"] == "2026-03-04T11:20:00Z"
    assert resource["status"] == "superseded"
    assert resource["subject"] == {
        "reference": "Patient/17",
        "type": "Patient",
        "identifier": {"system": "urn:oid:2.999.1.1", "value": "P0001"},
    }
    version = "aaaaaaaa-0000-4000-8000-000000000001"  # of which the document is, by its entryUUID
    assert attachment["url"] == f"{WRITING.base}/document/{version}"
    assert attachment["hash"] == "DU/T6Lmh9u4vfB9vW2sPHoqaTBE="
    assert attachment["size"] == 20480


@pytest.mark.parametrize(
    "lacking",
    ["type_code", "creation_time", "format_code", "language_code", "confidentiality_code"],
)
def test_an_entry_that_lacks_something_is_minimal(lacking: str) -> None:
    absent: Any = () if lacking == "confidentiality_code" else None
    resource = document_reference(ENTRY.updated(**{lacking: absent}), context=WRITING)
    assert resource["meta"]["profile"] == [mhd.MINIMAL_DOCUMENT_REFERENCE]


def test_an_entry_of_limited_metadata_is_minimal() -> None:
    resource = document_reference(ENTRY.updated(limited_metadata=True), context=WRITING)
    assert resource["meta"]["profile"] == [mhd.MINIMAL_DOCUMENT_REFERENCE]


def test_an_on_demand_document_has_neither_hash_nor_size() -> None:
    entry = ENTRY.updated(
        object_type=v.ON_DEMAND_DOCUMENT_ENTRY, hash=None, size=None, creation_time=None
    )
    attachment = document_reference(entry, context=WRITING)["content"][0]["attachment"]
    assert attachment.keys().isdisjoint({"hash", "size", "creation"})


def test_an_author_of_several_institutions_is_one_role() -> None:
    author = Author(
        person=("^Okafor^Ngozi",),
        institution=("Lighthouse Practice", "Harbour Hospital^^^^^^^^^2.999.1.7"),
        role=("attending",),
    )
    resource = document_reference(ENTRY.updated(author=(author,)), context=WRITING)
    assert resource["author"] == [{"reference": "#author-1"}]
    role = next(one for one in resource["contained"] if one["id"] == "author-1")
    assert role["practitioner"] == {"reference": "#author-1-person-1"}
    assert role["organization"] == {"reference": "#author-1-organization-1"}
    assert role["extension"] == [
        {
            "url": f.OWN_INSTITUTION,
            "valueReference": {"reference": "#author-1-organization-2"},
        }
    ]


def test_relations_are_told_by_their_source() -> None:
    relations = [Relation(kind, ENTRY.entry_uuid, TARGET) for kind in (v.RPLC, v.SIGNS)]
    resource = document_reference(ENTRY, context=WRITING, relations=relations)
    target = {"reference": "DocumentReference/bbbbbbbb-0000-4000-8000-000000000001"}
    assert resource["relatesTo"] == [
        {"code": "replaces", "target": target},
        {"code": "signs", "target": target},
    ]


@pytest.mark.parametrize(
    ("kind", "back"),
    [
        *((kind, kind) for kind in (v.RPLC, v.XFRM, v.APND, v.SIGNS, v.XFRM_RPLC)),
        (v.IS_SNAPSHOT_OF, v.XFRM),
    ],
)
def test_relations_come_back(kind: str, back: str) -> None:
    relations = [Relation(kind, ENTRY.entry_uuid, TARGET)]
    resource = document_reference(ENTRY, context=WRITING, relations=relations)
    [related] = read_relates_to(resource, PATH)
    assert related.association_type == back
    assert related.expression == f"{PATH}.relatesTo[0].target"


def test_replacing_one_document_and_transforming_another_are_two_relations() -> None:
    resource = {
        "relatesTo": [
            {"code": "replaces", "target": {"reference": "DocumentReference/1"}},
            {"code": "transforms", "target": {"reference": "DocumentReference/2"}},
            {"code": "transforms", "target": {"reference": "DocumentReference/1"}},
        ]
    }
    found = [(one.association_type, one.expression) for one in read_relates_to(resource, "X")]
    assert found == [(v.XFRM_RPLC, "X.relatesTo[0].target"), (v.XFRM, "X.relatesTo[1].target")]


def test_patients() -> None:
    known = KnownPatient(3, "943^^^&2.16.840.1.113883.2.1.4.1&ISO", None)
    assert patient_resource(known, context=WRITING) == {
        "resourceType": "Patient",
        "id": "3",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "943"}],
        "active": True,
    }
    merged = patient_resource(KnownPatient(4, PATIENT, 3), context=WRITING)
    assert merged["active"] is False
    assert merged["link"] == [{"other": {"reference": "Patient/3"}, "type": "replaced-by"}]


# --- read ----------------------------------------------------------------------------------------


def test_the_least_that_is_a_document() -> None:
    mapped = read(minimal())
    entry = mapped.thing
    assert mapped.warnings == ()
    assert entry.unique_id == "2.999.3.1"
    assert entry.mime_type == "text/plain"
    assert entry.object_type == v.STABLE_DOCUMENT_ENTRY
    assert entry.availability_status == v.APPROVED
    assert entry.patient_id == entry.source_patient_id == PATIENT
    assert entry.hash is entry.size is entry.repository_unique_id is None


@pytest.mark.parametrize(
    "value",
    [
        "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "ZGEzOWEzZWU1ZTZiNGIwZDMyNTViZmVmOTU2MDE4OTBhZmQ4MDcwOQ==",
        "REEzOUEzRUU1RTZCNEIwRDMyNTVCRkVGOTU2MDE4OTBBRkQ4MDcwOQ==",
    ],
    ids=["of the bytes", "of the digits", "of digits in upper case"],
)
def test_both_forms_of_hash(value: str) -> None:
    assert read(attached(hash=value)).thing.hash == v.EMPTY_SHA1


@pytest.mark.parametrize(
    "value",
    ["da39a3ee5e6b4b0d3255bfef95601890afd80709", "2jmj", "!", "4pyT4pyT4pyT4pyT4pyT4pyT4pyT"],
)
def test_any_other_hash_is_refused(value: str) -> None:
    assert refusal(attached(hash=value)) == [("value", "content[0].attachment.hash")]


def test_date_stands_in_for_the_creation_that_is_not_said() -> None:
    entry = read(minimal(date="2020-02-01T23:50:50.5-05:00")).thing
    assert entry.creation_time == "20200202045050"


@pytest.mark.parametrize(
    ("elements", "error"),
    [
        ({"masterIdentifier": None}, ("required", "masterIdentifier")),
        (
            {"masterIdentifier": {"system": "http://example.org/d", "value": "1"}},
            ("value", "masterIdentifier"),
        ),
        ({"status": "entered-in-error"}, ("not-supported", "status")),
        ({"content": []}, ("structure", "content")),
        ({"content": [{"attachment": {}}] * 2}, ("structure", "content[1]")),
        ({"type": {"text": "Note"}}, ("required", "type.coding[0].code")),
        ({"type": {"coding": [{"code": "A"}]}}, ("required", "type.coding[0].system")),
        (
            {"context": {"event": [{"coding": [{"system": "urn:oid:2.999"}]}]}},
            ("required", "context.event[0].coding[0].code"),
        ),
        (
            {"context": {"period": {"start": "yesterday"}}},
            ("value", "context.period.start"),
        ),
        ({"author": [{"reference": "#nobody"}]}, ("not-found", "author[0]")),
        ({"author": [{"reference": TARGET}]}, ("not-found", "author[0]")),
        (
            {"contained": [{"resourceType": "Binary", "id": "b"}], "author": [{"reference": "#b"}]},
            ("invalid", "author[0]"),
        ),
        (
            {"context": {"sourcePatientInfo": {"reference": "#nobody"}}},
            ("not-found", "context.sourcePatientInfo"),
        ),
        (
            {
                "identifier": [
                    {
                        "type": {"coding": [{"system": f.IDENTIFIER_TYPES, "code": "uniqueId"}]},
                        "system": RFC,
                        "value": "urn:oid:2.999.3.2",
                    }
                ]
            },
            ("invariant", "identifier[0]"),
        ),
        (
            {"identifier": [uuid_identifier(new_uuid()), uuid_identifier(new_uuid())]},
            ("invariant", "identifier[1]"),
        ),
        (
            {"identifier": [{"use": "official", "system": RFC, "value": "urn:uuid:x"}]},
            ("value", "identifier[0].value"),
        ),
        (
            {"extension": [{"url": mhd.HOME_COMMUNITY_ID, "valueOid": "2.999"}]},
            ("value", "extension[0]"),
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    elements: dict[str, Any], error: tuple[str, ...]
) -> None:
    resource = {k: v for k, v in minimal(**elements).items() if v is not None}
    assert error in refusal(resource)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    resource = minimal(status="entered-in-error", type={"text": "x"}, date="?")
    assert len(refusal(resource)) == 4


def test_no_value_of_the_request_is_in_the_diagnostics() -> None:
    resource = minimal(context={"period": {"start": "Meier"}})
    with pytest.raises(Refused) as caught:
        read(resource)
    assert "Meier" not in caught.value.issues[0].diagnostics


def test_labels_may_all_be_in_one_concept() -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    codings = [{"system": system, "code": code} for code in "RN"]
    entry = read(minimal(securityLabel=[{"coding": codings}, {"coding": codings[:1]}])).thing
    assert [code.code for code in entry.confidentiality_code] == ["R", "N", "R"]


def test_of_several_codings_the_first_is_taken_that_is_whole() -> None:
    codings = [{"code": "x"}, {"system": "http://loinc.org", "code": "60591-5"}]
    entry = read(minimal(type={"coding": codings, "text": "Summary"})).thing
    assert entry.type_code == Code("60591-5", "2.16.840.1.113883.6.1", "Summary")


def test_the_old_uri_of_format_codes_is_known() -> None:
    format_ = {"system": "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem", "code": "x"}
    resource = minimal(content=[{"attachment": {}, "format": format_}])
    found = read(resource).thing.format_code
    assert found == Code("x", v.IHE_FORMAT_CODES, "x")


def test_of_several_categories_the_first_is_the_class_code() -> None:
    concepts = [{"coding": [{"system": "http://loinc.org", "code": code}]} for code in ("A", "B")]
    mapped = read(minimal(category=concepts))
    assert mapped.thing.class_code == Code("A", "2.16.840.1.113883.6.1", "A")
    assert mapped.thing.further_codes == ("classCode|B^^2.16.840.1.113883.6.1",)
    assert mapped.warnings == ()


ORGANIZATION = {"resourceType": "Organization", "id": "o", "name": "my Hospital"}
MAIL_ONLY = {
    "resourceType": "Practitioner",
    "id": "p",
    "telecom": [{"system": "email", "value": "a@example.org"}],
}


def test_an_organization_does_not_sign() -> None:
    mapped = read(minimal(contained=[ORGANIZATION], authenticator={"reference": "#o"}))
    assert mapped.thing.legal_authenticator is None
    assert warned(mapped) == []


def test_an_author_may_be_no_more_than_an_address() -> None:
    mapped = read(minimal(contained=[MAIL_ONLY], author=[{"reference": "#p"}]))
    assert mapped.thing.author == (Author(telecommunication=("^NET^Internet^a@example.org",)),)
    assert mapped.warnings == ()


def test_an_author_may_be_a_resource_of_the_bundle_that_refers_to_others() -> None:
    bundle: dict[str, Resource] = {
        "urn:uuid:1": {
            "resourceType": "PractitionerRole",
            "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "A"}]}],
            "practitioner": {"reference": "#p"},
            "organization": {"reference": "urn:uuid:2"},
        },
        "urn:uuid:2": ORGANIZATION,
    }
    reading = Reading(SYSTEMS, PATH, lambda reference: bundle.get(reference["reference"]))
    mapped = read(minimal(author=[{"reference": "urn:uuid:1"}]), reading)
    assert mapped.thing.author == (Author(person=("^A",), institution=("my Hospital",)),)


def test_a_role_in_a_role_goes_on_no_further() -> None:
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#r"}}
    mapped = read(minimal(contained=[role], author=[{"reference": "#r"}]))
    assert mapped.thing.author == ()
    assert warned(mapped) == []


@pytest.mark.parametrize(
    ("reference", "author"),
    [
        ({"display": "Dr Ruiz"}, Author(person=("^Dr Ruiz",))),
        (
            {"identifier": {"system": "urn:oid:2.999.1.6", "value": "77"}},
            Author(person=("77^^^^^^^^&2.999.1.6&ISO",)),
        ),
        (
            {"reference": "http://example.org/fhir/Organization/1", "display": "Harbour"},
            Author(institution=("Harbour",)),
        ),
        ({"type": "Organization", "display": "Harbour"}, Author(institution=("Harbour",))),
    ],
)
def test_an_author_may_be_named_without_being_there(reference: Resource, author: Author) -> None:
    assert read(minimal(author=[reference])).thing.author == (author,)


def test_an_author_on_another_server_is_no_author_of_the_metadata() -> None:
    mapped = read(minimal(author=[{"reference": "Practitioner/ex-practitioner"}]))
    assert mapped.thing.author == ()
    assert warned(mapped) == []


def test_an_identifier_that_metadata_cannot_say_is_no_part_of_an_author() -> None:
    someone = {
        "resourceType": "Practitioner",
        "id": "p",
        "identifier": [{"system": "http://www.acme.org/practitioners", "value": "23"}],
        "name": [{"family": "Careful", "given": ["Adam"]}],
    }
    mapped = read(minimal(contained=[someone], author=[{"reference": "#p"}]))
    assert mapped.thing.author == (Author(person=("^Careful^Adam",)),)
    assert warned(mapped) == []


def test_a_patient_of_the_source_without_an_oid_is_the_subject() -> None:
    source = {
        "resourceType": "Patient",
        "id": "s",
        "name": [{"family": "Schmidt", "given": ["Dee"]}],
        "identifier": [{"system": "http://example.org/patients", "value": "mrn-1234"}],
    }
    context = {"sourcePatientInfo": {"reference": "#s"}}
    mapped = read(minimal(contained=[source], context=context))
    assert mapped.thing.source_patient_id == PATIENT
    assert mapped.thing.source_patient_info == (
        "PID-3|mrn-1234^^^http://example.org/patients",
        "PID-5|Schmidt^Dee",
    )
    assert warned(mapped) == ["context.sourcePatientInfo"]


def test_related_things_are_known_by_their_identifiers() -> None:
    encounter = {
        "resourceType": "Encounter",
        "identifier": [{"system": "https://www.example.org/encounters", "value": "S100"}],
    }
    reading = Reading(SYSTEMS, PATH, lambda r: encounter if r["reference"] == "urn:x:1" else None)
    context = {
        "related": [
            {"identifier": {"system": RFC, "value": "urn:oid:2.999.9"}},
            {"reference": "Observation/1"},
        ],
        "encounter": [{"reference": "urn:x:1"}],
    }
    mapped = read(minimal(context=context), reading)
    assert mapped.thing.reference_id_list == (
        "2.999.9^^^^urn:ihe:iti:xds:2013:uniqueId",
        "S100^^^https://www.example.org/encounters^urn:ihe:iti:xds:2015:encounterId",
    )
    assert warned(mapped) == []


def test_encounters_are_encounters() -> None:
    text = "S100^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2015:encounterId"
    resource = document_reference(ENTRY.updated(reference_id_list=(text,)), context=WRITING)
    assert resource["context"]["encounter"][0]["identifier"]["value"] == "S100"
    assert "related" not in resource["context"]
    assert read(resource).thing.reference_id_list == (text,)
