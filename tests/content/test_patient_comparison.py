"""A document is compared with its entry's patient, and refused where the options want it."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, ask
from tests.fhir.genomics import edited
from tests.fhir.published import message, resource
from tests.messaging.filing import carried, filing_world, report
from tests.servers.shared import SharedServers
from tests.serving import Server
from xds.client import Content, DocumentSource, TransactionRefused, entry_of, submission_of
from xds.content.reading.model import ContentPatient
from xds.content.reading.patient_comparison import patient_findings, patient_said

REPORT: Final = (Path(__file__).parents[2] / "fixtures/documents/lab_report.xml").read_text("utf-8")
HADDAD: Final = (
    ("Quill", "Haddad"),
    ("19640229", "19610509"),
    ('administrativeGenderCode code="M"', 'administrativeGenderCode code="F"'),
)
"""What makes the report one of the patient of the FHIR messages."""
A, B, C = "A1^^^&2.999.1&ISO", "B1^^^&2.999.2&ISO", "A2^^^&2.999.1&ISO"


def patient(*identifiers: str, name: str = "", born: str = "", sex: str = "") -> ContentPatient:
    return ContentPatient(family=name, birth_date=born, sex=sex, identifiers=identifiers)


@pytest.mark.parametrize(
    ("patients", "registered", "said", "codes"),
    [
        ([patient(A)], [A], None, []),
        ([patient(C)], [A], None, ["patient-mismatch"]),
        ([patient(C, B)], [A, B], None, []),
        ([patient(B)], [A], None, []),
        ([], [A], None, []),
        ([patient()], [A], patient(name="Quill"), []),
        ([patient(C), patient(A)], [A], None, []),
        (
            [patient(name="Quill", born="19640229")],
            [A],
            patient(name="Haddad", born="19610509"),
            ["patient-mismatch"],
        ),
        (
            [patient(A, name="Quill", born="19640229")],
            [A],
            patient(name="Haddad", born="19610509"),
            ["patient-difference"] * 2,
        ),
        (
            [patient(name="Quill", born="19640229")],
            [],
            patient(name="Haddad", born="19640229"),
            ["patient-difference"],
        ),
        ([patient(name="O'Brién-Smith")], [], patient(name="OBRIEN SMITH"), []),
        (
            [patient(name="A", born="1964")],
            [],
            patient(name="B", born="19640229"),
            ["patient-difference"],
        ),
        ([patient(sex="F")], [], patient(sex="M"), ["patient-difference"]),
        ([patient(sex="F")], [], patient(sex="U"), []),
    ],
)
def test_identifiers_decide_and_then_name_and_birth_together(
    patients: Sequence[ContentPatient],
    registered: Sequence[str],
    said: ContentPatient | None,
    codes: Sequence[str],
) -> None:
    assert [one.code for one in patient_findings(patients, registered, said)] == codes


def test_what_an_entry_says_of_its_patient() -> None:
    found = patient_said(["PID-5|Quill^Alder^^^Mr", "PID-7|19640229", "PID-8|M", "none"])
    assert found == ContentPatient(
        family="Quill", given="Alder", name="Mr Alder Quill", birth_date="19640229", sex="M"
    )
    assert patient_said([]) is None


# At every door


@pytest.fixture
def refusing(module_servers: SharedServers) -> Server:
    return module_servers("refusing-patients", {"document_patient": "refuse"})


def _provided(server: Server, content: str, **attributes: object) -> None:
    data = content.encode()
    entry = entry_of("M4001^^^&2.999.1.1&ISO", "text/xml", **attributes)
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(
            submission_of([entry]), {entry.entry_uuid: Content((data,), len(data))}
        )


INFO: Final = ("PID-5|Haddad^Salma", "PID-7|19610509", "PID-8|F")


def test_iti41_refuses_and_takes(refusing: Server) -> None:
    with pytest.raises(TransactionRefused) as refused:
        _provided(refusing, REPORT, source_patient_info=INFO)
    (error,) = refused.value.response.errors
    assert error.code == "XDSPatientIdDoesNotMatch"
    assert "Quill" not in error.code_context
    _provided(refusing, edited(REPORT, *HADDAD), source_patient_info=INFO)
    _provided(refusing, REPORT.replace("</ClinicalDocument>", ""), source_patient_info=INFO)
    _provided(refusing, "a text about Quill", source_patient_info=INFO)


def _attach(found: dict[str, Any], content: str) -> None:
    for name in ("size", "hash"):
        found.pop(name, None)
    found["data"] = base64.b64encode(content.encode()).decode()


def _reference(number: str, content: str) -> dict[str, Any]:
    found = message("simplified_publish")
    found["masterIdentifier"]["value"] = f"urn:oid:2.999.4.2.{number}"
    _attach(found["content"][0]["attachment"], content)
    found["content"][0]["attachment"]["contentType"] = "text/xml"
    return found


def _bundle(number: str, content: str) -> dict[str, Any]:
    found = message("one_document")
    resource(found, 0)["identifier"][0]["value"] = f"urn:oid:2.999.4.1.{number}"
    document = resource(found, 1)
    document["masterIdentifier"]["value"] = f"urn:oid:2.999.4.2.{number}"
    attachment = document["content"][0]["attachment"]
    attachment["contentType"] = resource(found, 2)["contentType"] = "text/xml"
    for name in ("size", "hash"):
        attachment.pop(name, None)
    resource(found, 2)["data"] = base64.b64encode(content.encode()).decode()
    return found


@pytest.mark.parametrize(
    ("path", "make", "number"),
    [("/DocumentReference", _reference, "7100"), ("", _bundle, "7200")],
)
def test_iti105_and_iti65_refuse_and_take(
    refusing: Server, path: str, make: Any, number: str
) -> None:
    def post(content: str) -> Any:
        body = json.dumps(make(number, content)).encode()
        return ask(refusing, "POST", path, {"Content-Type": FHIR_JSON}, body)

    reply = post(REPORT)
    assert reply.status == 400
    (issue,) = reply.json()["issue"]
    assert issue["details"]["coding"][0]["code"] == "XDSPatientIdDoesNotMatch"
    assert post(edited(REPORT, *HADDAD)).status in (200, 201)


def test_a_message_is_refused_and_taken(databases: Databases, tmp_path: Path) -> None:
    other = REPORT.replace("9990000026", "9434765870")
    same = REPORT.replace("9990000026", "9434765919")
    with filing_world(databases, tmp_path, document_patient="refuse") as world:
        refused = world.file(report("T1", carried(other.encode(), "text/xml")))
        assert (refused.state, world.entries(), world.stored()) == ("refused", [], 0)
        assert world.file(report("T1", carried(same.encode(), "text/xml"))).state == "filed"


def test_without_the_option_it_is_taken(server: Server) -> None:
    _provided(server, REPORT, source_patient_info=INFO)
