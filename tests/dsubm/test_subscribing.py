"""Subscriptions are made, changed, found, read and ended (ITI-110, ITI-113)."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.dsubm.receiver import Receiver, Receivers
from tests.dsubm.subscribed import (
    BACKPORT,
    DOCUMENTS,
    TOPIC,
    Resource,
    Subscribed,
    issues,
    of_patient,
    send,
    subscribe,
    subscription,
)
from tests.fhir.asked import FHIR_JSON, FHIR_XML, ask, new_patient
from tests.serving import Server
from xds.dsubm.topics import TOPICS
from xds.fhir.r4 import structure, xml

FILTER = of_patient("S1^^^&2.999.1.1&ISO")
CODES = "List?code=submissionset"


@pytest.fixture
def made(broker: Server, receiver: Receiver) -> Subscribed:
    """A subscription that is active."""
    return subscribe(broker, subscription(receiver.url, DOCUMENTS, FILTER), receiver)


@pytest.mark.shows("broker created")
def test_what_is_answered(broker: Server, receiver: Receiver) -> None:
    wanted = subscription(receiver.url, DOCUMENTS, f"DocumentReference?{FILTER}", content="empty")
    reply = send(broker, "POST", "/Subscription", wanted)
    assert reply.status == 201
    found = reply.json()
    assert structure.problems(found) == []
    assert found["status"] == "requested"
    assert reply.headers["location"] == f"{broker.url}/fhir/Subscription/{found['id']}"
    assert {name: value for name, value in found.items() if name in wanted} == wanted
    (handshake,) = receiver.take(1)
    assert handshake.type == "handshake"
    assert handshake.status["subscription"] == {"reference": reply.headers["location"]}


@pytest.mark.shows("broker topics", "broker filters")
@pytest.mark.parametrize("topic", TOPICS, ids=lambda one: one.id.rpartition("Topic-")[2])
def test_every_topic_takes_its_filters(broker: Server, receivers: Receivers, topic: Any) -> None:
    """Each filter alone, beside the patient where the topic needs one."""
    values = {
        "code": {"SubmissionSet": "submissionset", "Folder": "folder"}.get(topic.kind.KIND, ""),
        "patient.identifier": "urn:oid:2.999.1.1|S1",
        "sourceId": "urn:oid:2.999.3",
        "identifier": "urn:oid:2.999.4",
        "status": "current",
    }
    patient = [FILTER] if topic.of_patient else []
    for name in topic.filters:
        if name == "patient":
            continue  # which has to be known: see test_a_patient_is_named_by_a_reference
        filters = [f"{name}={values.get(name, 'heart')}", *patient]
        wanted = subscription(receivers.new().url, topic.url, *dict.fromkeys(filters))
        assert send(broker, "POST", "/Subscription", wanted).status == 201, name


@pytest.mark.parametrize(
    "text",
    [
        FILTER,
        f"DocumentReference?{FILTER}&type=34133-9,57832-8&category:not=urn:x|y",
        "DocumentReference.patient.identifier=urn:oid:2.999.1.1%7CS1",
        "patient:Patient.identifier=urn:oid:2.999.1.1|S1",
        "DocumentReference.patient:Patient.identifier=urn:oid:2.999.1.1|S1",
    ],
)
def test_the_forms_of_a_filter(broker: Server, receiver: Receiver, text: str) -> None:
    wanted = subscription(receiver.url, DOCUMENTS, text)
    made = subscribe(broker, wanted)
    assert made.made["_criteria"] == wanted["_criteria"]


def _set(path: str, value: object) -> Callable[[Resource], None]:
    *above, last = path.split(".")

    def change(resource: Resource) -> None:
        for step in above:
            resource = resource[step]
        if value is None:
            resource.pop(last)
        else:
            resource[last] = value

    return change


def _filters(*texts: str) -> Callable[[Resource], None]:
    found = [{"url": f"{BACKPORT}filter-criteria", "valueString": one} for one in texts]
    return _set("_criteria", {"extension": found})


def _content(code: str) -> Callable[[Resource], None]:
    found = {"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": code}]}
    return _set("channel._payload", found)


def _extension(name: str, **value: object) -> Callable[[Resource], None]:
    return _set("channel.extension", [{"url": f"{BACKPORT}{name}", **value}])


C = "Subscription.criteria"
CH = "Subscription.channel"


@pytest.mark.shows("broker checks")
@pytest.mark.parametrize(
    ("change", "status", "code", "place"),
    [
        (_set("status", "active"), 422, "business-rule", "Subscription.status"),
        (_set("criteria", f"{TOPIC}none"), 422, "not-supported", C),
        (_set("criteria", "http://hl7.org/SubscriptionTopic/admission"), 422, "not-supported", C),
        (_set("criteria", None), 400, "required", C),
        (_set("end", "2020-01-01T00:00:00Z"), 422, "business-rule", "Subscription.end"),
        (_set("channel.type", "websocket"), 422, "not-supported", f"{CH}.type"),
        (_set("channel.type", "email"), 422, "not-supported", f"{CH}.type"),
        (_set("channel.type", "carrier-pigeon"), 400, "code-invalid", f"{CH}.type"),
        (_set("channel.endpoint", None), 422, "required", f"{CH}.endpoint"),
        (_set("channel.endpoint", "https://elsewhere.example/hook"), 422, "business-rule", CH),
        (_set("channel.endpoint", "http://only.example/hook"), 422, "business-rule", CH),
        (_set("channel.endpoint", "https://user@only.example/hook"), 422, "business-rule", CH),
        (_set("channel.endpoint", "http://127.0.0.1:1/"), 422, "business-rule", CH),
        (_set("channel.payload", None), 422, "required", f"{CH}.payload"),
        (_set("channel.payload", "text/plain"), 422, "not-supported", f"{CH}.payload"),
        (
            _set("channel.payload", "application/fhir+json; fhirVersion=4.3"),
            422,
            "not-supported",
            f"{CH}.payload",
        ),
        (_content("everything"), 422, "not-supported", f"{CH}.payload"),
        (_set("channel._payload", None), 422, "required", f"{CH}.payload"),
        (_set("channel.header", ["Host: other.example"]), 422, "business-rule", f"{CH}.header[0]"),
        (_set("channel.header", ["X-A: 1", "nothing"]), 422, "invalid", f"{CH}.header[1]"),
        (_set("channel.header", ["A: 1", "a: 2"]), 422, "duplicate", f"{CH}.header[1]"),
        (_extension("heartbeat-period", valueUnsignedInt=1), 422, "value", f"{CH}.extension"),
        (_extension("heartbeat-period", valueUnsignedInt=0), 422, "value", f"{CH}.extension"),
        (_extension("max-count", valuePositiveInt=0), 400, "value", ""),
        (_extension("timeout", valueUnsignedInt=100000), 422, "value", f"{CH}.extension"),
        (_set("modifierExtension", [{"url": "urn:x", "valueCode": "y"}]), 422, "extension", ""),
        (_filters(), 400, "structure", ""),
        (_filters("DocumentReference?"), 400, "invalid", C),
        (_filters("List?patient.identifier=a|b"), 400, "invalid", C),
        (_filters("patient.identifier="), 400, "invalid", C),
        (_filters("patient"), 400, "invalid", C),
        (_filters("patient=Patient.identifier=765543"), 400, "invalid", C),
        (_filters("patient=Patient/999999"), 422, "business-rule", C),
        (_filters("type=34133-9"), 422, "business-rule", C),
        (_filters(FILTER, "status=current,superseded"), 422, "business-rule", C),
        (_filters(FILTER, "status=perhaps"), 400, "value", C),
        (_filters(FILTER, "description=note"), 400, "not-supported", C),
        (_filters(FILTER, "type:above=34133-9"), 400, "not-supported", C),
        (_filters(FILTER, "intendedRecipient=Welby"), 400, "not-supported", C),
    ],
)
def test_what_is_refused(
    broker: Server,
    receiver: Receiver,
    change: Callable[[Resource], None],
    status: int,
    code: str,
    place: str,
) -> None:
    wanted = subscription(receiver.url, DOCUMENTS, FILTER)
    change(wanted)
    (found, *_) = issues(send(broker, "POST", "/Subscription", wanted))
    assert found[:2] == (status, code)
    assert found[2].startswith(place)
    query = f"/Subscription?url={receiver.url}"
    assert ask(broker, "GET", query).json()["total"] == 0
    assert receiver.received == []


def test_all_that_is_wrong_is_told_at_once(broker: Server, receiver: Receiver) -> None:
    wanted = subscription(receiver.url, "none", FILTER, header=["Host: a"])
    wanted["end"] = "2020-01-01T00:00:00Z"
    assert len(issues(send(broker, "POST", "/Subscription", wanted))) == 3


def test_an_upper_limit_of_what_other_patients_topics_take(
    broker: Server, receiver: Receiver
) -> None:
    wanted = subscription(receiver.url, "DocumentReference-MultiPatient", FILTER)
    assert issues(send(broker, "POST", "/Subscription", wanted)) == [(400, "not-supported", C)]


@pytest.mark.shows("broker XML")
def test_it_comes_and_goes_as_xml(broker: Server, receiver: Receiver) -> None:
    wanted = subscription(receiver.url, DOCUMENTS, FILTER)
    headers = {"Content-Type": FHIR_XML, "Accept": FHIR_XML}
    reply = ask(broker, "POST", "/Subscription", headers, xml.render(wanted))
    assert reply.status == 201
    read, problems = xml.read(reply.body)
    assert problems == []
    assert read["_criteria"] == wanted["_criteria"]
    assert read["channel"] == wanted["channel"]


# --- secrets -------------------------------------------------------------------------------------

SECRETS: dict[str, Any] = {
    "header": ["Authorization: Bearer s3cr3t-token", "X-Case: 7"],
    "extension": [
        {"url": "urn:xds:fhir:subscription-secret", "valueString": "a key of many characters"}
    ],
}


@pytest.mark.shows("behaviour secrets of a subscription")
def test_secrets_are_never_read_back(broker: Server, receiver: Receiver) -> None:
    made = subscribe(broker, subscription(receiver.url, DOCUMENTS, FILTER, **SECRETS), receiver)
    (handshake,) = receiver.take(1)
    assert handshake.headers["authorization"] == "Bearer s3cr3t-token"
    assert handshake.headers["x-case"] == "7"
    assert handshake.headers["x-hub-signature"].startswith("sha256=")
    masked = ["Authorization: ********", "X-Case: ********"]
    assert made.made["channel"]["header"] == made.read()["channel"]["header"] == masked
    query = f"/Subscription?_id={made.made['id']}"
    for path in (made.path, query, f"{made.path}/$status", f"{made.path}/$events"):
        body = ask(broker, "GET", path).body
        assert b"s3cr3t" not in body
        assert b"many characters" not in body
    assert "s3cr3t" not in broker.log.read_text()


def test_a_subscription_with_secrets_is_turned_off(broker: Server, receiver: Receiver) -> None:
    """As it was sent, or as it was read; with other secrets it is another subscription."""
    made = subscribe(broker, subscription(receiver.url, DOCUMENTS, FILTER, **SECRETS), receiver)
    changed = copy.deepcopy(made.wanted["channel"])
    changed["header"][0] = "Authorization: Bearer other"
    assert made.put("off", channel=changed).status == 422
    assert made.put("off").status == 200
    read = {**made.read(), "status": "requested"}
    assert send(broker, "PUT", made.path, read).status == 200


# --- changes -------------------------------------------------------------------------------------


@pytest.mark.shows("broker update", "broker off")
def test_off_and_requested_again(made: Subscribed, receiver: Receiver) -> None:
    reply = made.put("off")
    assert (reply.status, reply.json()["status"]) == (200, "off")
    assert made.read()["status"] == "off"
    (told,) = receiver.events(1)
    assert (told.status["status"], "notification-event" in told.status) == ("off", False)
    assert made.put("off").status == 200
    reply = made.put("requested")
    assert (reply.status, reply.json()["status"]) == (200, "requested")
    receiver.take(2, of="handshake")
    receiver.waits(lambda: made.is_now("active"))


def test_nothing_else_is_changed(made: Subscribed, broker: Server) -> None:
    before = made.read()
    filters = {"extension": [{"url": f"{BACKPORT}filter-criteria", "valueString": "type=x"}]}
    assert made.put("requested").status == 422  # it is active
    assert made.put("active").status == 422
    assert made.put("off", criteria=f"{TOPIC}Basic-Folder-Subscription").status == 422
    assert made.put("off", _criteria=filters).status == 422
    assert made.put("off", end="2099-01-01T00:00:00Z").status == 422
    assert made.put("off", id="other").status == 400
    stale = json.dumps({**made.wanted, "id": made.made["id"], "status": "off"}).encode()
    headers = {"Content-Type": FHIR_JSON, "If-Match": 'W/"1-0"'}
    assert ask(broker, "PUT", made.path, headers, stale).status == 412
    assert made.read() == before


def test_a_put_makes_none(broker: Server, receiver: Receiver) -> None:
    wanted = {**subscription(receiver.url, DOCUMENTS, FILTER), "id": "mine"}
    assert send(broker, "PUT", "/Subscription/mine", wanted).status == 405
    assert ask(broker, "GET", "/Subscription/mine").status == 404


def test_it_is_deleted(made: Subscribed, broker: Server) -> None:
    assert ask(broker, "DELETE", made.path).status == 204
    assert ask(broker, "GET", made.path).status == 410
    assert made.put("requested").status == 410
    assert ask(broker, "GET", f"/Subscription?_id={made.made['id']}").json()["total"] == 0


# --- search --------------------------------------------------------------------------------------


@pytest.mark.shows("broker search")
def test_what_is_found(made: Subscribed, receiver: Receiver, broker: Server) -> None:
    own = f"_id={made.made['id']}"
    for query in (
        own,
        f"url={receiver.url}",
        f"channel.endpoint={receiver.url}",
        f"{own}&status=active",
        f"{own}&status=off,active&payload=application/fhir%2Bjson",
        f"{own}&topic={TOPIC}{DOCUMENTS}",
        f"{own}&topic=https://profiles.ihe.net/ITI/DSUBm/DSUBm-SubscriptionTopic-{DOCUMENTS}",
        f"{own}&criteria={TOPIC}",
        f"{own}&filter-criteria=patient.identifier",
        f"{own}&filter-criteria:contains=%7Cs1",
        f"{own}&type=rest-hook",
    ):
        found = ask(broker, "GET", f"/Subscription?{query}").json()
        assert [one["resource"] for one in found.get("entry", ())] == [made.read()], query
    for query in ("status=off", "topic=urn:x", "filter-criteria=type", "url=http://a.example/"):
        assert ask(broker, "GET", f"/Subscription?{own}&{query}").json()["total"] == 0, query
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = ask(broker, "POST", "/Subscription/_search", form, own.encode())
    assert posted.json()["total"] == 1


@pytest.mark.shows("broker $status")
def test_the_state_is_told(made: Subscribed, broker: Server) -> None:
    (entry,) = made.operation("status")["entry"]
    assert structure.problems(entry["resource"]) == []
    told = {one["name"]: one for one in entry["resource"]["parameter"]}
    assert told["status"]["valueCode"] == "active"
    assert told["type"]["valueCode"] == "query-status"
    assert told["events-since-subscription-start"]["valueString"] == "0"
    query = f"id={made.made['id']}&status=active,error"
    several = ask(broker, "GET", f"/Subscription/$status?{query}").json()
    assert (several["type"], several["total"]) == ("searchset", 1)
    asked = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": "none"}]}
    assert send(broker, "POST", "/Subscription/$status", asked).json()["total"] == 0
    assert ask(broker, "GET", "/Subscription/$status?status=perhaps").codes() == ["value"]
    assert ask(broker, "GET", "/Subscription/none/$status").status == 404


def test_a_patient_is_named_by_a_reference(broker: Server, receiver: Receiver) -> None:
    from tests.dsubm.subscribed import registered

    patient = new_patient()
    registered(broker, patient)
    named = of_patient(patient).replace("patient.", "").replace("|", "%7C")
    found = ask(broker, "GET", f"/Patient?{named}").json()
    reference = f"Patient/{found['entry'][0]['resource']['id']}"
    for text in (
        f"patient={reference}",
        f"DocumentReference?subject={broker.url}/fhir/{reference}",
    ):
        subscribe(broker, subscription(receiver.url, DOCUMENTS, text))


@pytest.mark.shows("broker CapabilityStatement")
def test_it_is_stated(broker: Server) -> None:
    stated = ask(broker, "GET", "/metadata").json()
    (rest,) = stated["rest"]
    found = {one["type"]: one for one in rest["resource"]}
    codes = [one["code"] for one in found["Subscription"]["interaction"]]
    assert codes == ["create", "read", "update", "delete", "search-type"]
    operations = {one["name"]: one["definition"] for one in found["Subscription"]["operation"]}
    assert {"status", "events", "resend"} <= operations.keys()
    assert operations["events"].endswith("/OperationDefinition/backport-subscription-events")
    assert len([url for url in stated["instantiates"] if "ResourceNotificationBroker" in url]) == 7
    assert "requested again after an error is told" in stated["description"]
    topics, *others = found["Subscription"]["extension"]
    assert len(others) == 11
    assert topics["url"].endswith("capabilitystatement-subscriptiontopic-canonical")
    paths = json.loads(ask(broker, "GET", "/openapi.json").body)["paths"]
    assert {"/Subscription", "/Subscription/{id}/$events", "/Basic"} <= paths.keys()
