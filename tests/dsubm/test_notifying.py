"""What happens in the registry reaches who has subscribed (ITI-112), by each topic and content."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from tests.audit.test_records import valid_messages
from tests.dsubm.receiver import Receiver, Receivers
from tests.dsubm.rules import problems
from tests.dsubm.subscribed import (
    BACKPORT,
    DOCUMENTS,
    Resource,
    Subscribed,
    administrator,
    folder_with,
    of_patient,
    put_into,
    registered,
    replaced,
    send,
    subscribe,
    subscription,
)
from tests.fhir.asked import FHIR_XML, ask, new_patient
from tests.fhir.published import message
from tests.serving import Server
from xds.__main__ import main
from xds.client import DocumentConsumer, new_oid, status_change_of
from xds.client.administrator import next_version, removal_of, update_of
from xds.fhir.r4 import structure, xml
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry

PREFIX = "DocReference-PatientDependent"


def subscribed(
    server: Server,
    receiver: Receiver,
    patient: str,
    topic: str = DOCUMENTS,
    content: str = "id-only",
) -> Subscribed:
    """Subscribe to what happens to a patient."""
    return subscribe(
        server, subscription(receiver.url, topic, of_patient(patient), content=content), receiver
    )


def told(receiver: Receiver, count: int) -> list[tuple[int, str, str]]:
    """Return number, method and id of the events that came, which keep the rules."""
    found = receiver.events(count)
    for one in found:
        assert problems(one.json()) == []
        assert one.headers["content-type"] == "application/fhir+json"
    return [
        (one.number, entry["request"]["method"], entry["fullUrl"].rpartition("/")[2])
        for one in found
        for entry in one.entries
        if entry["request"]["method"] != "GET"
    ]


def bare(uuid: str) -> str:
    return uuid.removeprefix("urn:uuid:")


@pytest.mark.shows("broker content", "broker notification", "broker XML")
def test_what_is_told_of_an_event(broker: Server, receivers: Receivers) -> None:
    """Nothing, the id, or the resource with its patient; by JSON and by XML."""
    patient = new_patient()
    by_content = {one: receivers.new() for one in ("empty", "id-only", "full-resource")}
    for content, receiver in by_content.items():
        subscribed(broker, receiver, patient, content=content)
    in_xml = receivers.new()
    wanted = subscription(in_xml.url, DOCUMENTS, of_patient(patient), payload=FHIR_XML)
    as_xml = subscribe(broker, wanted)
    in_xml.waits(lambda: as_xml.is_now("active"))
    entry = registered(broker, patient)
    own = bare(entry.entry_uuid)

    (empty,) = by_content["empty"].events(1)
    assert problems(empty.json()) == []
    assert (empty.entries, "topic" in empty.status) == ([], False)
    assert set(empty.status["notification-event"]) == {"event-number", "timestamp"}

    (ids,) = by_content["id-only"].events(1)
    (only,) = ids.entries
    assert (only["request"]["method"], "resource" in only) == ("POST", False)
    focus = {"reference": f"{broker.url}/fhir/DocumentReference/{own}"}
    assert ids.status["notification-event"]["focus"] == focus

    (full,) = by_content["full-resource"].events(1)
    document, subject = full.entries
    assert document["resource"] == ask(broker, "GET", f"/DocumentReference/{own}").json()
    named = document["resource"]["subject"]["reference"]
    assert subject["resource"] == ask(broker, "GET", f"/{named}").json()
    assert structure.problems(full.json()) == []

    in_xml.waits(lambda: len(in_xml.received) > 1)
    assert in_xml.received[1].headers["content-type"] == FHIR_XML
    read, wrong = xml.read(in_xml.received[1].body)
    assert wrong == []
    assert read["entry"][1]["fullUrl"] == only["fullUrl"]


@pytest.mark.shows("broker DocumentReference", "broker matching")
def test_topics_of_documents(broker: Server, receivers: Receivers) -> None:
    """A replacement is told create first; an update of metadata is no change of status."""
    patient = new_patient()
    names = {"": DOCUMENTS, "minimal": f"{PREFIX}-MinUpdate", "all": f"{PREFIX}-AllEvents"}
    by_topic = {name: receivers.new() for name in names}
    for name, topic in names.items():
        subscribed(broker, by_topic[name], patient, topic)
    first = registered(broker, patient)
    with administrator(broker) as client:
        client.restricted_update(update_of(first, next_version(first, title="another")))
    second = replaced(broker, registered_again := registered(broker, patient))
    with administrator(broker) as client:
        client.remove_metadata(_with_associations(broker, second))

    one, two, three = (bare(e.entry_uuid) for e in (first, registered_again, second))
    created = [("POST", one), ("POST", two), ("POST", three)]
    assert [pair[1:] for pair in told(by_topic[""], 3)] == created
    minimal = [*created, ("PUT", two), ("DELETE", three)]
    assert told(by_topic["minimal"], 5) == [(n + 1, *pair) for n, pair in enumerate(minimal)]
    everything = [created[0], ("PUT", one), *minimal[1:]]
    assert told(by_topic["all"], 6) == [(n + 1, *pair) for n, pair in enumerate(everything)]
    by_topic[""].stays_at(1 + 3)


def _with_associations(server: Server, entry: DocumentEntry) -> Sequence[str]:
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        return removal_of(consumer, [entry.unique_id or ""]).entry_uuids


@pytest.mark.shows("broker Folder")
def test_topics_of_folders(broker: Server, receivers: Receivers) -> None:
    patient = new_patient()
    names = (
        "Basic-Folder-Subscription",
        "Folder-Subscription-MinUpdateOpt",
        "Folder-Subscription-UpdateOpt",
        "Folder-Subscription-for-Full-Events",
    )
    by_topic = {name: receivers.new() for name in names}
    for name, receiver in by_topic.items():
        subscribed(broker, receiver, patient, name, "full-resource")
    folder = folder_with(broker, patient)
    put_into(broker, folder, patient)
    own = bare(folder.entry_uuid)
    for receiver in by_topic.values():
        assert told(receiver, 2) == [(1, "POST", own), (2, "PUT", own)]
        last = receiver.events(2)[1].entries[0]["resource"]
        assert len(last["entry"]) == 2


@pytest.mark.shows("broker SubmissionSet")
def test_topics_of_submission_sets(broker: Server, receivers: Receivers) -> None:
    patient, other = new_patient(), new_patient()
    of_one, of_all = receivers.new(), receivers.new()
    subscribed(broker, of_one, patient, "SubmissionSet-PatientDependent", "full-resource")
    source = "sourceId=urn:oid:1.3.6.1.4.1.21367.4"
    wanted = subscription(of_all.url, "SubmissionSet-MultiPatient", "code=submissionset")
    assert source
    subscribe(broker, wanted, of_all)
    registered(broker, other)
    registered(broker, patient)
    (found,) = of_one.events(1)
    assert found.entries[0]["resource"]["code"]["coding"][0]["code"] == "submissionset"
    of_all.events(2)


@pytest.mark.shows("broker filters")
def test_several_filters_hold_together(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    filters = (of_patient(patient), "type=34133-9,11111-1", "security-label:not=R")
    subscribe(broker, subscription(receiver.url, DOCUMENTS, *filters), receiver)
    registered(broker, new_patient())
    registered(broker, patient, type_code=_code("99999-9"))
    wanted = registered(broker, patient, type_code=_code("11111-1"))
    assert told(receiver, 1) == [(1, "POST", bare(wanted.entry_uuid))]
    receiver.stays_at(2)


def _code(code: str) -> Code:
    return Code(code, "2.16.840.1.113883.6.1", "a type")


def test_what_is_published_by_mhd_is_told(broker: Server, receiver: Receiver) -> None:
    """ITI-65, whose Bundle is that of a basic ITI-111."""
    patient = new_patient()
    subscribed(broker, receiver, patient, content="full-resource")
    text = json.dumps(message("one_document"))
    bundle = json.loads(text.replace("M4001", patient.partition("^")[0]))
    _with_new_ids(bundle)
    reply = send(broker, "POST", "", bundle)
    assert reply.status == 200, reply.body
    assert len(told(receiver, 1)) == 1


def _with_new_ids(bundle: Resource) -> None:
    for entry in bundle["entry"]:
        resource = entry["resource"]
        resource.pop("identifier", None) if resource["resourceType"] != "Patient" else None
        if "masterIdentifier" in resource:
            resource["masterIdentifier"]["value"] = f"urn:oid:{new_oid()}"


# --- handshake, heartbeat, end -------------------------------------------------------------------


@pytest.mark.shows("broker handshake")
def test_a_handshake_that_is_not_taken(broker: Server, receiver: Receiver) -> None:
    """It ends in error, which says why; nothing is told before it is requested again."""
    patient = new_patient()
    receiver.answer = 403
    made = subscribe(broker, subscription(receiver.url, DOCUMENTS, of_patient(patient)))
    receiver.waits(lambda: made.is_now("error"))
    assert "403" in made.read()["error"]
    assert {one.type for one in receiver.received} == {"handshake"}
    assert problems(receiver.received[0].json()) == []
    receiver.answer = 200
    assert made.put("requested").status == 200
    receiver.waits(lambda: made.is_now("active"))
    assert "error" not in made.read()
    registered(broker, patient)
    receiver.events(1)


@pytest.mark.slow
def test_nobody_listens(broker: Server, receivers: Receivers) -> None:
    """A redirection is not followed either."""
    receiver = receivers.new()
    receiver.answer = 307
    made = subscribe(broker, subscription(receiver.url, DOCUMENTS, of_patient(new_patient())))
    receiver.waits(lambda: made.is_now("error"))
    assert receivers.of("/hook/elsewhere") is None


@pytest.mark.slow
@pytest.mark.shows("broker heartbeat")
def test_heartbeats(broker: Server, receiver: Receiver) -> None:
    extension = [{"url": f"{BACKPORT}heartbeat-period", "valueUnsignedInt": 2}]
    wanted = subscription(receiver.url, DOCUMENTS, of_patient(new_patient()), extension=extension)
    subscribe(broker, wanted, receiver)
    for one in receiver.take(2, of="heartbeat"):
        assert problems(one.json()) == []
        assert (one.status["status"], one.entries) == ("active", [])
        assert one.status["events-since-subscription-start"] == "0"


@pytest.mark.shows("broker end", "broker off")
def test_its_end_is_told(broker: Server, receiver: Receiver) -> None:
    end = datetime.now(UTC) + timedelta(seconds=2)
    wanted = subscription(receiver.url, DOCUMENTS, of_patient(new_patient()))
    wanted["end"] = end.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    made = subscribe(broker, wanted)
    assert made.made["end"] == wanted["end"]
    receiver.waits(lambda: made.is_now("off"))
    receiver.waits(lambda: len(receiver.received) > 1)
    last = receiver.received[-1]
    assert (last.type, last.status["status"], last.entries) == ("event-notification", "off", [])
    assert made.put("requested").status == 422


# --- outages -------------------------------------------------------------------------------------


@pytest.mark.shows("broker $events")
def test_events_after_an_outage(broker: Server, receiver: Receiver) -> None:
    """What was refused is kept in order, had by $events, and told once it is requested again."""
    patient = new_patient()
    made = subscribed(broker, receiver, patient)
    first = registered(broker, patient)
    receiver.events(1)
    receiver.answer = 500
    others = [registered(broker, patient) for _ in range(3)]
    receiver.waits(
        lambda: (
            made.operation("status")["entry"][0]["resource"]["parameter"][4]["valueString"] == "4"
        )
    )
    bundle = made.operation("events", "?eventsSinceNumber=2&eventsUntilNumber=3")
    assert problems(bundle) == []
    ids = [one["fullUrl"].rpartition("/")[2] for one in bundle["entry"][1:]]
    assert ids == [bare(one.entry_uuid) for one in others[:2]]
    assert len(made.operation("events")["entry"]) == 5
    assert len(made.operation("events", "?content=empty")["entry"]) == 1
    receiver.answer = 200
    if made.read()["status"] == "error":
        assert made.put("requested").status == 200
    found = told(receiver, 4)
    assert [n for n, *_ in found] == [1, 2, 3, 4]
    assert found[0][2] == bare(first.entry_uuid)
    tried = [one for one in receiver.received if one.type == "event-notification"]
    same = {
        one.number: {other.json()["id"] for other in tried if other.number == one.number}
        for one in tried
    }
    assert all(len(ids) == 1 for ids in same.values())


@pytest.mark.shows("behaviour $resend")
def test_what_was_told_is_sent_again(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    made = subscribed(broker, receiver, patient)
    for _ in range(3):
        registered(broker, patient)
    before = receiver.events(3)
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "eventsSinceNumber", "valueString": "2"}],
    }
    reply = send(broker, "POST", f"{made.path}/$resend", asked)
    assert reply.json()["resourceType"] == "OperationOutcome"
    again = receiver.events(5)[3:]
    assert [one.json()["id"] for one in again] == [one.json()["id"] for one in before[1:]]
    assert [one.number for one in again] == [2, 3]


@pytest.mark.shows("behaviour signed notifications")
def test_what_is_sent_is_signed(broker: Server, receiver: Receiver) -> None:
    key = "a key of many characters"
    secret = {"url": "urn:xds:fhir:subscription-secret", "valueString": key}
    wanted = subscription(receiver.url, DOCUMENTS, of_patient(new_patient()), extension=[secret])
    subscribe(broker, wanted, receiver)
    (handshake,) = receiver.take(1)
    signature = hmac.new(key.encode(), handshake.body, hashlib.sha256).hexdigest()
    assert handshake.headers["x-hub-signature"] == f"sha256={signature}"


def test_a_status_that_changes(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    subscribed(broker, receiver, patient, f"{PREFIX}-MinUpdate", "full-resource")
    entry = registered(broker, patient)
    with administrator(broker) as client:
        client.update(status_change_of(entry, v.DEPRECATED))
    told(receiver, 2)
    assert receiver.events(2)[1].entries[0]["resource"]["status"] == "superseded"


@pytest.mark.shows("broker audit")
def test_what_is_asked_and_told_is_recorded(broker: Server, receiver: Receiver) -> None:
    """Subscribe, search, and each notification that was taken, with patient and document."""
    patient = new_patient()
    made = subscribed(broker, receiver, patient)
    entry = registered(broker, patient)
    receiver.events(1)
    made.operation("status")

    def found(transaction: str) -> list[dict[str, Any]]:
        where = ["--data", str(broker.data), "--database", broker.database]
        command = ["audit", *where, "--format", "json", "--patient", patient]
        lines = CliRunner().invoke(main, command).stdout.splitlines()
        return [one for one in map(json.loads, lines) if one["transaction"] == transaction]

    receiver.waits(lambda: receiver.url in [one["node"] for one in found("ITI-112")])
    receiver.waits(lambda: bool(found("ITI-110") and found("ITI-113")))
    # others are told as well, by tests before
    (told,) = [one for one in found("ITI-112") if one["node"] == receiver.url]
    assert [one["id"] for one in told["things"]] == [entry.entry_uuid]
    assert told["event_type"] == ["ITI-112", "urn:ihe:event-type-code", "Resource Notify"]
    assert (told["initiates"], told["action"]) == (True, "R")
    (asked,) = found("ITI-110")
    assert (asked["action"], asked["outcome"]) == ("C", 0)
    assert of_patient(patient) in asked["things"][0]["query"]
    types = set(valid_messages(broker, "--patient", patient))
    assert {"ITI-110", "ITI-112", "ITI-113"} <= types
