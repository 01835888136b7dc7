"""Topics are found and read as Basic resources (ITI-114), and are those of DSUBm."""

import json
import re
from typing import Any

import pytest

from tests.broker_requirements import REQUIREMENTS
from tests.dsubm.rules import problems
from tests.fhir.asked import FHIR_XML, Reply, ask
from tests.reference import REFERENCE, needs
from tests.serving import Server
from xds.dsubm.topics import TOPICS, topic_of
from xds.fhir.r4 import structure

R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
BASE = "https://profiles.ihe.net/ITI/DSUBm"


def found(server: Server, query: str) -> list[Any]:
    bundle = ask(server, "GET", f"/Basic?{query}").json()
    assert (bundle["type"], bundle["total"]) == ("searchset", len(bundle.get("entry", ())))
    return [one["resource"] for one in bundle.get("entry", ())]


@pytest.mark.shows("broker topics", "broker topic search")
def test_all_topics_are_found(broker: Server) -> None:
    topics = found(broker, "code=SubscriptionTopic")
    assert [one["id"] for one in topics] == [one.id for one in TOPICS]
    assert len(topics) == 12
    for one in topics:
        assert structure.problems(one) == []
        (status,) = one["modifierExtension"]
        assert status == {"url": f"{R5}status", "valueCode": "active"}
        assert ask(broker, "GET", f"/Basic/{one['id']}").json() == one


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("_id=DSUBm-SubscriptionTopic-Basic-Folder-Subscription", 1),
        (f"url={BASE}/SubscriptionTopic/DSUBm-SubscriptionTopic-SubmissionSet-MultiPatient", 1),
        (f"derived-or-self={BASE}/DSUBm-SubscriptionTopic-SubmissionSet-MultiPatient", 1),
        ("resource=List", 6),
        ("resource=https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.Folder", 4),
        ("resource=List,DocumentReference&status=active", 12),
        ("status=draft", 0),
    ],
)
def test_a_search_of_topics(broker: Server, query: str, count: int) -> None:
    system = "http://hl7.org/fhir/fhir-types%7CSubscriptionTopic"
    assert len(found(broker, f"code={system}&{query}")) == count


def test_a_search_needs_the_code(broker: Server) -> None:
    assert ask(broker, "GET", "/Basic?status=active").codes() == ["required"]
    assert found(broker, "code=adverse-event") == []


def test_a_topic_is_had_as_xml(broker: Server) -> None:
    one: Reply = ask(broker, "GET", f"/Basic/{TOPICS[0].id}", {"Accept": FHIR_XML})
    assert b'<Basic xmlns="http://hl7.org/fhir">' in one.body
    assert ask(broker, "GET", "/Basic/none").status == 404


def test_a_topic_has_two_urls() -> None:
    for one in TOPICS:
        assert topic_of(one.url) is topic_of(f"{BASE}/{one.id}|1.0.0") is one
    assert topic_of(f"{BASE}/SubscriptionTopic/none") is None


@needs(REFERENCE / "fhir" / "dsubm")
def test_they_are_those_of_the_guide() -> None:
    """Names, filters and triggers of the table are those of the guide's SubscriptionTopics."""
    folder = REFERENCE / "fhir" / "dsubm" / "topics-r5"
    guide = {one["id"]: one for one in (json.loads(p.read_text()) for p in folder.glob("*.json"))}
    assert guide.keys() == {one.id for one in TOPICS}
    for topic in TOPICS:
        known = guide[topic.id]
        assert topic.url == known["url"]
        assert set(topic.filters) == {one["filterParameter"] for one in known["canFilterBy"]}
        triggers = known["resourceTrigger"]
        wanted = {code for one in triggers for code in one["supportedInteraction"]}
        assert {code for code, _ in _interactions(topic.id)} == wanted


def _interactions(identifier: str) -> list[tuple[str, str]]:
    from xds.dsubm.topics import BY_ID, basic

    return [
        (part["valueCode"], one["url"])
        for one in basic(BY_ID[identifier])["extension"]
        for part in one.get("extension", ())
        if part["url"] == "supportedInteraction"
    ]


@needs(REFERENCE / "fhir" / "dsubm" / "requirements.tsv")
def test_every_demand_on_a_broker_has_a_row() -> None:
    """Each sentence of the guide by which a broker SHALL do something is one of a row's places."""
    known = {place for one in REQUIREMENTS for place in one.places.split()}
    path = REFERENCE / "fhir" / "dsubm" / "requirements.tsv"
    for line in path.read_text().splitlines()[2:]:
        file, number, level, sentence = line.split("\t")
        if level.startswith("SHALL") and re.search(r"Broker[^.]*SHALL", sentence):
            place = (
                f"{file.removesuffix('.md').removeprefix('ITI-').replace('volume-', '')}:{number}"
            )
            assert place in known, sentence


@needs(REFERENCE / "fhir" / "backport-r4")
def test_the_rules_of_notifications_are_those_of_the_backport() -> None:
    """The examples of HL7 keep what tests check; those of DSUBm are known to break some of it."""
    folder = REFERENCE / "fhir"
    for path in (folder / "backport-r4").glob("Bundle-r4-notification-*.json"):
        assert problems(json.loads(path.read_text())) == [], path.name
    for path in (folder / "dsubm" / "examples").glob("Bundle-ex-*Notification.json"):
        assert problems(json.loads(path.read_text())), path.name
