"""ITI-106 Generate Metadata: documents that say their metadata, stored and registered."""

import json as plain_json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fhir.asked import ANYONE
from tests.fhir.genomics import (
    BASE,
    CDA,
    DEFAULTS,
    FHIR_DOCUMENT_JSON,
    FHIR_DOCUMENT_XML,
    NHS_NUMBERS,
    REFERENCE,
    binary,
    call,
    edited,
    fhir_document,
    opened,
    parameters,
)
from tests.fhir.published import in_memory
from tests.serving import serving
from tests.waiting import PATIENCE
from xds.content import fhir_document as documents
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4 import json
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import DocumentEntry, SubmissionSet
from xds.mhd.iti106_generate_metadata import generate

ROOT = Path(__file__).parent.parent.parent
FIXTURES, DEPLOY = ROOT / "fixtures" / "documents", ROOT / "deploy"
UNIQUE_ID = "2.999.3.1^GLH-2026-118802"
RESOURCE = "Parameters.parameter[0].resource"
DATA = f"{RESOURCE}.data"


@pytest.fixture
def facade(tmp_path: Path) -> Iterator[Facade]:
    with opened(tmp_path) as facade:
        yield facade


def entries(facade: Facade) -> list[DocumentEntry]:
    with facade.domain.registry.view(ANYTHING) as view:
        return [found.thing for found in view.find(DocumentEntry, [])]


def content(facade: Facade, entry: DocumentEntry) -> bytes:
    request = DocumentRequest(entry.repository_unique_id or "", entry.unique_id or "")
    (found,) = facade.domain.repository.retrieve([request]).documents
    return in_memory(found)


def refusal(facade: Facade, request: Call) -> Refused:
    """Have a request refused, and see that nothing was stored."""
    before = entries(facade)
    with pytest.raises(Refused) as refused:
        generate(facade, request)
    assert entries(facade) == before
    assert not list((facade.config.data / "documents").rglob("staged/*"))
    return refused.value


def issue(facade: Facade, request: Call) -> Issue:
    refused = refusal(facade, request)
    assert refused.status == 400
    (found,) = [one for one in refused.issues if one.severity == "error"]
    return found


def reference(answer: Answer) -> Resource:
    assert answer.status == 200
    assert answer.resource is not None
    (parameter,) = answer.resource["parameter"]
    assert (answer.resource["resourceType"], parameter["name"]) == (
        "Parameters",
        "DocumentReference",
    )
    found: Resource = parameter["valueReference"]
    return found


# What is made of a document


def test_a_cda_document(facade: Facade) -> None:
    answer = generate(facade, call(binary(CDA)))
    (entry,) = entries(facade)
    name = f"DocumentReference/{entry.id.removeprefix('urn:uuid:')}"
    assert reference(answer)["reference"] == name
    assert reference(answer)["identifier"]["value"] == "GLH-2026-118802"
    assert answer.headers == {"Location": f"{BASE}/{name}"}
    assert (entry.unique_id, entry.mime_type) == (UNIQUE_ID, "text/xml")
    assert entry.patient_id == f"9990000018^^^&{NHS_NUMBERS}&ISO"
    assert str(entry.class_code) == "26436-6^^2.16.840.1.113883.6.1"
    assert entry.availability_status == v.APPROVED
    assert content(facade, entry) == CDA.encode()


def test_its_submission_set(facade: Facade) -> None:
    generate(facade, call(binary(CDA)))
    (entry,) = entries(facade)
    with facade.domain.registry.view(ANYTHING) as view:
        (found,) = view.find(SubmissionSet, [])
        (member,) = view.members([found.thing.id])
    assert member.entry_uuid == entry.id
    assert found.thing.patient_id == entry.patient_id
    assert found.thing.content_type_code == entry.type_code
    assert found.thing.author == entry.author


@pytest.mark.parametrize("media_type", [FHIR_JSON, FHIR_XML])
def test_a_fhir_document_within_the_request(facade: Facade, media_type: str) -> None:
    generate(facade, call(fhir_document(), media_type))
    (entry,) = entries(facade)
    assert (entry.unique_id, entry.mime_type) == (UNIQUE_ID, media_type)
    assert content(facade, entry) == documents.document_bytes(fhir_document(), media_type)


@pytest.mark.parametrize(
    ("data", "content_type", "media_type"),
    [
        (FHIR_DOCUMENT_JSON, "application/fhir+json", FHIR_JSON),
        (FHIR_DOCUMENT_JSON, "application/json; charset=utf-8", FHIR_JSON),
        (FHIR_DOCUMENT_XML, "application/fhir+xml", FHIR_XML),
        (FHIR_DOCUMENT_XML, "text/xml", FHIR_XML),
    ],
)
def test_a_fhir_document_in_a_binary(
    facade: Facade, data: bytes, content_type: str, media_type: str
) -> None:
    generate(facade, call(binary(data, content_type)))
    (entry,) = entries(facade)
    assert (entry.unique_id, entry.mime_type) == (UNIQUE_ID, media_type)
    assert content(facade, entry) == data


_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "UTF-8-SIG"])
def test_a_cda_document_in_another_encoding(facade: Facade, encoding: str) -> None:
    declared = _DECLARATION.replace("UTF-8", encoding.removesuffix("-SIG"))
    text = edited(CDA, (_DECLARATION, declared), ("Sample-Wren", "Sämple-Wren"))
    data = text.encode(encoding)
    generate(facade, call(binary(data)))
    (entry,) = entries(facade)
    assert "PID-5|Sämple-Wren^Olive^Mary^^Mrs^^L" in entry.source_patient_info
    assert content(facade, entry) == data


def test_the_charset_of_the_content_type_counts(facade: Facade) -> None:
    text = edited(CDA, (_DECLARATION, ""), ("Sample-Wren", "Sämple-Wren")).strip()
    generate(facade, call(binary(text.encode("latin-1"), "text/xml; charset=ISO-8859-1")))
    (entry,) = entries(facade)
    assert "PID-5|Sämple-Wren^Olive^Mary^^Mrs^^L" in entry.source_patient_info


def test_a_large_narrative(facade: Facade) -> None:
    text = edited(CDA, ("<text>Breast cancer", f"<text>{'x' * (20 << 20)} Breast cancer"))
    generate(facade, call(binary(text)))
    (entry,) = entries(facade)
    assert entry.size == str(len(text.encode()))


def test_a_patient_of_this_server(facade: Facade) -> None:
    generate(facade, call(binary(CDA)))
    document = fhir_document()
    with facade.domain.registry.view(ANYTHING) as view:
        (patient,) = view.patients([f"9990000018^^^&{NHS_NUMBERS}&ISO"])
    composition = document["entry"][0]["resource"]
    composition["identifier"]["value"] = "other"
    composition["subject"] = {"reference": f"{BASE}/Patient/{patient.number}"}
    generate(facade, call(document))
    assert {entry.patient_id for entry in entries(facade)} == {patient.patient_id}


# The same document again


def test_a_document_that_is_registered_already(facade: Facade) -> None:
    first = generate(facade, call(binary(CDA)))
    again = generate(facade, call(binary(CDA, "application/xml")))
    assert reference(again) == reference(first)
    assert again.headers == {}
    assert len(entries(facade)) == 1


def test_another_document_under_the_same_unique_id(facade: Facade) -> None:
    generate(facade, call(binary(CDA)))
    refused = refusal(facade, call(binary(edited(CDA, ("pathogenic variant", "benign variant")))))
    assert refused.status == 409
    assert "XDSNonIdenticalHash" in {one.error_code for one in refused.issues}


# What it says of other documents


def related(type_code: str, number: str) -> str:
    parent = f'<parentDocument><id root="2.999.3.1" extension="{number}"/></parentDocument>'
    return edited(
        CDA,
        ('extension="GLH-2026-118802"/>\n  <code', 'extension="GLH-2026-118803"/>\n  <code'),
        (
            "<componentOf>",
            f'<relatedDocument typeCode="{type_code}">{parent}</relatedDocument><componentOf>',
        ),
    )


def test_a_document_that_replaces_another(facade: Facade) -> None:
    generate(facade, call(binary(CDA)))
    generate(facade, call(binary(related("RPLC", "GLH-2026-118802"))))
    status = {entry.unique_id: entry.availability_status for entry in entries(facade)}
    assert status == {UNIQUE_ID: v.DEPRECATED, "2.999.3.1^GLH-2026-118803": v.APPROVED}


def test_an_addendum(facade: Facade) -> None:
    generate(facade, call(binary(CDA)))
    generate(facade, call(binary(related("APND", "GLH-2026-118802"))))
    parent, addendum = sorted(entries(facade), key=lambda entry: entry.unique_id or "")
    with facade.domain.registry.view(ANYTHING) as view:
        (relation,) = view.relations([addendum.id])
    assert (relation.association_type, relation.target) == (v.APND, parent.id)
    assert parent.availability_status == v.APPROVED


def test_a_document_that_replaces_one_not_held_here(facade: Facade) -> None:
    generate(facade, call(binary(related("RPLC", "GLH-2025-000001"))))
    (entry,) = entries(facade)
    assert entry.availability_status == v.APPROVED


def test_a_fhir_document_that_replaces_another(facade: Facade) -> None:
    generate(facade, call(binary(CDA)))
    document = fhir_document()
    composition = document["entry"][0]["resource"]
    target = dict(composition["identifier"])
    composition["identifier"]["value"] = "GLH-2026-118803"
    composition["relatesTo"] = [{"code": "replaces", "targetIdentifier": target}]
    generate(facade, call(document))
    wanted = Comparison("unique_id", Operator.EQUAL, (UNIQUE_ID,))
    with facade.domain.registry.view(ANYTHING) as view:
        (found,) = view.find(DocumentEntry, [wanted])
    assert found.thing.availability_status == v.DEPRECATED


# What is refused


@pytest.mark.parametrize(
    ("parameter", "place"),
    [
        ([], "Parameters.parameter"),
        ([{"name": "url", "valueUri": "urn:oid:2.999"}], "Parameters.parameter[0].name"),
        ([{"name": "document"}], RESOURCE),
        ([{"name": "document", "resource": {"resourceType": "Patient"}}], RESOURCE),
        (
            [{"name": "document", "valueString": "x", "resource": binary(CDA)}],
            "Parameters.parameter[0].value",
        ),
        (
            [{"name": "document", "part": [{"name": "x"}], "resource": binary(CDA)}],
            "Parameters.parameter[0].part",
        ),
        (parameters(binary(CDA))["parameter"] * 2, "Parameters.parameter[1]"),
        (
            [*parameters(binary(CDA))["parameter"], {"name": "persist", "valueBoolean": True}],
            "Parameters.parameter[1].name",
        ),
    ],
)
def test_parameters_that_are_not_those_of_the_operation(
    facade: Facade, parameter: list[Resource], place: str
) -> None:
    request = Call(
        access=ANYONE, base=BASE, resource={"resourceType": "Parameters", "parameter": parameter}
    )
    assert issue(facade, request).expression == (place,)


@pytest.mark.parametrize(
    ("document", "code", "place", "told"),
    [
        (binary("Hello World", "text/plain"), "not-supported", f"{RESOURCE}.contentType", "CDA"),
        ({"resourceType": "Binary", "contentType": "text/xml"}, "required", DATA, "no data"),
        (binary(CDA) | {"data": "PD94bWw"}, "value", DATA, "base64"),
        (binary(""), "required", DATA, "no data"),
        (binary("<ClinicalDocument/>"), "not-supported", DATA, "neither"),
        (binary('<x xmlns="urn:hl7-org:v3"/>'), "not-supported", DATA, "neither"),
        (binary('<Patient xmlns="http://hl7.org/fhir"/>'), "not-supported", DATA, "neither"),
        (binary(CDA[:-20]), "structure", DATA, "not well-formed"),
        (binary(CDA.replace("<Clin", '<!DOCTYPE x [<!ENTITY y "z">]><Clin', 1)),
         "structure", DATA, "DTD"),
        (binary("{", "application/fhir+json"), "structure", DATA, "well-formed"),
        (binary('{"resourceType": "Patient"}', "application/fhir+json"), "", DATA, "Bundle"),
        (binary(CDA, "application/fhir+json"), "structure", DATA, "well-formed"),
    ],
)  # fmt: skip
def test_documents_of_which_no_metadata_can_be_made(
    facade: Facade, document: Resource, code: str, place: str, told: str
) -> None:
    refused = refusal(facade, call(document))
    found = refused.issues[0]
    assert refused.status == 400
    assert found.code == (code or found.code)
    assert found.expression == (place,)
    assert told in found.diagnostics


def test_the_place_in_a_cda_header_is_told_in_words(facade: Facade) -> None:
    found = issue(
        facade, call(binary(edited(CDA, ('birthTime value="19710823"', 'birthTime value="x"'))))
    )
    assert found.expression == (DATA,)
    place = "/ClinicalDocument/recordTarget/patientRole/patient/birthTime/@value"
    assert found.diagnostics.startswith(f"{place}: ")


def test_the_place_in_a_bundle_is_an_expression(facade: Facade) -> None:
    document = fhir_document()
    document["entry"][0]["resource"]["date"] = "4 May 2026"
    found = issue(facade, call(document))
    assert found.expression == (f"{RESOURCE}.entry[0].resource.date",)


def test_the_place_in_the_bundle_of_a_binary_is_told_in_words(facade: Facade) -> None:
    document = fhir_document()
    del document["timestamp"]
    found = issue(facade, call(binary(json.render(document), FHIR_JSON)))
    assert found.expression == (DATA,)
    assert found.diagnostics.startswith("Bundle.timestamp")


def test_a_bundle_that_is_no_document(facade: Facade) -> None:
    found = issue(facade, call(fhir_document() | {"type": "collection"}))
    assert found.expression == (f"{RESOURCE}.type",)


@pytest.fixture
def comprehensive(tmp_path: Path) -> Iterator[Facade]:
    """A deployment that takes no Minimal Metadata, nor patients without identifier."""
    with opened(tmp_path / "comprehensive", minimal_metadata="refuse") as found:
        yield found


def test_a_patient_whom_the_domain_cannot_know(comprehensive: Facade) -> None:
    document = fhir_document()
    del document["entry"][1]["resource"]["identifier"]
    refused = refusal(comprehensive, call(document))
    assert refused.status == 400
    assert (f"{RESOURCE}.entry[1].resource",) in [one.expression for one in refused.issues]
    assert "XDSUnknownPatientId" in [one.error_code for one in refused.issues]


def test_the_id_of_a_patient_in_a_document_is_none_of_this_server(comprehensive: Facade) -> None:
    facade = comprehensive
    generate(facade, call(binary(CDA)))
    with facade.domain.registry.view(ANYTHING) as view:
        (patient,) = view.patients([f"9990000018^^^&{NHS_NUMBERS}&ISO"])
    document = fhir_document()
    document["entry"][0]["resource"]["identifier"]["value"] = "other"
    other = document["entry"][1]["resource"]
    other["id"] = str(patient.number)
    del other["identifier"]
    assert refusal(facade, call(document)).issues[0].error_code == "XDSUnknownPatientId"


def test_limited_metadata_where_they_are_accepted(tmp_path: Path) -> None:
    with opened(tmp_path, defaults="", minimal_metadata="accept") as facade:
        generate(facade, call(binary(CDA)))
        (entry,) = entries(facade)
    assert entry.limited_metadata
    assert entry.class_code is None


def test_complete_metadata_are_not_limited(tmp_path: Path) -> None:
    with opened(tmp_path, minimal_metadata="accept") as facade:
        generate(facade, call(binary(CDA)))
        (entry,) = entries(facade)
    assert not entry.limited_metadata


def test_patients_that_a_feed_must_have_made_known(tmp_path: Path) -> None:
    with opened(tmp_path, unknown_patients="known") as facade:
        found = issue(facade, call(binary(CDA)))
    assert (found.error_code, found.expression) == ("XDSUnknownPatientId", (RESOURCE,))


def test_codes_that_nobody_says(tmp_path: Path) -> None:
    with opened(tmp_path, defaults="", minimal_metadata="refuse") as facade:
        refused = refusal(facade, call(binary(CDA)))
    assert [one.code for one in refused.issues] == ["required"] * 3
    told = "\n".join(one.diagnostics for one in refused.issues)
    for name in ("classCode", "healthcareFacilityTypeCode", "practiceSettingCode"):
        assert f"codes.{name}" in told
    assert told.count("generate_defaults") == told.count("minimal_metadata") == 3


@pytest.mark.parametrize("name", ["report.xml", "genomics_report.xml", "genomics_report.fhir.json"])
def test_the_shipped_defaults_complete_the_fixtures(tmp_path: Path, name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    document = binary(data) if name.endswith(".xml") else json.read(data)
    authority = "2.999.1.1" if name == "report.xml" else NHS_NUMBERS
    defaults = (DEPLOY / "generate_defaults.toml").read_text("utf-8")
    options = {"minimal_metadata": "refuse", "assigning_authority": authority}
    with opened(tmp_path, defaults=defaults, **options) as facade:
        generate(facade, call(document))
        (entry,) = entries(facade)
    assert not entry.limited_metadata
    assert entry.class_code is not None


def test_a_language_of_the_deployment(tmp_path: Path) -> None:
    text = edited(CDA, ('<languageCode code="en-GB"/>', ""))
    with opened(tmp_path, defaults='languageCode = "cy"\n' + DEFAULTS) as facade:
        generate(facade, call(binary(text)))
        (entry,) = entries(facade)
    assert entry.language_code == "cy"


def test_a_clock_of_the_deployment(tmp_path: Path) -> None:
    text = edited(CDA, ("20260504161207.250+0100", "20260504161207"))
    with opened(tmp_path, defaults='timeZone = "Europe/London"\n' + DEFAULTS) as facade:
        generate(facade, call(binary(text)))
        (entry,) = entries(facade)
    assert entry.creation_time == "20260504151207"


# The guide's own examples

guide = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the guide's examples are not here")


@guide
def test_the_guides_binary_is_of_a_kind_that_has_no_metadata(facade: Facade) -> None:
    request = json.read((REFERENCE / "Parameters-ex-input-binary.json").read_bytes())
    found = issue(facade, Call(access=ANYONE, base=BASE, resource=request))
    assert (found.code, found.expression) == ("not-supported", (f"{RESOURCE}.contentType",))


@guide
def test_the_guides_document_is_of_a_patient_without_identifier(comprehensive: Facade) -> None:
    request = json.read((REFERENCE / "Parameters-ex-input-doc-bundle.json").read_bytes())
    refused = refusal(comprehensive, Call(access=ANYONE, base=BASE, resource=request))
    assert refused.status == 400
    assert "XDSUnknownPatientId" in [one.error_code for one in refused.issues]


@guide
def test_the_guides_document_of_a_patient_with_an_identifier(tmp_path: Path) -> None:
    request = json.read((REFERENCE / "Parameters-ex-input-doc-bundle.json").read_bytes())
    patient = request["parameter"][0]["resource"]["entry"][2]["resource"]
    patient["identifier"] = [{"system": f"urn:oid:{NHS_NUMBERS}", "value": "9990000018"}]
    defaults = (
        'languageCode = "en-US"\n[codes.confidentialityCode]\ncode = "N"\n'
        'codingScheme = "2.16.840.1.113883.5.25"\ndisplayName = "normal"\n' + DEFAULTS
    )
    with opened(tmp_path, defaults=defaults) as facade:
        generate(facade, Call(access=ANYONE, base=BASE, resource=request))
        (entry,) = entries(facade)
    assert entry.unique_id == "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    assert entry.title == "Discharge Summary"


@guide
def test_the_guides_document_where_minimal_metadata_is_accepted(tmp_path: Path) -> None:
    request = json.read((REFERENCE / "Parameters-ex-input-doc-bundle.json").read_bytes())
    with opened(tmp_path, defaults="", minimal_metadata="accept") as facade:
        generate(facade, Call(access=ANYONE, base=BASE, resource=request))
        (entry,) = entries(facade)
    assert entry.limited_metadata
    assert (entry.patient_id or "").endswith(f"^^^&{NHS_NUMBERS}&ISO")
    assert entry.source_patient_id == entry.patient_id


# Through the wire


def post(url: str, resource: Resource) -> tuple[int, Resource, str | None]:
    request = urllib.request.Request(
        f"{url}/fhir/DocumentReference/$generate-metadata",
        data=plain_json.dumps(resource).encode(),
        headers={"Content-Type": FHIR_JSON, "Accept": FHIR_JSON},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, plain_json.load(answer), answer.headers["Location"]
    except urllib.error.HTTPError as error:
        return error.code, plain_json.load(error), None


def test_through_the_wire(tmp_path: Path) -> None:
    file = tmp_path / "defaults.toml"
    file.write_text(DEFAULTS, "utf-8")
    options = {"generate_defaults": str(file), "assigning_authority": NHS_NUMBERS, "workers": "1"}
    with serving(tmp_path / "served", options) as server:
        status, found, location = post(server.url, parameters(binary(CDA)))
        assert (status, found["resourceType"]) == (200, "Parameters")
        assert location is not None
        with urllib.request.urlopen(location, timeout=PATIENCE) as answer:
            read = plain_json.load(answer)
        assert read["masterIdentifier"]["value"] == "GLH-2026-118802"
        with urllib.request.urlopen(read["content"][0]["attachment"]["url"]) as answer:
            assert answer.read() == CDA.encode()
        status, outcome, _ = post(server.url, parameters(binary("x", "text/plain")))
        assert (status, outcome["resourceType"]) == (400, "OperationOutcome")
        assert outcome["issue"][0]["expression"] == [f"{RESOURCE}.contentType"]
