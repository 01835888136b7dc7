"""What is recorded of each transaction: through the wire, searched with `xds audit`."""

import base64
import hashlib
import http.client
import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree
from sqlalchemy import text as sql

from bench.machine import family
from tests.databases import Databases
from tests.fhir.asked import ask
from tests.hl7v2.wire import connected
from tests.ports import free_port
from tests.reference import REFERENCE
from tests.registry.wire import (
    BOTH_STATUSES,
    World,
    envelope,
    get_all,
    query,
    send,
    text,
    transaction,
)
from tests.serving import Server, serving
from tests.waiting import PATIENCE, until
from xds.__main__ import main
from xds.client import Content, DocumentConsumer, DocumentSource, entry_of, submission_of
from xds.database.access import Database
from xds.metadata import vocabulary as v


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("audited")
    options = {
        "audit": "on",
        "audit_source_id": "hub.example",
        "database": databases.url(data),
        "mllp_port": str(free_port()),
    }
    with serving(data, options) as server:
        yield server


def audit(server: Server, *arguments: str) -> list[dict[str, Any]]:
    """Search with `xds audit`."""
    told = xds_audit(server, "--format", "json", *arguments)
    return [json.loads(line) for line in told.splitlines()]


def xds_audit(server: Server, *arguments: str) -> str:
    where = ["--data", str(server.data), "--database", server.database]
    done = CliRunner().invoke(main, ["audit", *where, *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def recorded(server: Server, patient_id: str, count: int) -> list[dict[str, Any]]:
    """Wait for the records of a patient, oldest first."""
    found = until(lambda: audit(server, "--patient", patient_id), lambda seen: len(seen) >= count)
    return found[::-1]


def provided(server: Server, patient_id: str) -> str:
    """Provide a document by ITI-41 and return its uniqueId."""
    entry = entry_of(patient_id, "text/plain")
    with DocumentSource(server.repository_url, server.registry_url) as source:
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",), 1)})
    assert entry.unique_id
    return entry.unique_id


def test_a_document_from_its_submission_to_its_retrieval(audited: Server) -> None:
    patient_id = World.new().patient(1)
    unique_id = provided(audited, patient_id)
    with DocumentConsumer(audited.registry_url, audited.repository_url) as consumer:
        (entry,) = consumer.find_documents(patient_id).document_entries
        with consumer.retrieve([entry]) as retrieval:
            assert [b"".join(one.chunks()) for one in retrieval] == [b"x"]
    iti41, iti18, iti43 = recorded(audited, patient_id, 3)
    assert [one["transaction"] for one in (iti41, iti18, iti43)] == ["ITI-41", "ITI-18", "ITI-43"]
    assert {one["outcome"] for one in (iti41, iti18, iti43)} == {0}
    (submission_set,) = iti41["things"]
    assert submission_set["role"] == 20
    (asked,) = iti18["things"]
    assert (asked["id"], asked["role"]) == (v.FIND_DOCUMENTS, 24)
    assert patient_id.partition("^")[0] in asked["query"]
    (retrieved,) = iti43["things"]
    assert retrieved["id"] == unique_id
    assert retrieved["details"] == [["Repository Unique ID", "2.999.1.3"]]
    assert audit(audited, "--document", unique_id) == [iti43]
    assert audit(audited, "--document", unique_id, "--patient", World.new().patient(1)) == []


def test_reading_the_records_is_recorded_and_a_change_of_them_is_told(audited: Server) -> None:
    patient_id = World.new().patient(1)
    get_all(audited, patient_id)
    assert recorded(audited, patient_id, 1)
    (used, *_) = audit(audited, "--transaction", "audit log")
    assert used["event"][:2] == ["110101", "DCM"]
    (log,) = used["things"]
    assert (log["role"], log["details"]) == (13, [["query", f"patient_id {patient_id}, most 100"]])
    assert used["actor"]["user_id"].endswith(f"@{socket.gethostname()}")
    database = Database(audited.database)
    try:
        changed = "UPDATE audit_record SET outcome = outcome + :by WHERE patient_id = :whose"
        for by, code in ((4, 1), (-4, 0)):
            with database.write() as connection:
                connection.execute(sql(changed), {"by": by, "whose": patient_id})
            found, told = verified(audited)
            assert found == code, told
            assert ("changed: record" in told) is bool(code), told
    finally:
        database.close()
    (end,) = re.findall(r"ends with (\S+)", told)
    assert verified(audited, "--end", end)[0] == 0
    assert verified(audited, "--end", f"1:{'0' * 64}")[0] == 1


def verified(server: Server, *arguments: str) -> tuple[int, str]:
    """Verify with `xds audit`; return its exit code and what it prints."""
    where = ["--data", str(server.data), "--database", server.database]
    done = CliRunner().invoke(main, ["audit", *where, "--verify", *arguments])
    return done.exit_code, done.output


def test_what_is_refused_is_recorded_as_refused(audited: Server) -> None:
    world = World.new()
    message = world.fixture("iti42/comprehensive_document")
    assert send(audited, message).status == "Success"
    assert send(audited, message).status == "Failure"
    first, second = recorded(audited, world.patient(1), 2)
    assert (first["outcome"], second["outcome"]) == (0, 4)
    assert "XDSDuplicateUniqueIdInRegistry" in second["description"]


def test_what_cannot_be_read_is_recorded_where_it_names_a_transaction(audited: Server) -> None:
    since = datetime.now(UTC).isoformat()
    action = f'action="{transaction("ITI-18").request_action}"'
    fhir = {"Content-Type": "application/fhir+json"}
    statuses = [
        post(audited, b"<not-xml", "/registry", f"application/soap+xml; {action}")[0],
        post(audited, b"<not-xml", "/registry")[0],  # of no transaction
        ask(audited, "POST", "/DocumentReference", fhir, b"{").status,
        ask(audited, "POST", "", {"Content-Type": "text/plain"}, b"{}").status,
        ask(audited, "GET", "/List?patient=1", {"Accept": "image/png"}).status,
        ask(audited, "GET", "?_type=Nobody").status,  # of no transaction
    ]
    assert statuses == [500, 500, 400, 415, 406, 400]
    with connected(audited_port(audited)) as sender:
        answer = sender.ask(adt("A04", "1^^^&2.999.1.1&ISO").replace(b"|A04-1|", b"||"))
    assert answer.code == "AR"
    expected = ["ITI-105", "ITI-18", "ITI-65", "ITI-66", "ITI-8"]
    found = until(
        lambda: audit(audited, "--failed", "--since", since),
        lambda seen: len(seen) >= len(expected),
    )
    assert sorted(one["transaction"] for one in found) == expected
    assert {one["outcome"] for one in found} == {4}
    said = {one["description"] for one in found}
    assert {one.partition(" ")[0] for one in said} == {
        "101",
        "structure",
        "not-supported",
        "s:Sender",
    }


def test_a_retrieval_of_which_a_part_is_missing_is_two_records(audited: Server) -> None:
    patient_id = World.new().patient(1)
    unique_id = provided(audited, patient_id)
    missing = f"2.999.9.{time.time_ns()}"
    body = "".join(
        f"<xds:DocumentRequest><xds:RepositoryUniqueId>2.999.1.3</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{one}</xds:DocumentUniqueId></xds:DocumentRequest>"
        for one in (unique_id, missing)
    )
    name = "RetrieveDocumentSetRequest"
    whole = f'<xds:{name} xmlns:xds="{v.NS_XDS}">{body}</xds:{name}>'
    status, _ = post(audited, envelope(transaction("ITI-43").request_action, whole), "/repository")
    assert status == 200
    assert [one["outcome"] for one in recorded(audited, patient_id, 2)] == [0, 0]
    failed = [
        one
        for one in audit(audited, "--transaction", "ITI-43", "--failed")
        if one["things"][0]["id"] == missing
    ]
    assert [one["outcome"] for one in failed] == [4]


def post(
    server: Server, message: bytes, path: str, content_type: str = "application/soap+xml"
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request("POST", path, message, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_query_that_finds_nothing_is_recorded_with_its_patient(audited: Server) -> None:
    patient_id = World.new().patient(1)
    parameters = {
        "$XDSDocumentEntryPatientId": text(patient_id),
        "$XDSDocumentEntryStatus": BOTH_STATUSES,
    }
    assert query(audited, v.FIND_DOCUMENTS, parameters).status == "Success"
    (record,) = recorded(audited, patient_id, 1)
    assert record["event"] == ["110112", "DCM", "Query"]


def test_fhir_is_recorded_like_soap(audited: Server) -> None:
    patient_id = World.new().patient(1)
    provided(audited, patient_id)
    number = patient_id.partition("^")[0]
    subject = f"patient.identifier=urn:oid:2.999.1.1%7C{number}"
    found = ask(audited, "GET", f"/DocumentReference?{subject}&status=current").json()
    url = found["entry"][0]["resource"]["content"][0]["attachment"]["url"]
    assert ask(audited, "GET", url.partition("/fhir")[2]).status == 200
    assert ask(audited, "GET", f"/Patient?identifier=urn:oid:2.999.1.1%7C{number}").status == 200
    kinds = [one["transaction"] for one in recorded(audited, patient_id, 4)]
    assert sorted(kinds) == ["ITI-41", "ITI-67", "ITI-68", "ITI-78"]


def test_a_merge_is_the_end_of_one_patient_and_a_change_of_another(audited: Server) -> None:
    old, new = (World.new().patient(1) for _ in range(2))
    port = audited_port(audited)
    with connected(port) as sender:
        for one in (old, new):
            sender.ask(adt("A04", one))
        sender.ask(adt("A40", new, old))
    added, gone = recorded(audited, old, 2)
    _, kept = recorded(audited, new, 2)
    assert (added["action"], gone["action"], kept["action"]) == ("C", "D", "U")
    (patient,) = gone["things"]
    assert patient["details"] == [["MSH-10", "A40-1"]]


def audited_port(server: Server) -> int:
    for line in (server.data / "server.log").read_text().splitlines():
        if "ready for the patient feed" in line:
            return int(json.loads(line)["port"])
    raise AssertionError("there is no feed")


def adt(trigger: str, patient_id: str, prior: str | None = None) -> bytes:
    merged = f"\rMRG|{prior}" if prior else ""
    return (
        f"MSH|^~\\&|PAS|NORTH|REG|HUB|20260101||ADT^{trigger}|{trigger}-1|P|2.3.1\r"
        f"EVN||20260101\rPID|||{patient_id}||Doe^J{merged}\r"
    ).encode()


def test_messages_are_valid_against_the_schema(audited: Server) -> None:
    patient_id = World.new().patient(1)
    provided(audited, patient_id)
    recorded(audited, patient_id, 1)
    assert len(valid_messages(audited, "--most", "500")) > 3


def valid_messages(server: Server, *arguments: str) -> list[str]:
    """Return the event types of some records, whose DICOM messages are valid."""
    messages = xds_audit(
        server, "--format", "xml", "--audit-source-id", "hub.example", *arguments
    ).splitlines()
    schema = reference_schema()
    types = []
    for message in messages:
        root = etree.fromstring(message.encode())
        if schema is not None:
            assert schema.validate(root), f"{schema.error_log} in {message}"
        source = root.find("AuditSourceIdentification")
        assert source is not None
        assert source.get("AuditSourceID") == "hub.example"
        for encoded in root.iter("ParticipantObjectQuery"):
            base64.b64decode(encoded.text or "", validate=True)
        types += [one.get("csd-code") or "" for one in root.iter("EventTypeCode")]
    return types


def reference_schema() -> etree.XMLSchema | None:
    path = REFERENCE / "atna" / "dicom2017c.xsd"
    return etree.XMLSchema(etree.parse(str(path))) if path.exists() else None


@contextmanager
def no_room(server: Server) -> Iterator[None]:
    """Keep the processes of a server from writing to any file, for the length of a block."""
    pids = family(server.process.pid)
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_start_and_stop_are_recorded(tmp_path: Path, databases: Databases) -> None:
    options = {"audit": "on", "database": databases.url(tmp_path)}
    with serving(tmp_path, options, processes=1) as server:
        pass
    types = [one["event_type"][2] for one in audit(server, "--transaction", "application")]
    assert types == ["Application Stop", "Application Start"]


def test_nothing_is_released_that_cannot_be_recorded(tmp_path: Path, databases: Databases) -> None:
    options = {"audit": "on", "database": databases.url(tmp_path), "workers": "1"}
    with serving(tmp_path, options, processes=1) as server:
        patient_id = World.new().patient(1)
        provided(server, patient_id)
        parameters = {
            "$XDSDocumentEntryPatientId": text(patient_id),
            "$XDSDocumentEntryStatus": BOTH_STATUSES,
        }
        assert query(server, v.FIND_DOCUMENTS, parameters).status == "Success"
        with no_room(server):
            assert query(server, v.FIND_DOCUMENTS, parameters).codes == ["XDSRegistryBusy"]
            number = patient_id.partition("^")[0]
            subject = f"patient.identifier=urn:oid:2.999.1.1%7C{number}"
            path = f"/DocumentReference?{subject}&status=current"
            assert ask(server, "GET", path).status == 503


@pytest.mark.slow
def test_a_policy_that_is_not_that_of_before_is_recorded(
    tmp_path: Path, databases: Databases
) -> None:
    policy = tmp_path / "policy.toml"
    options = {
        "audit": "on",
        "database": databases.url(tmp_path),
        "policy": str(policy),
        "workers": "1",
    }
    for name in ("first", "first", "second"):
        policy.write_text(f'[[rule]]\nname = "{name}"\ndecision = "permit"\n')
        with serving(tmp_path, options) as server:
            pass
    found = audit(server, "--transaction", "configuration")
    digest = hashlib.sha256(policy.read_bytes()).hexdigest()
    assert len(found) == 2
    assert found[0]["event_type"][0] == "110129"
    assert digest in found[0]["description"]
