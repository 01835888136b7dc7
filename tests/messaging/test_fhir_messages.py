"""FHIR messages: what is read of a Bundle, and how $process-message answers, through the wire."""

import base64
import json
import secrets
from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, ask
from tests.messaging.senders import nhs_number
from tests.serving import Server, serving
from tests.soap.receiver import receiving
from tests.waiting import until
from xds.__main__ import main
from xds.client import DocumentConsumer
from xds.fhir_messages import reading
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.model import CarriedContent, MessageContent, RenderedContent
from xds.messaging.verdicts import ContentRefused
from xds.metadata.systems import Systems

ROOT = Path(__file__).parents[2]
GOOD = json.loads((ROOT / "fixtures/fhir-messages/r01.json").read_text())
SYSTEMS = Systems.read(None)
FLAVOURS = read_flavours(None)
Change = Any


def read(bundle: dict[str, Any], flavours: FlavourTable = FLAVOURS) -> MessageContent:
    return reading.read(bundle, SYSTEMS, flavours)


def changed(**changes: Any) -> dict[str, Any]:
    """The good message, with other values at paths: ``entry.1.resource.status``."""
    bundle = deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        at: Any = bundle
        for name in parents:
            at = at[int(name[1:])] if name[1:].isdigit() else at[name]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return bundle  # type: ignore[no-any-return]


def test_a_report_with_a_document_is_read() -> None:
    content = read(GOOD)
    assert (content.envelope.sender, content.envelope.trigger) == ("LAB|2.999.8", "R01")
    assert content.patient is not None
    assert content.patient.identifiers[0].cx == "9434765919^^^&2.16.840.1.113883.2.1.4.1&ISO"
    (report,) = content.reports
    assert report.number is not None
    assert (report.number.value, report.status, report.action) == ("G26-1", "final", "file")
    assert [one.value for one in report.placer_numbers] == ["ORD-7"]
    assert report.created == "20260810091500"
    assert report.type_code is not None
    assert report.type_code.code == "1054161000000101"
    (document,) = report.documents
    assert isinstance(document.content, CarriedContent)
    assert b"".join(document.content.chunks()).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("changes", "verdict", "path"),
    [
        ({"entry__n0__resource__eventCoding__code": "R99"}, "event", "eventCoding"),
        ({"entry__n0__resource__eventCoding": None}, "field", "event"),
        ({"entry__n0__resource__resourceType": "Patient"}, "type", "entry[0]"),
        ({"entry__n0__resource__timestamp": "2026-01-01T00:00:00Z"}, "version", "event"),
        ({"entry__n1__resource__identifier": []}, "patient-id", "entry[1]"),
        (
            {"entry__n1__resource__identifier__n0__value": "9434765918"},
            "patient-id",
            "identifier[0]",
        ),
        ({"entry__n2__resource__data": "JVBERi0x..."}, "corrupt", "entry[2].resource.data"),
        ({"entry__n0__resource__eventCoding__code": "O21", "entry__n5": None}, "segment", "entry"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    changes: dict[str, Any], verdict: str, path: str
) -> None:
    changes = {key: value for key, value in changes.items() if key != "entry__n5"}
    bundle = changed(**changes)
    if verdict == "segment":
        kept = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "ServiceRequest"]
        bundle["entry"] = kept
    with pytest.raises(ContentRefused) as refusal:
        read(bundle)
    found = [(one.verdict.name, one.location) for one in refusal.value.findings]
    assert any(name == verdict and path in where for name, where in found), found


def test_a_document_that_two_resources_name_is_one() -> None:
    bundle = deepcopy(GOOD)
    report = next(e["resource"] for e in bundle["entry"] if "presentedForm" in e["resource"])
    assert report["presentedForm"][0]["url"] == bundle["entry"][2]["fullUrl"]
    (one,) = read(bundle).reports
    assert len(one.documents) == 1


def test_a_report_without_document_has_rows_that_are_rendered() -> None:
    bundle = deepcopy(GOOD)
    bundle["entry"] = [
        entry
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] not in ("DocumentReference", "Binary")
    ]
    for entry in bundle["entry"]:
        entry["resource"].pop("presentedForm", None)
    (report,) = read(bundle).reports
    (document,) = report.documents
    assert isinstance(document.content, RenderedContent)
    rows = document.content.sections[0].rows
    assert [(row.test, row.value, row.unit) for row in rows] == [("Haemoglobin", "141", "g/L")]


def test_rows_have_the_time_of_their_observation_where_it_is_not_that_of_the_report(
    server: Server,
) -> None:
    bundle = own()
    kept = ("DocumentReference", "Binary")
    bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] not in kept]
    by_type = {one["resource"]["resourceType"]: one for one in bundle["entry"]}
    said = by_type["DiagnosticReport"]["resource"]
    said.pop("presentedForm")
    said["effectiveDateTime"] = "2026-08-09T10:00:00Z"
    same = by_type["Observation"]
    same["resource"]["effectiveDateTime"] = "2026-08-09T11:00:00+01:00"
    for place, effective in enumerate(
        ({"effectiveInstant": "2026-08-09T15:45:00Z"}, {"effectivePeriod": {"start": "2026-08-07"}})
    ):
        other = deepcopy(same)
        del other["resource"]["effectiveDateTime"]
        other["resource"] |= effective
        other["fullUrl"] = f"urn:uuid:4d534706-0000-4000-8000-00000000000{place + 2}"
        bundle["entry"].append(other)
    said["result"] = [
        {"reference": one["fullUrl"]}
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "Observation"
    ]
    _, response = send(server, bundle)
    assert header(response)["response"]["code"] == "ok", response
    (focus,) = header(response)["focus"]
    found = ask(server, "GET", f"/{focus['reference'].partition('/fhir/')[2]}").json()
    url = found["content"][0]["attachment"]["url"]
    content = ask(server, "GET", f"/{url.partition('/fhir/')[2]}").body
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    shown = [line for line in text.splitlines() if "141" in line]
    assert len(shown) == 3, text
    assert "16:45" in text  # as the sender's zone has it
    assert "07-Aug-2026" in text
    assert text.count("11:00") == 1  # the time of the report, above its rows


def test_an_order_names_who_asks() -> None:
    bundle = json.loads((ROOT / "fixtures/fhir-messages/twin.json").read_text())
    bundle["entry"][0]["resource"]["eventCoding"]["code"] = "O21"
    (order,) = read(bundle).orders
    assert order.placer is not None
    assert (order.placer.value, order.placer.authority) == ("ORD-7", "HOSP")
    assert order.requester is None
    assert order.organisation is not None
    assert (order.organisation.name, order.organisation.code) == ("Example Hospital", "R9Z")
    request = bundle["entry"][5]["resource"]
    del request["identifier"][0]["assigner"]
    (order,) = read(bundle).orders
    assert order.placer is not None
    assert order.placer.authority == "R9Z"


def test_a_report_alone_has_the_type_of_its_department_and_the_name_of_its_code() -> None:
    bundle = json.loads((ROOT / "fixtures/fhir-messages/twin.json").read_text())
    bundle["entry"] = [
        one
        for one in bundle["entry"]
        if one["resource"]["resourceType"] not in ("DocumentReference", "ServiceRequest")
    ]
    said = next(e["resource"] for e in bundle["entry"] if "presentedForm" in e["resource"])
    system = "http://terminology.hl7.org/CodeSystem/v2-0074"
    said["category"] = [{"coding": [{"system": system, "code": "GE"}]}]
    (report,) = read(bundle).reports
    assert report.type_code is not None
    assert report.type_code.code == "1054161000000101"
    assert report.title == "Aortic disease"
    assert [one.code for one in report.event_codes] == ["R125.1"]
    assert [one.value for one in report.encounter_numbers] == ["V-1"]


# --- through the wire


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server that may send responses to a receiver."""
    data = tmp_path_factory.mktemp("messages")
    flavours = tmp_path_factory.mktemp("flavours")
    (flavours / "holds.toml").write_text(
        'unknown_patients = "hold"\n[[match]]\napplication = "HOLDS"\n'
    )
    with receiving() as receiver:
        options = {
            "database": databases.url(data),
            "message_response_targets": receiver.url,
            "flavours": str(flavours),
            "audit": "on",
            "workers": "1",
        }
        with serving(data, options) as served:
            served_with[served.url] = receiver
            yield served


served_with: dict[str, Any] = {}


def own(content: bytes = b"") -> dict[str, Any]:
    """The good message as one of its own: other numbers, another identifier."""
    bundle = deepcopy(GOOD)
    number = f"G26-{secrets.token_hex(6)}"
    bundle["identifier"]["value"] = f"M-{number}"
    text = json.dumps(bundle).replace("G26-1", number)
    bundle = json.loads(text)
    if content:
        bundle["entry"][2]["resource"]["data"] = base64.b64encode(content).decode()
    return bundle  # type: ignore[no-any-return]


def send(server: Server, body: dict[str, Any], query: str = "") -> tuple[int, dict[str, Any]]:
    content = json.dumps(body).encode()
    headers = {"Content-Type": FHIR_JSON}
    answer = ask(server, "POST", f"/$process-message{query}", headers, content)
    return answer.status, answer.json() if answer.body else {}


def header(response: dict[str, Any]) -> dict[str, Any]:
    assert response["type"] == "message"
    found: dict[str, Any] = response["entry"][0]["resource"]
    return found


def test_a_message_is_filed_and_found_and_its_repetition_changes_nothing(server: Server) -> None:
    bundle = own()
    status, response = send(server, bundle)
    said = header(response)
    assert (status, said["response"]["code"]) == (200, "ok")
    assert said["response"]["identifier"] == bundle["entry"][0]["resource"]["id"]
    assert said["eventCoding"]["code"] == "R01"
    (focus,) = said["focus"]
    found = ask(server, "GET", f"/{focus['reference'].partition('/fhir/')[2]}").json()
    assert found["docStatus"] == "final" or found["status"] == "current"
    status, again = send(server, bundle)
    assert header(again)["response"]["code"] == "ok"
    with DocumentConsumer(server.registry_url) as consumer:
        listed = consumer.find_documents("9434765919^^^&2.16.840.1.113883.2.1.4.1&ISO")
    number = bundle["entry"][3]["resource"]["identifier"][0]["value"]
    entries = [e for e in listed.document_entries if number in str(e.reference_id_list)]
    assert len(entries) == 1


def test_a_repetition_and_a_refusal_are_recorded_with_the_patient(server: Server) -> None:
    number = nhs_number()
    bundle = json.loads(json.dumps(own()).replace("9434765919", number))
    wrong = json.loads(json.dumps(own(b"%PDF-1.4")).replace("9434765919", number))
    codes = [header(send(server, one)[1])["response"]["code"] for one in (bundle, bundle, wrong)]
    assert codes == ["ok", "ok", "fatal-error"]
    of = ["--data", str(server.data), "--database", server.database, "--format", "json"]
    asked = ["audit", *of, "--patient", f"{number}^^^&2.16.840.1.113883.2.1.4.1&ISO"]
    records = until(
        lambda: CliRunner().invoke(main, asked).stdout.splitlines(),
        lambda lines: len(lines) == len(codes),
    )
    outcomes = sorted(json.loads(one)["outcome"] for one in records)
    assert outcomes == [0, 0, 4]


def test_a_refusal_is_a_message_too_and_files_nothing(server: Server) -> None:
    bundle = own()
    bundle["entry"][2]["resource"]["data"] = "JVBERi0x..."
    status, response = send(server, bundle)
    said = header(response)
    assert (status, said["response"]["code"]) == (200, "fatal-error")
    (issue,) = response["entry"][1]["resource"]["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "invalid")
    assert issue["expression"] == ["Bundle.entry[2].resource.data"]
    assert "focus" not in said


def test_an_asynchronous_message_is_answered_where_it_wants(server: Server) -> None:
    receiver = served_with[server.url]
    path = f"/engine/{secrets.token_hex(4)}"
    status, _ = send(server, own(), f"?async=true&response-url={receiver.url}{path}")
    assert status == 202
    (raw,) = receiver.wait_for(path)
    assert header(json.loads(raw.body))["response"]["code"] == "ok"


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        ({**GOOD, "type": "collection"}, "", 400),
        (GOOD, "?async=true&response-url=https://elsewhere.example/", 400),
        ({"resourceType": "Parameters", "parameter": []}, "", 400),
    ],
    ids=["no message", "another target", "no content"],
)
def test_what_is_no_message_gets_an_outcome(
    server: Server, body: dict[str, Any], query: str, status: int
) -> None:
    found, outcome = send(server, body, query)
    assert (found, outcome["resourceType"]) == (status, "OperationOutcome")


def test_a_message_of_an_unknown_patient_is_refused_where_others_are_held(server: Server) -> None:
    """Its sender sends it again: it is not kept to be filed later."""
    text = json.dumps(own()).replace("9434765919", nhs_number())
    bundle = json.loads(text.replace('"name": "LAB"', '"name": "HOLDS"'))
    status, response = send(server, bundle)
    assert (status, header(response)["response"]["code"]) == (200, "fatal-error")
    (outcome,) = (one["resource"] for one in response["entry"][1:])
    assert [one["code"] for one in outcome["issue"] if one["severity"] == "error"] == ["not-found"]


def test_parameters_may_hold_the_message(server: Server) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "content", "resource": own()}],
    }
    status, response = send(server, body)
    assert (status, header(response)["response"]["code"]) == (200, "ok")
