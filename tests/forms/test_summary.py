"""A patient's summary: what it has of which documents, for whom, and how it is asked for."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from tests.content import samples
from tests.fhir import schema
from tests.fhir.asked import FHIR_XML, Reply, ask, new_patient
from tests.forms.eu_laboratory import of_type
from tests.forms.ips import breaches, code_of, section
from tests.forms.served import awaited, provide
from tests.hl7v2.wire import Sender, connected, merge
from tests.messaging.senders import nhs_number
from tests.ports import free_port
from tests.reference import FHIR as R4
from tests.registry.wire import FIXTURES
from tests.servers.shared import SharedServers
from tests.serving import Server, configured
from xds.__main__ import main
from xds.client import entry_of
from xds.content.forms import table
from xds.content.observations.stored import stored
from xds.content.reading.reader import read
from xds.fhir.r4 import xml
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code
from xds.on_demand.forms import FormRequest, FormSource

LAB_REPORT: Final = (FIXTURES / "documents/lab_report.xml").read_bytes()
DISCHARGE: Final = (FIXTURES / "documents/discharge_summary.xml").read_bytes()
RECORD: Final = (FIXTURES / "documents/practice_record.fhir.json").read_bytes()
JSON: Final = "application/fhir+json"
PATIENT: Final = "P1^^^&2.999.1.1&ISO"
IPS: Final = "http://hl7.org/fhir/uv/ips/StructureDefinition"
SECRET: Final = Code("urn:test:secret", "2.999.9", "Secret")
POLICY: Final = """
[[rule]]
name = "all is done"
decision = "permit"

[[rule]]
name = "what is secret is not seen"
decision = "deny"
transactions = ["ITI-18", "ITI-43", "ITI-67", "ITI-68", "ITI-78"]
formatCode = ["urn:test:secret^^2.999.9"]
"""


@pytest.fixture
def summaries(shared_servers: SharedServers) -> Server:
    """A server that takes messages and feeds, and withholds what is secret."""

    def options(data: Path) -> dict[str, str]:
        (data / "policy.toml").write_text(POLICY)
        return {
            "mllp_port": str(free_port()),
            "observations": "read",
            "policy": str(data / "policy.toml"),
            "audit": "on",
        }

    return shared_servers("summaries", options)


def source(data: bytes, mime_type: str = "text/xml", **more: Any) -> FormSource:
    attributes = {name: more.pop(name) for name in [*more] if name != "results"}
    return FormSource(entry_of(PATIENT, mime_type, **attributes), lambda: data, **more)


def made(*sources: FormSource, **more: int) -> Any:
    request = FormRequest(
        unique_id="2.25.1", made="20260601101500", patient_id=PATIENT, sources=sources, **more
    )
    return json.loads(table.read(None).rows["summary"].build(request))


def every() -> Any:
    return made(source(LAB_REPORT), source(RECORD, JSON), source(DISCHARGE))


def by_identifier(patient_id: str) -> str:
    return f"urn:oid:2.999.1.1|{patient_id.partition('^')[0]}"


def asked(server: Server, patient_id: str, more: str = "", **headers: str) -> Reply:
    path = f"/Patient/$summary?identifier={by_identifier(patient_id)}{more}"
    return ask(server, "GET", path, headers)


def had(server: Server, patient_id: str) -> Any:
    reply = asked(server, patient_id)
    assert reply.status == 200, reply.body
    return reply.json()


def told(one: dict[str, Any]) -> str:
    return str(one["text"]["div"])


# --- what it has ---------------------------------------------------------------------------------


def test_a_summary_keeps_what_ips_demands() -> None:
    bundle = every()
    assert breaches(bundle) == []
    composition = bundle["entry"][0]["resource"]
    assert [code_of(one) for one in composition["section"]] == [
        *("10160-0", "48765-2", "11450-4", "11369-6", "30954-2", "47519-4", "11348-0"),
        *("18776-5", "8716-3", "48767-8"),
    ]
    assert told(composition).count("Made automatically of 3 documents by IHE XDS registry") == 1
    assert "at 1 June 2026, 10:15 UTC" in told(composition)
    (patient,) = of_type(bundle, "Patient")
    assert composition["confidentiality"] == "R", "the highest of the documents"
    assert (patient["name"][0]["family"], patient["birthDate"]) == ("Quill", "1964-02-29")


def test_hl7_has_no_objection() -> None:
    path = R4 / "fhir.schema.json"
    if not path.exists():
        pytest.skip("HL7's schema of R4 is not here")
    definitions = json.loads(path.read_text())["definitions"]
    for one in every()["entry"]:
        assert schema.accepts(definitions, one["resource"]), one["resource"]


def test_resources_are_carried_with_what_they_refer_to() -> None:
    bundle = every()
    by_url = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
    (allergy,) = of_type(bundle, "AllergyIntolerance")
    assert allergy["code"]["coding"][0]["code"] == "91935009"
    assert by_url[allergy["recorder"]["reference"]]["name"] == [{"text": "Dr Tansy Rook"}]
    assert by_url[allergy["patient"]["reference"]] is of_type(bundle, "Patient")[0]
    assert "profile" not in allergy["meta"], "nobody here claims it"
    assert "Carries a pen" in told(allergy)
    assert "onclick" not in told(allergy)
    (statement,) = of_type(bundle, "MedicationStatement")
    medicine = by_url[statement["medicationReference"]["reference"]]
    assert medicine["code"]["coding"][0]["display"] == "Amlodipine"
    assert medicine["manufacturer"] == {"display": "not in this summary"}
    assert "1 October 2025" in told(section(bundle, "11369-6"))
    (condition,) = of_type(bundle, "Condition")
    assert condition["encounter"]["identifier"]["value"] == "https://elsewhere.example/Encounter/1"
    (report,) = of_type(bundle, "DiagnosticReport")
    (sodium,) = (by_url[one["reference"]] for one in report["result"])
    assert (sodium["code"]["text"], sodium["valueQuantity"]["value"]) == ("Sodium", 140)


def test_each_statement_has_its_source() -> None:
    bundle = every()
    documents = {one["id"]: one for one in of_type(bundle, "DocumentReference")}
    of: dict[str, list[str]] = {}
    for one in of_type(bundle, "Provenance"):
        (entity,) = one["entity"]
        assert entity["role"] == "source"
        document = documents[entity["what"]["reference"].removeprefix("urn:uuid:")]
        for target in one["target"]:
            of.setdefault(target["reference"], []).append(document["identifier"][0]["value"])
    composition = bundle["entry"][0]["resource"]
    by_url = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
    for part in composition["section"]:
        for entry in part.get("entry", ()):
            resource = by_url[entry["reference"]]
            if resource["resourceType"] != "DocumentReference":
                assert of[entry["reference"]] == [resource["meta"]["source"]]
    # what a document says in words alone is an entry that leads to it
    (plan,) = section(bundle, "18776-5")["entry"]
    assert by_url[plan["reference"]]["content"][0]["attachment"]["title"] == "Discharge summary"
    expected = "From [3] Discharge summary, 10 April 2026, 10:15 UTC, Dr Sorrel Finch"
    assert expected in told(section(bundle, "18776-5"))


def test_words_of_a_cda_are_told_with_what_was_deleted() -> None:
    bundle = made(source(DISCHARGE))
    assert breaches(bundle) == []
    assert "Penicillin: rash in childhood" in told(section(bundle, "48765-2"))
    assert "Heart failure, [deleted: acute] chronic" in told(section(bundle, "11450-4"))
    assert "Bisoprolol" in told(section(bundle, "10160-0"))
    about = told(section(bundle, "48767-8"))
    assert "Course in hospital" in about, "named, for there is no section for it"
    assert "breathlessness" not in json.dumps(bundle)


def test_results_that_a_document_only_cites_are_left_out() -> None:
    bundle = made(source(LAB_REPORT))
    document = read(LAB_REPORT, "text/xml")
    earlier = [one for one in document.observations() if one.is_earlier]
    current = [one for one in document.observations() if not one.is_earlier]
    assert earlier
    assert len(of_type(bundle, "Observation")) == len(current)
    assert "138" not in told(section(bundle, "30954-2"))


def test_a_result_of_two_documents_stands_once_with_both() -> None:
    once = made(source(LAB_REPORT))
    rows = [stored(one).content for one in read(LAB_REPORT, "text/xml").observations()]
    twice = made(source(LAB_REPORT), source(b"%PDF-1.4", "application/pdf", results=lambda: rows))
    assert breaches(twice) == []
    assert len(of_type(twice, "Observation")) == len(of_type(once, "Observation"))
    first, second = of_type(twice, "Provenance")
    assert first["target"] == second["target"]


def test_what_was_entered_in_error_is_left_out() -> None:
    assert "300916003" not in json.dumps(every())
    bundle = json.loads(RECORD)
    bundle["entry"][0]["resource"]["status"] = "entered-in-error"
    withdrawn = made(source(json.dumps(bundle).encode(), JSON))
    assert breaches(withdrawn) == []
    assert "no: it was withdrawn by its author" in told(section(withdrawn, "48767-8"))
    assert of_type(withdrawn, "AllergyIntolerance") == []


def test_a_document_of_another_patient_says_nothing() -> None:
    other = "PID-3|1^^^&2.16.840.1.113883.2.1.4.1&ISO"
    number = other.removeprefix("PID-3|")
    bundle = made(source(DISCHARGE, source_patient_id=number, source_patient_info=(other,)))
    assert breaches(bundle) == []
    assert "no: it may be of another patient" in told(section(bundle, "48767-8"))
    assert "Penicillin" not in json.dumps(bundle)


def test_documents_that_contradict_each_other_are_not_mixed() -> None:
    """Both agree with their entries, which say nothing of the patient: the newest one counts."""
    other = re.sub(rb"<family>[^<]*", b"<family>Else", LAB_REPORT)
    other = re.sub(rb'<birthTime value="[^"]*"', b'<birthTime value="19010101"', other)
    other = re.sub(rb'extension="[^"]*"', b'extension="x"', other)
    assert of_type(made(source(other)), "Observation")
    mixed = made(source(DISCHARGE), source(other))
    assert breaches(mixed) == []
    assert "no: it names another patient" in told(section(mixed, "48767-8"))
    assert of_type(mixed, "Observation") == of_type(made(source(DISCHARGE)), "Observation")


@pytest.mark.parametrize(
    ("data", "mime_type", "reason"),
    [
        (b"<ClinicalDocument", "text/xml", "the document cannot be read"),
        (b"<other/>", "text/xml", "it is no CDA and no FHIR document"),
        (b"{}", JSON, "it is no CDA and no FHIR document"),
        (b"<a/>" * 300_001, "text/xml", "too large"),
    ],
)
def test_a_document_that_cannot_be_read_is_named(data: bytes, mime_type: str, reason: str) -> None:
    bundle = made(source(data, mime_type, title="Broken"), source(DISCHARGE))
    assert breaches(bundle) == []
    about = told(section(bundle, "48767-8"))
    assert "Broken" in about
    assert reason in about
    assert "Penicillin" in told(section(bundle, "48765-2"))


def test_a_resource_that_is_none_of_r4_is_told_in_words() -> None:
    bundle = json.loads(RECORD)
    allergy = next(
        one["resource"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "AllergyIntolerance"
    )
    allergy["code"] = "peanut"
    summary = made(source(json.dumps(bundle).encode(), JSON))
    assert breaches(summary) == []
    found = section(summary, "48765-2")
    assert "Peanut, with anaphylaxis" in told(found)
    (entry,) = found["entry"]
    by_url = {one["fullUrl"]: one["resource"] for one in summary["entry"]}
    assert by_url[entry["reference"]]["resourceType"] == "DocumentReference"


@pytest.mark.parametrize("row", samples.rows("expected.tsv"), ids=lambda row: row["file"])
def test_summaries_of_samples_keep_the_rules(row: dict[str, str]) -> None:
    path = samples.path(row)
    if not path.exists() or path.suffix == ".pdf":
        pytest.skip("the sample is not here, or a PDF")
    bundle = made(source(path.read_bytes(), samples.media_type(row)), source(DISCHARGE))
    assert breaches(bundle) == []


def test_resources_may_have_any_element() -> None:
    bundle = json.loads(RECORD)
    planned = {"resourceType": "ActivityDefinition", "status": "active", "kind": "Task", "id": "a"}
    bundle["entry"].append({"fullUrl": "urn:uuid:5f1d2c00-0000-4000-8000-0000000000ff"})
    bundle["entry"][-1]["resource"] = planned
    vaccine = next(
        one["resource"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "Immunization"
    )
    extension: dict[str, Any] = {"url": "https://extensions.example/plan"}
    extension["valueReference"] = {"reference": bundle["entry"][-1]["fullUrl"]}
    vaccine["extension"] = [extension]
    summary = made(source(json.dumps(bundle).encode(), JSON))
    assert breaches(summary) == []
    (found,) = of_type(summary, "ActivityDefinition")
    assert found["kind"] == "Task"


def test_what_is_too_much_is_named_and_not_read() -> None:
    size = str(16 << 20)
    bundle = made(source(DISCHARGE), source(RECORD, JSON, size=size, title="Large"))
    assert of_type(bundle, "AllergyIntolerance")
    bundle = made(source(DISCHARGE, size="1"), source(RECORD, JSON, size=size, title="Large"))
    assert breaches(bundle) == []
    assert "Large" in told(section(bundle, "48767-8"))
    assert "there is too much that is newer" in told(section(bundle, "48767-8"))
    assert of_type(bundle, "AllergyIntolerance") == []


def test_what_is_not_read_is_counted() -> None:
    about = told(section(made(source(DISCHARGE), left_out=7, others=4), "48767-8"))
    assert "Older documents that were not read: 7." in about
    assert "content could not be taken over: 4." in about


def _section(code: str, name: str) -> Callable[[Any], object]:
    def change(bundle: Any) -> None:
        sections = bundle["entry"][0]["resource"]["section"]
        next(one for one in sections if code_of(one) == code).pop(name)

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_section("48765-2", "text"), "title and text"),
        (_section("48765-2", "entry"), "ips-comp-1"),
        (lambda b: b["entry"][0]["resource"]["section"].pop(0), "the required sections"),
        (lambda b: b["entry"][0]["resource"].update(status="preliminary"), "status"),
        (lambda b: b["entry"][0]["resource"].update(attester=[{"mode": "legal"}]), "attested"),
        (lambda b: of_type(b, "Patient")[0].pop("birthDate"), "name and birthDate"),
        (lambda b: b["entry"].append(copy.deepcopy(b["entry"][1])), "stands once"),
        (lambda b: b["entry"].pop(1), "not in the document"),
    ],
)
def test_the_checks_find_what_is_broken(change: Callable[[Any], object], why: str) -> None:
    bundle = every()
    change(bundle)
    assert any(why in one for one in breaches(bundle))


# --- through the wire ----------------------------------------------------------------------------


@pytest.mark.shows("behaviour patient summary")
def test_a_patient_has_a_summary(summaries: Server) -> None:
    patient = new_patient()
    lab = provide(summaries, LAB_REPORT, "text/xml", patient_id=patient)
    record = provide(summaries, RECORD, JSON, patient_id=patient)
    provide(summaries, b"Words", "text/plain", patient_id=patient)
    bundle = had(summaries, patient)
    assert breaches(bundle) == []
    related = bundle["entry"][0]["resource"]["relatesTo"]
    values = {one["targetIdentifier"]["value"] for one in related}
    assert values == {f"urn:oid:{one.unique_id}" for one in (lab, record)}
    assert "could not be taken over: 1." in told(section(bundle, "48767-8"))
    # by the id of the patient, and in XML
    number = patient_resource_id(summaries, patient)
    reply = ask(summaries, "GET", f"/Patient/{number}/$summary", {"Accept": FHIR_XML})
    assert reply.headers["content-type"].startswith(FHIR_XML)
    in_xml, warnings = xml.read(reply.body)
    assert warnings == []
    assert [one["fullUrl"] for one in in_xml["entry"]] == [
        one["fullUrl"] for one in bundle["entry"]
    ]
    assert breaches(in_xml) == []
    assert ask(summaries, "POST", f"/Patient/{number}/$summary").json() == bundle
    again = asked(summaries, patient, **{"If-None-Match": reply.headers["etag"]})
    assert again.status == 304


def patient_resource_id(server: Server, patient_id: str) -> str:
    found = ask(server, "GET", f"/Patient?identifier={by_identifier(patient_id)}").json()
    return str(found["entry"][0]["resource"]["id"])


def test_parameters_name_the_patient(summaries: Server) -> None:
    patient = new_patient()
    provide(summaries, DISCHARGE, "text/xml", patient_id=patient)
    bundle = had(summaries, patient)
    identifier = {"system": "urn:oid:2.999.1.1", "value": patient.partition("^")[0]}
    for parameter in (
        {"name": "identifier", "valueString": by_identifier(patient)},
        {"name": "identifier", "valueIdentifier": identifier},
    ):
        profile = {"name": "profile", "valueCanonical": f"{IPS}/Bundle-uv-ips|2.0.0"}
        body = {"resourceType": "Parameters", "parameter": [parameter, profile]}
        headers = {"Content-Type": JSON}
        reply = ask(summaries, "POST", "/Patient/$summary", headers, json.dumps(body).encode())
        assert reply.json() == bundle


def test_a_summary_is_had_as_cda(summaries: Server) -> None:
    patient = new_patient()
    provide(summaries, LAB_REPORT, "text/xml", patient_id=patient)
    for accept in ("text/xml", "application/fhir+json"):
        reply = asked(summaries, patient, "&form=summary-cda", Accept=accept)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/xml")
        assert reply.headers["content-security-policy"] == "sandbox; default-src 'none'"
        document = read(reply.body, "text/xml")
        assert document.header.type_code is not None
        assert document.header.type_code.code == "60591-5"
        assert "[1] Laboratory report" in reply.body.decode()


def test_only_the_latest_version_counts(summaries: Server) -> None:
    patient = new_patient()
    old = provide(summaries, LAB_REPORT, "text/xml", patient_id=patient)
    count = len(of_type(had(summaries, patient), "Observation"))
    new = provide(summaries, LAB_REPORT, "text/xml", patient_id=patient, related=[(v.RPLC, old)])
    bundle = had(summaries, patient)
    assert len(of_type(bundle, "Observation")) == count
    (document,) = of_type(bundle, "DocumentReference")
    assert document["masterIdentifier"]["value"] == f"urn:oid:{new.unique_id}"


def test_a_transformation_adds_nothing(summaries: Server) -> None:
    patient = new_patient()
    cda = provide(summaries, DISCHARGE, "text/xml", patient_id=patient)
    provide(summaries, DISCHARGE, "text/xml", patient_id=patient, related=[(v.XFRM, cda)])
    (document,) = of_type(had(summaries, patient), "DocumentReference")
    assert document["masterIdentifier"]["value"] == f"urn:oid:{cda.unique_id}"


def test_a_summary_has_what_its_reader_may_see(summaries: Server) -> None:
    patient = new_patient()
    provide(summaries, DISCHARGE, "text/xml", patient_id=patient, format_code=SECRET)
    # a patient of whom all is withheld is as one who is not known
    assert asked(summaries, patient).status == 404
    shown = provide(summaries, LAB_REPORT, "text/xml", patient_id=patient)
    bundle = had(summaries, patient)
    assert breaches(bundle) == []
    (document,) = of_type(bundle, "DocumentReference")
    assert document["identifier"][0]["value"] == shown.id
    assert "Penicillin" not in json.dumps(bundle)
    assert "emptyReason" in section(bundle, "48765-2")


def test_a_patient_without_structured_documents_has_an_empty_one(summaries: Server) -> None:
    patient = new_patient()
    provide(summaries, b"Words", "text/plain", patient_id=patient)
    bundle = had(summaries, patient)
    assert breaches(bundle) == []
    for code in ("10160-0", "48765-2", "11450-4"):
        assert "No information" in told(section(bundle, code))
        (reason,) = section(bundle, code)["emptyReason"]["coding"]
        assert reason["code"] == "unavailable"
    assert of_type(bundle, "DocumentReference") == []


def test_results_of_a_message_are_in_the_summary(
    summaries: Server,
) -> None:
    patient = nhs_number()
    lines = (
        "MSH|^~\\&|LAB|T25|XDS|SCR|20260301120000||ORU^R01|S1|P|2.5.1",
        f"PID|1||{patient}^^^NHS^NH||Doe^Ann||19800229|F",
        f"OBR|1|P{patient}^LAB|T{patient}^LAB|24323-8^Metabolic panel^LN|||20260301"
        "|||||||||||||||20260301130000|||F",
        "OBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.3||||F|||20260301090000",
    )
    with connected(int(summaries.options["mllp_port"])) as sender:
        assert accepted(sender, "".join(f"{one}\r" for one in lines).encode())
    path = f"/Patient/$summary?identifier=https://fhir.nhs.uk/Id/nhs-number|{patient}"
    bundle = awaited(lambda: _if_found(ask(summaries, "GET", path)))
    assert breaches(bundle) == []
    (potassium,) = of_type(bundle, "Observation")
    assert potassium["code"]["coding"][0]["code"] == "2823-3"
    assert potassium["valueQuantity"]["value"] == 4.1
    assert "Potassium" in told(section(bundle, "30954-2"))


def accepted(sender: Sender, message: bytes) -> bool:
    return sender.ask(message).code in ("AA", "CA")


def _if_found(reply: Reply) -> Any:
    return reply.json() if reply.status == 200 else None


def test_a_merged_patient_has_the_summary_of_the_surviving_one(summaries: Server) -> None:
    subsumed, surviving = new_patient(), new_patient()
    provide(summaries, DISCHARGE, "text/xml", patient_id=subsumed)
    provide(summaries, LAB_REPORT, "text/xml", patient_id=surviving)
    number = patient_resource_id(summaries, subsumed)
    with connected(int(summaries.options["mllp_port"])) as sender:
        assert accepted(sender, merge(subsumed, surviving))
    bundle = had(summaries, surviving)
    assert len(of_type(bundle, "DocumentReference")) == 2
    assert "Penicillin" in told(section(bundle, "48765-2"))
    assert had(summaries, subsumed) == bundle
    assert ask(summaries, "GET", f"/Patient/{number}/$summary").json() == bundle


@pytest.mark.parametrize(
    ("path", "status", "code", "why"),
    [
        ("/Patient/$summary", 400, "required", "the parameter identifier"),
        ("/Patient/1/$summary?identifier=a|b", 400, "required", "the parameter identifier"),
        ("/Patient/$summary?identifier=urn:oid:2.999.1.1|", 400, "value", "system|value"),
        ("/Patient/$summary?identifier=urn:oid:2.999.1.1|nobody", 404, "not-found", "no such"),
        ("/Patient/987654321/$summary", 404, "not-found", "no such patient"),
        ("/Patient/nobody/$summary", 404, "not-found", "no such patient"),
        (
            "/Patient/$summary?identifier=a|b&graph=c",
            400,
            "not-supported",
            "identifier, profile, form",
        ),
        (
            "/Patient/$summary?identifier=a|b&profile=http://other.example/summary",
            *(400, "not-supported", "International Patient Summary alone"),
        ),
        ("/DocumentReference/x/$document?form=summary", 400, "not-supported", "pdf, fhir"),
        ("/Patient/$summary?identifier=a|b&form=pdf", 400, "not-supported", "summary-cda"),
        ("/Patient/$summary?identifier=a|b&identifier=c|d", 400, "invalid", "stands once"),
    ],
)
def test_a_wrong_request_is_told(
    summaries: Server, path: str, status: int, code: str, why: str
) -> None:
    reply = ask(summaries, "GET", path.replace("|", "%7C"))
    assert (reply.status, reply.codes()) == (status, [code])
    assert why in reply.json()["issue"][0]["diagnostics"]


def test_a_wrong_body_is_told(summaries: Server) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "identifier", "valueInteger": 1}]}
    headers = {"Content-Type": JSON}
    reply = ask(summaries, "POST", "/Patient/$summary", headers, json.dumps(body).encode())
    assert (reply.status, reply.codes()) == (400, ["invalid"])


def test_the_capability_statement_has_the_operation(summaries: Server) -> None:
    (rest,) = ask(summaries, "GET", "/metadata").json()["rest"]
    (patient,) = (one for one in rest["resource"] if one["type"] == "Patient")
    found = {(one["name"], one["definition"]) for one in patient["operation"]}
    assert found == {("summary", "http://hl7.org/fhir/uv/ips/OperationDefinition/summary")}
    paths = ask(summaries, "GET", "/openapi.json")
    assert b"/Patient/{id}/$summary" in paths.body


def test_a_read_is_recorded_with_the_documents(summaries: Server) -> None:
    patient = new_patient()
    shown = provide(summaries, DISCHARGE, "text/xml", patient_id=patient)
    had(summaries, patient)
    awaited(
        lambda: [one for one in audited(summaries, patient) if str(shown.unique_id) in one] or None
    )


def audited(server: Server, patient_id: str) -> list[str]:
    """Return the records of retrievals of a patient's documents by FHIR."""
    url = configured(server.data).database_url
    asked_for = ["--patient", patient_id, "--transaction", "ITI-68", "--format", "xml"]
    result = CliRunner().invoke(main, ["audit", "--database", url, *asked_for])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()
