"""Every message of the fixtures, good and damaged, with patients that the log is then searched for.

Their ids, names and titles all have one word in them. Every answer names the id of its log lines,
by which a refused submission is found with what was wrong.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.hl7v2.conftest import FedServer
from tests.hl7v2.wire import connected as fed_by
from tests.serving import Server
from tests.soap.messages import (
    FIXTURES,
    INCLUDE,
    http_request,
    mtom_type,
    multipart,
    part,
    root_part,
)
from tests.soap.wire import Raw, connected

WORD: Final = "Zyxwvut"
OF_PATIENTS: Final = re.compile(
    r"(?<=[>'\"|~])(?=\w+(?:\^|%5E){3})"  # ids
    r"|(?<=\|)(?=Ruiz\^|12 High|555-)"  # name, address and telephone of PID
    r'|(?<=LocalizedString value=")|(?<=xml:lang="sv-SE" value=")|(?<=xml:lang="en-GB" value=")'
    r'|(?<="family": ")|(?<="description": ")|(?<="value": ")(?=[A-Z]\d)|(?<="title": ")'
    r"|(?<=<family>)|(?<=<given>)|(?<=extension=\")(?=[A-Z]+\d)"
)
FAULTS: Final = (
    ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved", "urn:no:status"),
    ("Slot name=", "Slot nome="),
    ("<wsa:Action", "<wsa:Action wrong='"),
    ('"status": "current"', '"status": "nonsense"'),
    ('"resourceType": "Bundle"', '"resourceType": "Bundle", "again": 1'),
)


def marked(path: Path) -> str:
    """Return a message whose patients have the word in all that is theirs."""
    text = OF_PATIENTS.sub(WORD, path.read_text(encoding="utf-8"))
    return re.sub(r"2\.999\.4[12]\.", "2.999.4777.", text)


def damaged(text: str) -> Iterator[str]:
    """Yield the message with one fault, and cut short."""
    for good, bad in FAULTS:
        if good in text:
            yield text.replace(good, bad)
    yield text[: len(text) * 2 // 3]
    yield text.replace(WORD, f"{WORD}'\"\x01&<", 3)


def sent(server: Server, path: str, body: bytes, *headers: str, method: str = "POST") -> Raw:
    with connected(server) as connection:
        connection.send(http_request(path, body, *headers, method=method))
        return connection.receive()


def send_soap(server: Server, text: str) -> Raw:
    path = "/repository" if "ProvideAndRegister" in text or "RetrieveDoc" in text else "/registry"
    if INCLUDE in text:
        body = multipart(root_part(text), part(f"of {WORD}".encode()))
        return sent(server, path, body, f"Content-Type: {mtom_type()}")
    return sent(server, path, text.encode(), "Content-Type: application/soap+xml; charset=UTF-8")


def send_fhir(server: Server, text: str, form: str = "json") -> Raw:
    where = "/fhir" if '"resourceType": "Bundle"' in text else "/fhir/DocumentReference"
    return sent(server, where, text.encode(), f"Content-Type: application/fhir+{form}")


def assert_clean(server: Server, since: int) -> str:
    written = server.log.read_bytes()[since:].decode()
    assert WORD.lower() not in written.lower()
    return written


@pytest.mark.parametrize("folder", ["iti18", "iti41", "iti42", "iti43", "iti44", "iti51", "iti61"])
def test_soap(server: Server, folder: str) -> None:
    since = server.log.stat().st_size
    ids = set()
    for path in sorted((FIXTURES / folder).glob("*.xml")):
        text = marked(path)
        for one in (text, *damaged(text)):
            ids.add(send_soap(server, one).headers["x-request-id"])
    assert len(ids) > 3
    written = assert_clean(server, since)
    assert any(line for line in written.splitlines() if json.loads(line).get("correlation") in ids)


def test_fhir(server: Server) -> None:
    since = server.log.stat().st_size
    for path in sorted((FIXTURES / "mhd").glob("*.json")):
        text = marked(path)
        for one in (text, *damaged(text)):
            assert send_fhir(server, one).headers["x-request-id"]
            sent(server, "/fhir/$generate-metadata", one.encode(), "Content-Type: text/json")
        for key in ('{"resourceType": "Bundle", "%s": 1}', '{"resourceType": "%s"}'):
            assert send_fhir(server, key % WORD).status == 400
        assert send_fhir(server, f"<Bundle xmlns='urn:x'>{WORD}</Bundle>", "xml").status == 400
    for query in (
        f"DocumentReference?patient.identifier=urn:oid:2.999.1.1%7C{WORD}1&status=current",
        f"DocumentReference?patient.identifier={WORD}&status=nonsense",
        f"List?patient.identifier=urn:oid:2.999.1.1%7C{WORD}1&code=folder&status=current",
        f"List?{WORD}={WORD}",
        f"Patient/{WORD}",
        f"DocumentReference/{WORD}",
        f"document/{WORD}",
        f"DocumentReference?author.family={WORD}%ZZ",
        f"{WORD}?name={WORD}",
    ):
        answer = sent(server, f"/fhir/{query}", b"", method="GET")
        assert answer.headers["x-request-id"]
    assert_clean(server, since)


def test_the_patient_feed(fed: FedServer) -> None:
    since = fed.server.log.stat().st_size
    for path in (*(FIXTURES / "iti8").glob("*.hl7"), *(FIXTURES / "iti64").glob("*.hl7")):
        text = marked(path).replace("\n", "\r")
        for one in (text, text.replace("ADT^", "ADT^X"), text.replace("PID|", "PID|x|"), text[:80]):
            with fed_by(fed.port) as sender:
                assert sender.ask(one.encode()).code in ("AA", "AE", "AR")
    written = assert_clean(fed.server, since)
    assert "was refused" in written


def test_a_refused_submission_is_found_in_the_log(server: Server) -> None:
    """By the id that the client gave it, or that its answer names; in the log are the codes."""
    text = marked(FIXTURES / "iti42" / "minimal_document.xml")
    bad = text.replace('name="creationTime"', 'name="created"')
    header = "X-Request-ID: submission-17"
    given = sent(server, "/registry", bad.encode(), "Content-Type: application/soap+xml", header)
    chosen = send_soap(server, bad)
    assert given.headers["x-request-id"] == "submission-17"
    for identifier in ("submission-17", chosen.headers["x-request-id"]):
        lines = [
            json.loads(line) for line in server.log.read_text().splitlines() if identifier in line
        ]
        [line] = [line for line in lines if line["event"] == "transaction"]
        assert (line["transaction"], line["outcome"]) == ("ITI-42", "failure")
        assert {
            "code": "XDSRegistryMetadataError",
            "attribute": "creationTime",
            "rule": "required",
        } in line["violations"]
    forged = sent(
        server, "/registry", b"", "X-Request-ID: a b", "Content-Type: application/soap+xml"
    )
    assert re.fullmatch("[0-9a-f]{32}", forged.headers["x-request-id"])


def test_a_refused_message_of_the_feed_is_found_in_the_log(fed: FedServer) -> None:
    """By the control id of its acknowledgement, and by its own."""
    with fed_by(fed.port) as sender:
        answer = sender.ask(b"MSH|^~\\&|A|B|C|D|||ADT^X99|MINE7|P|2.5")
    told = [json.loads(line) for line in fed.server.log.read_text().splitlines()]
    [line] = [line for line in told if line.get("correlation") == answer.msh(10)]
    assert (line["control_id"], line["acknowledgement"]) == ("MINE7", "AR")
