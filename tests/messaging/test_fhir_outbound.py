"""Documents go out as FHIR messages: from one server of the program to another, and to others."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Databases
from tests.messaging.feeds import CONTENT, GENETIC, SCT, Feeds, number_of
from tests.messaging.http_receiver import HttpReceiver, HttpReply, receiving_http
from tests.serving import Server, serving
from xds.client import DocumentAdministrator, DocumentConsumer
from xds.client.administrator import status_change_of
from xds.fhir_messages import outbound
from xds.messaging.outbound import destinations_file
from xds.messaging.outbound.answers import AnswerVerdict
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

DESTINATIONS = """
[[destination]]
name = "record"
address = "{record}/fhir/$process-message"
sending_application = "XDS"
sending_facility = "T25"
receiving_application = "RECORD"
receiving_facility = "QOP"
form = {{ message = "FHIR" }}

[[destination]]
name = "other"
address = "{other}"
form = {{ message = "FHIR" }}
"""


@dataclass(frozen=True, slots=True)
class TwoServers(Feeds):
    """A server that sends FHIR messages to another one, and to a receiver."""

    record: Server
    other: HttpReceiver

    def documents(self, patient_id: str) -> list[DocumentEntry]:
        """What the other server has of a patient."""
        with DocumentConsumer(self.record.registry_url) as consumer:
            statuses = (v.APPROVED, v.DEPRECATED)
            return list(consumer.find_documents(patient_id, status=statuses).document_entries)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[TwoServers]:
    source, record = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("record")
    with receiving_http() as other, serving(record, {"workers": "1"}) as receiver:
        other.acknowledge = _acknowledgement
        file = source / "destinations.toml"
        file.write_text(DESTINATIONS.format(record=receiver.url, other=other.url))
        options = {
            "database": databases.url(source),
            "destinations": str(file),
            "metadata_update": "yes",
            "workers": "1",
        }
        with serving(source, options) as server:
            yield TwoServers(server, receiver, other)


def _acknowledgement(body: bytes, code: str) -> bytes:
    header = json.loads(body)["entry"][0]["resource"]
    said = {"identifier": header["id"], "code": {"AA": "ok"}.get(code, code)}
    return json.dumps({"entry": [{"resource": {"response": said}}]}).encode()


def test_a_document_arrives_with_what_it_is_and_what_becomes_of_it(two: TwoServers) -> None:
    old = two.provide()
    patient_id = old.patient_id or ""
    (record,) = two.wait_for(old, "delivered")
    assert record.answer == "ok"
    (filed,) = two.documents(patient_id)
    assert (filed.title, filed.mime_type) == (old.title, "application/pdf")
    assert (filed.type_code, filed.creation_time) == (GENETIC, old.creation_time)
    assert [one.partition("^")[0] for one in filed.reference_id_list] == [number_of(old)]
    assert "PID-5|Hale^Una" in filed.source_patient_info
    with DocumentConsumer(two.record.registry_url, two.record.repository_url) as consumer:
        assert [b"".join(one.blocks) for one in consumer.retrieve([filed])] == [CONTENT]
    new = two.provide(replaces=old)
    two.wait_for(new, "delivered")
    statuses = {one.title: one.availability_status for one in two.documents(patient_id)}
    assert statuses == {old.title: v.DEPRECATED, new.title: v.APPROVED}
    with DocumentAdministrator(two.server.registry_url) as administrator:
        administrator.update(status_change_of(new, v.DEPRECATED))
    two.wait_for(new, "delivered", "delivered")
    assert {one.availability_status for one in two.documents(patient_id)} == {v.DEPRECATED}


def test_what_another_receiver_gets_and_how_it_is_understood(two: TwoServers) -> None:
    entry = two.provide(type_code=GENETIC, title='A "title" of @data@')
    (body,) = two.other.wait_for(1, number_of(entry))
    bundle = json.loads(body)
    resources: dict[str, Any] = {
        one["resource"]["resourceType"]: one["resource"] for one in bundle["entry"]
    }
    assert list(resources) == ["MessageHeader", "Patient", "DocumentReference", "Binary"]
    header, reference = resources["MessageHeader"], resources["DocumentReference"]
    assert (bundle["type"], header["eventCoding"]["code"]) == ("message", "T02")
    assert base64.b64decode(resources["Binary"]["data"]) == CONTENT
    assert reference["description"] == 'A "title" of @data@'
    assert reference["type"]["coding"][0]["code"] == GENETIC.code
    urls = {one["fullUrl"] for one in bundle["entry"]}
    assert reference["content"][0]["attachment"]["url"] in urls
    assert reference["subject"]["reference"] in urls
    assert SCT not in reference["type"]["coding"][0]["system"]  # a URI, as FHIR has it
    assert two.other.came[-1][0]["Content-Type"] == "application/fhir+json"


@pytest.mark.parametrize(("code", "state"), [("fatal-error", "dead"), ("ok", "delivered")])
def test_a_response_is_heeded(two: TwoServers, code: str, state: str) -> None:
    two.other.answers[:] = [HttpReply(200, code)]
    entry = two.provide()
    (record,) = two.wait_for(entry, state, destination="other")
    assert record.answer == code


@pytest.mark.parametrize(
    ("code", "name", "verdict"),
    [
        ("ok", "header", AnswerVerdict.DELIVERED),
        ("transient-error", "header", AnswerVerdict.TRY_AGAIN),
        ("fatal-error", "header", AnswerVerdict.GIVE_UP),
        ("ok", "another", AnswerVerdict.NOT_OURS),
        ("error", "header", AnswerVerdict.NOT_OURS),
    ],
)
def test_a_response_is_judged_by_its_code(code: str, name: str, verdict: AnswerVerdict) -> None:
    said = {"response": {"code": code, "identifier": outbound._uuid("M1", name)}}
    answer = json.dumps({"entry": [{"resource": said}]}).encode()
    assert outbound.judged(answer, "M1", "hl7").verdict is verdict


def test_a_fhir_message_does_not_go_by_mllp(tmp_path: Path) -> None:
    path = tmp_path / "destinations.toml"
    path.write_text(DESTINATIONS.format(record="mllp://a:1#", other="http://a/"))
    with pytest.raises(destinations_file.DestinationsError, match="destination record"):
        destinations_file.read(path)
