"""FHIR documents: when one is complete, its bytes, and the metadata that it gives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fhir.genomics import (
    BASE,
    CDA,
    FHIR_DOCUMENT_JSON,
    FHIR_DOCUMENT_XML,
    NHS_NUMBERS,
    REFERENCE,
    fhir_document,
    opened,
)
from xds import parsing
from xds.content import cda, defaults
from xds.content import fhir_document as documents
from xds.content.document_metadata import DocumentMetadata, completed, missing
from xds.fhir.facade import Facade
from xds.fhir.r4 import json, structure, xml
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import Author, Code
from xds.metadata.systems import Systems
from xds.mhd.provide.subjects import subjects_of

SYSTEMS = Systems.read()
SHIPPED = defaults.read(None)
COMPOSITION = "Bundle.entry[0].resource"
SNOMED = "2.16.840.1.113883.6.96"


@dataclass(frozen=True)
class Reader:
    """Describes documents; their subjects are looked up in a registry without patients."""

    facade: Facade

    def described(self, document: Resource) -> DocumentMetadata:
        with self.facade.domain.registry.view(ANYTHING) as view:
            return documents.describe(
                documents.Document(
                    bundle=document,
                    media_type=FHIR_JSON,
                    base=BASE,
                    systems=SYSTEMS,
                    subjects=lambda references: (
                        subjects_of(
                            self.facade.config, SYSTEMS, references, view, IssueCollector()
                        ).patient_id
                    ),
                )
            )

    def values(self, document: Resource) -> dict[str, Any]:
        found = self.described(document)
        assert found.issues == ()
        return dict(found.values)

    def issue(self, document: Resource) -> Issue:
        issues = self.described(document).issues
        return next(one for one in issues if one.severity == "error")


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with opened(tmp_path_factory.mktemp("documents")) as facade:
        yield Reader(facade)


def composed(**elements: object) -> Resource:
    """Return the report with elements of its Composition set anew; None removes one."""
    document = fhir_document()
    composition = document["entry"][0]["resource"]
    for name, element in elements.items():
        composition[name] = element
        if element is None:
            del composition[name]
    return document


# What a FHIR document is


def test_the_report_is_a_document() -> None:
    assert documents.is_document(fhir_document())
    assert documents.problems(fhir_document()) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"type": "collection"}, "type"),
        ({"identifier": {}}, "identifier"),
        ({"identifier": {"value": "1"}}, "identifier.system"),
        ({"identifier": {"system": "urn:oid:2.999"}}, "identifier.value"),
        ({"timestamp": None}, "timestamp"),
        ({"entry": []}, "entry[0].resource"),
        ({"entry": fhir_document()["entry"][1:]}, "entry[0].resource"),
    ],
)
def test_what_keeps_a_bundle_from_being_a_document(change: Resource, place: str) -> None:
    (found,) = documents.problems(fhir_document() | change, "Bundle.entry[3].resource")
    assert found.expression == (f"Bundle.entry[3].resource.{place}",)


def test_no_document() -> None:
    assert not documents.is_document({"resourceType": "Bundle", "type": "transaction"})
    assert not documents.is_document({"resourceType": "Binary"})


# Bytes


@pytest.mark.parametrize("media_type", [FHIR_JSON, FHIR_XML])
def test_bytes_of_a_document_have_all_that_it_has(media_type: str) -> None:
    document = fhir_document() | {"meta": {"tag": [{"code": "unknown to anyone"}]}}
    data = documents.document_bytes(document, media_type)
    assert data == documents.document_bytes(json.read(json.render(document)), media_type)
    read = xml.read(data)[0] if media_type == FHIR_XML else json.read(data)
    assert read == document
    assert b"0.490" in data


def test_the_fixtures_are_one_document() -> None:
    assert xml.read(FHIR_DOCUMENT_XML) == (json.read(FHIR_DOCUMENT_JSON), [])


# Everything


def test_the_document_says_the_same_as_the_cda_document(read: Reader) -> None:
    found = read.values(fhir_document())
    other = dict(cda.describe(parsing.parse(CDA.encode()), SHIPPED, NHS_NUMBERS).values)
    assert found.pop("class_code") == Code(
        "26436-6", "2.16.840.1.113883.6.1", "Laboratory studies (set)"
    )
    assert (found.pop("mime_type"), other.pop("mime_type")) == (FHIR_JSON, "text/xml")
    # FHIR R4 has no place for the order that a report fulfils
    assert found["reference_id_list"] == other["reference_id_list"][1:]
    assert found | {"reference_id_list": other["reference_id_list"]} == other


# Identifiers


def test_without_an_identifier_of_the_composition_the_bundles_is_taken(read: Reader) -> None:
    found = read.values(composed(identifier=None))
    assert found["unique_id"] == "2.999.3.1^BUNDLE-GLH-2026-118802"


def test_an_identifier_that_metadata_cannot_say(read: Reader) -> None:
    url = {"system": "https://glh.example/reports", "value": "1"}
    assert read.values(composed(identifier=url))["unique_id"].endswith("BUNDLE-GLH-2026-118802")
    found = read.issue(composed(identifier=url) | {"identifier": url})
    assert found.expression == (f"{COMPOSITION}.identifier",)


def test_a_uuid_as_identifier(read: Reader) -> None:
    uuid = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    document = composed(identifier={"system": "urn:ietf:rfc:3986", "value": uuid})
    assert read.values(document)["unique_id"] == uuid


# Codes


def test_security_labels_add_to_the_confidentiality(read: Reader) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "GDIS"}
    found = read.values(composed(confidentiality="R", meta={"security": [label]}))
    assert [str(code) for code in found["confidentiality_code"]] == [
        "R^^2.16.840.1.113883.5.25",
        "GDIS^^2.16.840.1.113883.5.4",
    ]
    assert found["confidentiality_code"][0].display_name == "restricted"


def test_a_label_without_system(read: Reader) -> None:
    found = read.issue(composed(meta={"security": [{"code": "GDIS"}]}))
    assert found.expression == (f"{COMPOSITION}.meta.security[0].system",)


def test_a_type_without_code(read: Reader) -> None:
    found = read.issue(composed(type={"text": "Report"}))
    assert found.expression == (f"{COMPOSITION}.type.coding[0].code",)


def test_what_the_document_does_not_say(read: Reader) -> None:
    found = read.described(composed(category=None, subject=None))
    lacking = {one.expression[0]: one for one in missing(found, completed(found, SHIPPED))}
    assert found.issues == ()
    assert set(lacking) == {
        COMPOSITION,
        f"{COMPOSITION}.category",
        f"{COMPOSITION}.subject",
    }


@pytest.mark.parametrize(
    ("of_composition", "of_bundle", "language"),
    [("cy", "en-GB", "cy"), (None, "en-GB", "en-GB"), (None, None, None)],
)
def test_language(
    read: Reader, of_composition: str | None, of_bundle: str | None, language: str | None
) -> None:
    document = composed(language=of_composition) | {"language": of_bundle}
    assert read.values(document).get("language_code") == language


# Times


def test_event_times_are_the_earliest_and_the_latest(read: Reader) -> None:
    events = [
        {"period": {"start": "2026-04-13", "end": "2026-04-14"}},
        {"period": {"start": "2026-04-12T23:30:00-02:00"}},
        {"period": {"end": "2026-05"}},
    ]
    found = read.values(composed(event=events))
    assert found["service_start_time"] == "20260413"
    assert found["service_stop_time"] == "202605"


def test_a_date_that_is_none(read: Reader) -> None:
    found = read.issue(composed(date="4 May 2026"))
    assert found.expression == (f"{COMPOSITION}.date",)


# Who wrote it


def test_an_author_who_is_nowhere(read: Reader) -> None:
    nowhere = {"reference": "urn:uuid:2f0a7e52-6d3c-4c0b-9b6e-1d9a5c1f7aff"}
    found = read.issue(composed(author=[nowhere]))
    assert found.expression == (f"{COMPOSITION}.author[0]",)


def test_an_organisation_as_author(read: Reader) -> None:
    hub = {"reference": "urn:uuid:2f0a7e52-6d3c-4c0b-9b6e-1d9a5c1f7a05"}
    (found,) = read.values(composed(author=[hub]))["author"]
    assert isinstance(found, Author)
    assert (found.person, len(found.institution)) == ((), 1)


def test_only_who_attests_legally_is_the_legal_authenticator(read: Reader) -> None:
    attesters = fhir_document()["entry"][0]["resource"]["attester"]
    assert "legal_authenticator" not in read.values(composed(attester=attesters[:1]))


# The patient


def test_a_subject_by_its_identifier_alone(read: Reader) -> None:
    identifier = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}
    found = read.values(composed(subject={"identifier": identifier}))
    patient_id = f"9990000018^^^&{NHS_NUMBERS}&ISO"
    assert (found["patient_id"], found["source_patient_id"]) == (patient_id, patient_id)
    assert "source_patient_info" not in found


def test_a_relative_reference_is_never_to_a_patient_of_this_server(read: Reader) -> None:
    found = read.issue(composed(subject={"reference": "Patient/5"}))
    assert (found.code, found.expression) == ("not-found", (f"{COMPOSITION}.subject",))


def test_relative_references_begin_at_the_full_url(read: Reader) -> None:
    document = composed(subject={"reference": "Patient/p"})
    document["entry"][0]["fullUrl"] = "https://glh.example/fhir/Composition/c"
    document["entry"][1]["fullUrl"] = "https://glh.example/fhir/Patient/p"
    assert read.values(document)["source_patient_id"] == "MRN-40127^^^&2.999.1.2&ISO"


# What it belongs to


def test_an_encounter_by_its_identifier(read: Reader) -> None:
    identifier = {"system": "urn:oid:2.999.1.4", "value": "E-1"}
    found = read.values(composed(encounter={"identifier": identifier}))
    assert found["reference_id_list"] == (f"E-1^^^&2.999.1.4&ISO^{v.REFERENCE_ENCOUNTER_ID}",)
    assert "reference_id_list" not in read.values(composed(encounter=None))


@pytest.mark.parametrize(
    ("target", "unique_ids"),
    [
        ({"targetIdentifier": {"system": "urn:oid:2.999.3.1", "value": "1"}}, ("2.999.3.1^1",)),
        ({"targetReference": {"reference": "urn:oid:2.999.3.1.1"}}, ("2.999.3.1.1",)),
        ({"targetReference": {"reference": "Composition/1"}}, ()),
    ],
)
def test_documents_that_it_relates_to(
    read: Reader, target: Resource, unique_ids: tuple[str, ...]
) -> None:
    found = read.described(composed(relatesTo=[{"code": "replaces", **target}])).stated.related
    assert [one.association_type for one in found] == [v.RPLC] * len(unique_ids)
    assert tuple(uid for one in found for uid in one.unique_ids) == unique_ids


# formatCode


def test_the_format_is_the_profile_of_the_bundle(read: Reader) -> None:
    found = completed(read.described(fhir_document()), SHIPPED)["format_code"]
    assert found.code == "https://genomics.example/StructureDefinition/genomics-report-bundle"
    assert SYSTEMS.uri(found.coding_scheme) == "urn:ietf:rfc:3986"


@pytest.mark.parametrize(
    "meta", [{}, {"profile": ["http://hl7.org/fhir/StructureDefinition/Bundle"]}]
)
def test_a_document_of_no_profile_has_a_sufficient_mime_type(read: Reader, meta: Resource) -> None:
    found = completed(read.described(fhir_document() | {"meta": meta}), SHIPPED)["format_code"]
    assert found == defaults.MIME_TYPE_SUFFICIENT


# The example of the guide


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the guide's examples are not here")
def test_the_document_of_the_guide(read: Reader) -> None:
    document = json.read((REFERENCE / "Bundle-ex-fhir-document-bundle.json").read_bytes())
    patient = document["entry"][2]["resource"]
    patient["identifier"] = [{"system": f"urn:oid:{NHS_NUMBERS}", "value": "9990000018"}]
    found = read.values(document)
    assert found["unique_id"] == "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    assert found["author"][0].person[0].startswith("^Careful^Adam")
    assert found["creation_time"] == "20130201123002"
    assert found["reference_id_list"][0].startswith("S100^^^")


SNOMED_TEST = Code("405825005", SNOMED, "Molecular genetic test")


def test_what_is_said_of_several_events_is_listed_once(read: Reader) -> None:
    event = fhir_document()["entry"][0]["resource"]["event"][0]
    assert read.values(composed(event=[event, event]))["event_code_list"] == (SNOMED_TEST,)


# Whatever else may come


def changes(holder: Any) -> Iterator[None]:
    """Change one thing within, each in its turn."""
    places = list(holder) if isinstance(holder, dict) else range(len(holder))
    for place in places:
        value = holder[place]
        if isinstance(value, dict | list):
            yield from changes(value)
        for odd in ("x", "^~&|\\", "urn:uuid:x", "#x", "Patient/1", "2.999", "9" * 300):
            holder[place] = odd
            yield
        holder[place] = value
    if isinstance(holder, dict):
        for name, value in list(holder.items()):
            del holder[name]
            yield
            holder[name] = value


def test_a_document_is_described_whatever_stands_in_it(read: Reader) -> None:
    document = fhir_document()
    del document["entry"][0]["resource"]["section"]
    described = 0
    for _ in changes(document["entry"][:8]):
        if any(one.severity == "error" for one in structure.problems(document)):
            continue  # the request is refused before
        if not documents.problems(document):
            read.described(document)
            described += 1
    assert described > 100
