"""What others publish by ITI-111 is told to who has subscribed, and registered nowhere."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from tests.audit.test_records import valid_messages
from tests.dsubm.receiver import Receivers
from tests.dsubm.rules import problems
from tests.dsubm.subscribed import (
    SYSTEM,
    Resource,
    issues,
    number,
    of_patient,
    send,
    subscribe,
    subscription,
)
from tests.fhir.asked import FHIR_XML, Reply, ask, new_patient
from tests.serving import Server
from xds.__main__ import main
from xds.client import new_oid
from xds.fhir.r4 import xml
from xds.metadata import ebrim

TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
URN = "urn:ietf:rfc:3986"


def document(patient: str, **more: Any) -> Resource:
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": URN, "value": f"urn:oid:{new_oid()}"},
        "status": "current",
        "subject": {"identifier": {"system": SYSTEM, "value": number(patient)}},
        "content": [{"attachment": {"contentType": "text/plain", "url": "http://else.example/1"}}],
        **more,
    }


def listed(code: str, patient: str, *items: str) -> Resource:
    made: Resource = {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": TYPES, "code": code}]},
        "identifier": [{"use": "usual", "system": URN, "value": f"urn:oid:{new_oid()}"}],
        "subject": {"identifier": {"system": SYSTEM, "value": number(patient)}},
        "date": "2026-11-28T10:00:00Z",
    }
    if items:
        made["entry"] = [{"item": {"reference": one}} for one in items]
    return made


def entry(resource: Resource, method: str = "POST") -> Resource:
    uuid = ebrim.new_uuid()
    url = resource["resourceType"]
    if method != "POST":
        url += f"/{uuid.rpartition(':')[2]}"
    return {"fullUrl": uuid, "resource": resource, "request": {"method": method, "url": url}}


def bundle(*entries: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": "transaction", "entry": [*entries]}


def published(server: Server, *entries: Resource) -> Reply:
    return send(server, "POST", "/publish", bundle(*entries))


def told(broker: Server, receivers: Receivers, patient: str, topic: str) -> Callable[[int], Any]:
    """Subscribe; return what tells method and type of each of so many events."""
    receiver = receivers.new()
    wanted = subscription(receiver.url, topic, of_patient(patient), content="full-resource")
    if "Folder" in topic:
        wanted["_criteria"]["extension"][0]["valueString"] = (
            f"List?code=folder&{of_patient(patient)}"
        )
    subscribe(broker, wanted, receiver)

    def events(count: int) -> list[tuple[str, str, str]]:
        found = receiver.events(count)
        assert all(problems(one.json()) == [] for one in found)
        return [
            (focus["request"]["method"], focus["resource"]["status"], focus["fullUrl"])
            for focus in (one.entries[0] for one in found)
        ]

    return events


@pytest.mark.shows("broker ITI-111")
def test_what_happens_elsewhere_is_told(broker: Server, receivers: Receivers) -> None:
    """A replacement is told as the new document first; nothing is found here."""
    patient = new_patient()
    told_all = told(broker, receivers, patient, "DocReference-PatientDependent-AllEvents")
    folders = told(broker, receivers, patient, "Folder-Subscription-for-Full-Events")
    new, folder = entry(document(patient)), entry(listed("folder", patient), "PUT")
    folder["resource"]["entry"] = [{"item": {"reference": new["fullUrl"]}}]
    old = entry(document(patient, status="superseded"), "PUT")
    reply = published(broker, old, entry(listed("submissionset", patient)), folder, new)
    assert reply.status == 200, reply.body
    answered = reply.json()
    assert answered["type"] == "transaction-response"
    responses = [one["response"] for one in answered["entry"]]
    assert [one["status"][:3] for one in responses] == ["200", "201", "200", "201"]
    assert all(one["location"] and one["outcome"]["issue"] for one in responses)
    (created, superseded) = told_all(2)
    assert created[:2] == ("POST", "current")
    assert created[2].endswith(responses[3]["location"])
    assert superseded[:2] == ("PUT", "superseded")
    assert [one[:2] for one in folders(1)] == [("PUT", "current")]
    found = ask(broker, "GET", f"/DocumentReference?status=current&{of_patient(patient)}").json()
    assert found["total"] == 0
    (record,) = recorded(broker, patient, "ITI-111")
    assert (record["action"], record["outcome"], record["event_type"][0]) == ("C", 0, "ITI-111")
    assert "ITI-111" in valid_messages(broker, "--patient", patient)
    gone = entry(document(patient), "DELETE")
    as_xml = xml.render(bundle(gone), False)
    reply = ask(broker, "POST", "/publish", {"Content-Type": FHIR_XML}, as_xml)
    assert reply.status == 200
    assert told_all(3)[-1][:2] == ("DELETE", "current")


def recorded(server: Server, patient: str, transaction: str) -> list[dict[str, Any]]:
    where = ["--data", str(server.data), "--database", server.database]
    command = ["audit", *where, "--format", "json", "--patient", patient]
    lines = CliRunner().invoke(main, command).stdout.splitlines()
    return [one for one in map(json.loads, lines) if one["transaction"] == transaction]


def _wrong(bundle: Resource, change: Callable[[Resource], None]) -> Resource:
    changed = copy.deepcopy(bundle)
    change(changed)
    return changed


@pytest.mark.shows("broker ITI-111")
@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda b: b.update(type="batch"), "Bundle.type"),
        (lambda b: b.update(entry=[]), "Bundle.entry"),
        (lambda b: b["entry"][0]["request"].update(method="PATCH"), "request.method"),
        (lambda b: b["entry"][0]["resource"].pop("subject"), "subject"),
        (lambda b: b["entry"][1].pop("resource"), ""),
        (lambda b: b["entry"][0]["resource"].update(status="else"), ""),
    ],
)
def test_what_cannot_be_told_is_refused_as_a_whole(
    broker: Server, receivers: Receivers, change: Callable[[Resource], None], place: str
) -> None:
    patient = new_patient()
    events = told(broker, receivers, patient, "DocReference-PatientDependent-AllEvents")
    right = bundle(entry(document(patient)), entry(document(patient)))
    wrong = _wrong(right, change)
    if place == "subject":
        del wrong["entry"][1]["resource"]["subject"]
    reply = send(broker, "POST", "/publish", wrong)
    assert reply.status in (400, 422)
    assert any(where.endswith(place) for _, _, where in issues(reply))
    assert send(broker, "POST", "/publish", bundle(entry(document(patient), "PUT"))).status == 200
    assert [one[0] for one in events(1)] == ["PUT"]
