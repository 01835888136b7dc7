"""`xds listen`: what came is shown, and answered as a recipient answers."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import PATIENCE
from xds.commands.client.listen import described
from xds.hl7v2.mllp_client import MllpAddress, MllpConnection

NOTIFY = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
  xmlns:wsa="http://www.w3.org/2005/08/addressing" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"
  xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><s:Body><wsnt:Notify>
  <wsnt:NotificationMessage><wsnt:SubscriptionReference><wsa:Address>http://b.example/s/1</wsa:Address>
  </wsnt:SubscriptionReference><wsnt:Topic Dialect="d">ihe:FullDocumentEntry</wsnt:Topic>
  <wsnt:Message><rim:RegistryObjectList><rim:ExtrinsicObject id="urn:uuid:1">
  <rim:Name><rim:LocalizedString value="Summary"/></rim:Name>
  <rim:ExternalIdentifier value="P1"><rim:Name>
  <rim:LocalizedString value="XDSDocumentEntry.patientId"/></rim:Name></rim:ExternalIdentifier>
  </rim:ExtrinsicObject></rim:RegistryObjectList></wsnt:Message></wsnt:NotificationMessage>
  </wsnt:Notify></s:Body></s:Envelope>"""
EVENT = {
    "resourceType": "Bundle",
    "type": "history",
    "entry": [
        {
            "resource": {
                "resourceType": "Parameters",
                "parameter": [
                    {"name": "subscription", "valueReference": {"reference": "Subscription/7"}},
                    {"name": "status", "valueCode": "active"},
                    {"name": "type", "valueCode": "event-notification"},
                    {
                        "name": "notification-event",
                        "part": [
                            {"name": "event-number", "valueString": "3"},
                            {"name": "timestamp", "valueInstant": "2026-11-28T12:00:00Z"},
                            {"name": "focus", "valueReference": {"reference": "List/1"}},
                        ],
                    },
                ],
            }
        },
        {"resource": {"resourceType": "List", "id": "1", "title": "a folder"}},
    ],
}
SHOWN_EVENT = [
    "FHIR event-notification, status active",
    "subscription Subscription/7",
    "event 3 at 2026-11-28T12:00:00Z: List/1",
    "  List/1: a folder",
]


def test_a_dsub_notification_is_shown_by_message() -> None:
    assert list(described("application/soap+xml; charset=UTF-8", NOTIFY.encode())) == [
        "DSUB Notify, 1 notification message",
        "ihe:FullDocumentEntry of subscription http://b.example/s/1",
        "  ExtrinsicObject urn:uuid:1, title Summary, patientId P1",
    ]


def test_a_fhir_notification_is_shown_with_its_events() -> None:
    body = json.dumps(EVENT).encode()
    assert list(described("application/fhir+json", body)) == SHOWN_EVENT


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("", b"", "a notification without content"),
        ("application/fhir+json", b'{"resourceType": "List", "id": "1"}', "List/1"),
        ("application/fhir+json", b"[", "cannot be read as application/fhir+json"),
        ("application/fhir+json", b"[]", "cannot be read as application/fhir+json"),
        ("application/soap+xml", b"<a", "cannot be read as application/soap+xml"),
        ("application/fhir+xml", b"<a/>", "cannot be read as application/fhir+xml"),
        ("text/plain", b"x", "text/plain, 1 byte"),
    ],
)
def test_whatever_comes_is_shown(content_type: str, body: bytes, shown: str) -> None:
    (line,) = described(content_type, body)
    assert line.startswith(shown)


@contextmanager
def listening(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command for the length of a block, and give its URL."""
    command = [sys.executable, "-m", "xds", "listen", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        try:
            yield found[0], process
        finally:
            process.terminate()


def post(url: str, content_type: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_notifications_are_answered_and_shown_as_they_come() -> None:
    with listening("--count", "2") as (url, process):
        assert post(f"{url}any", "application/soap+xml", NOTIFY.encode()) == (202, b"")
        assert post(url, "application/fhir+json", json.dumps(EVENT).encode()) == (200, b"")
        shown, _ = process.communicate(timeout=PATIENCE)
    lines = shown.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /any answered 202", lines[0])
    assert [line.removeprefix("    ") for line in lines[5:]] == SHOWN_EVENT
    assert process.returncode == 0


def test_it_answers_as_it_is_told() -> None:
    with listening("--answer", "503", "--count", "1") as (url, process):
        assert post(url, "application/fhir+json", b"") == (503, b"")
        shown, _ = process.communicate(timeout=PATIENCE)
    assert "answered 503\n    a notification without content\n" in shown


MESSAGE = Path(__file__).parents[1] / "fixtures" / "hl7v2" / "oru_pdf.hl7"


def test_messages_are_acknowledged_and_shown_by_the_names_of_their_fields() -> None:
    with listening("--mllp-port", "0", "--count", "2") as (url, process):
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        connection = MllpConnection(MllpAddress.parse(address), None)
        answer = connection.exchange([MESSAGE.read_bytes()])
        connection.close()
        assert b"\rMSA|AA|C-1" in answer
        status, answer = post(url, "application/hl7-v2+er7", MESSAGE.read_bytes())
        assert (status, b"\rMSA|AA|C-1" in answer) == (200, True)
        shown, _ = process.communicate(timeout=PATIENCE)
    by_mllp, _, by_http = shown.partition(" POST / answered AA\n")
    assert " MLLP answered AA\n    HL7 v2 2.5.1 ORU^R01^ORU_R01, " in by_mllp
    assert "      PID-5 name: Testcase^Anna\n" in by_mllp
    assert "      OBX-5 value: application/pdf, 69 bytes\n" in by_mllp
    assert by_mllp.split("\n")[1:-1] == by_http.split("\n")[:-1]


def test_a_message_is_refused_as_it_is_told() -> None:
    with listening("--acknowledge", "AE", "--raw", "--count", "1") as (url, process):
        _, answer = post(url, "application/hl7-v2+er7", MESSAGE.read_bytes())
        shown, _ = process.communicate(timeout=PATIENCE)
    assert b"\rMSA|AE|C-1" in answer
    assert "\nMSH|^~\\&|LABSYS|" in shown
