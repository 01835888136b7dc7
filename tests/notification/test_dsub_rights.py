"""Who may do what with a subscription of DSUB, and what is recorded of it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from tests import certificates
from tests.audit.test_records import audit, recorded, valid_messages
from tests.certificates import Files
from tests.databases import Databases
from tests.notification.conftest import Broker
from tests.notification.dsub import (
    DOCUMENTS,
    NS,
    Reply,
    envelope,
    patient,
    post,
    published,
    query,
    slot,
    subscribe,
    topic,
)
from tests.registry import wire
from tests.registry.wire import World
from tests.serving import serving
from tests.soap.receiver import receiving
from tests.waiting import until
from xds import schema_validation

POLICY = """
[[rule]]
name = "everyone submits, and asks to be told"
decision = "permit"
transactions = ["ITI-42", "ITI-52", "ITI-54", "ITI-69", "ITI-70", "ITI-120"]

[[rule]]
name = "of images nobody is told"
decision = "deny"
transactions = ["ITI-52"]
classCode = ["image^^2.999.5.1"]

[[rule]]
name = "one client does not subscribe"
decision = "deny"
transactions = ["ITI-52", "ITI-69"]
nodes = ["{barred}"]
"""
PULL = "<wsnt:GetMessages/>"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Certificates of three clients."""
    found = Files(tmp_path_factory.mktemp("clients"))
    for name in ("subscriber", "other", "barred", "greedy"):
        certificates.sign_itself(found, name)
    return found


def certificate(files: Files, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((files.folder / f"{name}.pem").read_bytes())


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, files: Files
) -> Iterator[Broker]:
    """A broker with a policy and audit, behind a proxy that tells who its clients are."""
    data = tmp_path_factory.mktemp("guarded")
    policy = Path(data / "policy.toml")
    barred = certificate(files, "barred").subject.rfc4514_string()
    policy.write_text(POLICY.format(barred=barred))
    with receiving() as recipient:
        options = {
            "database": databases.url(data),
            "notification_targets": recipient.url,
            "policy": str(policy),
            "audit": "on",
            "trusted_proxies": "127.0.0.1",
            "minimal_notification": "RetrieveDocumentSetRequest",
            "subscriptions_of_client": "3",
            "dsub_publish": "yes",
        }
        with serving(data, options) as server:
            yield Broker(server, recipient)


def sent(files: Files, name: str, url: str, body: str) -> Reply:
    """Send a message as the client with a certificate of that name."""
    der = certificate(files, name).public_bytes(Encoding.DER)
    shown = {"ClientCertificate": base64.b64encode(der).decode()}
    return post(url, envelope(body), **shown)


def of(world: World) -> str:
    return query(DOCUMENTS, patient(world.patient(1).partition("^")[0]))


def told(record: dict[str, Any]) -> tuple[Any, ...]:
    return (record["transaction"], record["event"][2], record["action"], record["outcome"])


def test_only_the_subscriber_ends_finds_and_fetches(guarded: Broker, files: Files) -> None:
    world = World.new()
    asked = topic("ihe:FullDocumentEntry") + of(world)
    body = subscribe(guarded.consumer("own"), asked)
    address = sent(files, "subscriber", guarded.url, body).address
    pull_point = sent(files, "subscriber", guarded.url, "<wsnt:CreatePullPoint/>").address
    unsubscribe, destroy = "<wsnt:Unsubscribe/>", "<wsnt:DestroyPullPoint/>"
    refusals = {
        (address, unsubscribe): "UnableToDestroySubscriptionFault",
        (pull_point, PULL): "UnableToGetMessagesFault",
        (pull_point, destroy): "UnableToDestroyPullPointFault",
        (guarded.url, subscribe(pull_point, asked)): "SubscribeCreationFailedFault",
    }
    for (url, message), fault in refusals.items():
        assert sent(files, "other", url, message).fault == fault
        assert post(url, envelope(message)).fault == fault
    for name, count in (("subscriber", 1), ("other", 0)):
        status = slot("$SubscriptionStatus", "('Approved')")
        search = query("urn:uuid:d9882216-d44d-43dc-a89f-fda5de7e52ae", status)
        by_id = query(
            "urn:uuid:b68a424d-625d-420f-bde7-c5538f22e99f",
            slot("$SubscriptionId", f"('{address}')"),
        )
        for one in (search, by_id):
            asking = (
                '<query:AdhocQueryRequest><query:ResponseOption returnType="ObjectRef"/>'
                f"{one}</query:AdhocQueryRequest>"
            )
            found = sent(files, name, guarded.url, asking).content.findall(".//rim:ObjectRef", NS)
            assert len(found) == count
    assert sent(files, "subscriber", address, unsubscribe).status == 200
    assert sent(files, "subscriber", pull_point, destroy).status == 200


def test_the_policy_says_who_subscribes_and_what_is_told(guarded: Broker, files: Files) -> None:
    world = World.new()
    asked = topic("ihe:FullDocumentEntry") + of(world)
    body = subscribe(guarded.consumer("policy"), asked)
    assert sent(files, "barred", guarded.url, body).fault == "SubscribeCreationFailedFault"
    barred = sent(files, "barred", guarded.url, "<wsnt:CreatePullPoint/>")
    assert barred.fault == "UnableToCreatePullPointFault"
    address = sent(files, "subscriber", guarded.url, body).address
    submission = wire.FIXTURES / "iti42" / "preassigned_uuids.xml"
    message = world.text(submission.read_text())
    # the first of its documents is an image
    image = message.replace('nodeRepresentation="report"', 'nodeRepresentation="image"', 1)
    wire.accept(guarded.server, etree.fromstring(image.encode()))
    (raw,) = guarded.recipient.wait_for("/policy")
    listed = etree.fromstring(raw.body).iter("{*}ExtrinsicObject")
    assert [one.get("id") for one in listed] == [world.uuid(n) for n in range(11, 15)]
    sent(files, "subscriber", address, "<wsnt:Unsubscribe/>")


def test_a_client_has_so_many_subscriptions_at_most(guarded: Broker, files: Files) -> None:
    body = subscribe(guarded.consumer("greedy"), topic("ihe:FullDocumentEntry") + of(World.new()))
    made = [sent(files, "greedy", guarded.url, body) for _ in range(4)]
    assert made[-1].fault == "SubscribeCreationFailedFault"
    for one in made[:-1]:
        assert sent(files, "greedy", one.address, "<wsnt:Unsubscribe/>").status == 200
    again = sent(files, "greedy", guarded.url, body)
    assert sent(files, "greedy", again.address, "<wsnt:Unsubscribe/>").status == 200


def test_documents_are_named_as_in_a_retrieval_where_the_options_say_so(
    guarded: Broker, files: Files
) -> None:
    world = World.new()
    asked = topic("ihe:MinimalDocumentEntry") + of(world)
    body = subscribe(guarded.consumer("minimal"), asked)
    address = sent(files, "subscriber", guarded.url, body).address
    wire.accept(guarded.server, world.fixture("iti42/preassigned_uuids"))
    (raw,) = guarded.recipient.wait_for("/minimal")
    request = etree.fromstring(raw.body).find(".//{*}Message/{*}RetrieveDocumentSetRequest")
    assert schema_validation.problems(request) == []
    assert [one.text for one in request.iter("{*}RepositoryUniqueId")] == ["2.999.1.3"] * 5
    assert [one.text for one in request.iter("{*}DocumentUniqueId")] == [
        f"2.999.3.{world.number}.{n}" for n in range(10, 15)
    ]
    sent(files, "subscriber", address, "<wsnt:Unsubscribe/>")


@pytest.mark.shows("ITI-52 Subscribe", "ITI-52 Unsubscribe", "ITI-70")
@pytest.mark.shows("ITI-53")
def test_what_is_asked_and_told_is_recorded(guarded: Broker, files: Files) -> None:
    """ITI TF-2 3.52.5.1, 3.53.5.1; DSUB Extensions 3.70.5.1."""
    world = World.new()
    asked = topic("ihe:FullDocumentEntry") + of(world)
    body = subscribe(guarded.consumer("recorded"), asked)
    address = sent(files, "subscriber", guarded.url, body).address
    wire.accept(guarded.server, world.fixture("iti42/preassigned_uuids"))
    guarded.recipient.wait_for("/recorded")
    found = recorded(guarded.server, world.patient(1), 3)
    assert sorted(map(told, found)) == [
        ("ITI-42", "Import", "C", 0),
        ("ITI-52", "Query", "C", 0),
        ("ITI-53", "Export", "R", 0),
    ]
    (made,) = (one for one in found if one["transaction"] == "ITI-52")
    of_subscription, of_filter = made["things"]
    assert (of_subscription["role"], of_subscription["id"]) == (20, address)
    assert (of_filter["role"], of_filter["id"]) == (24, DOCUMENTS)
    assert "Subscribe" in of_filter["query"]
    (export,) = (one for one in found if one["transaction"] == "ITI-53")
    assert export["node"] == guarded.consumer("recorded")
    assert {one["id"] for one in export["things"]} == {world.uuid(n) for n in range(10, 15)}
    assert sent(files, "subscriber", address, "<wsnt:Unsubscribe/>").status == 200
    ended = recorded(guarded.server, world.patient(1), 4)[-1]
    assert told(ended) == ("ITI-52", "Query", "D", 0)
    types = valid_messages(guarded.server, "--patient", world.patient(1))
    assert sorted(types) == ["ITI-42", "ITI-52", "ITI-52", "ITI-53"]


def test_each_object_that_another_registry_publishes_is_recorded(
    guarded: Broker, files: Files
) -> None:
    world = World.new()
    request = world.fixture("iti42/preassigned_uuids").find(".//lcm:SubmitObjectsRequest", NS)
    listing = request.find("rim:RegistryObjectList", NS)
    for one in listing.findall("rim:Association", NS):
        listing.remove(one)
    content = etree.tostring(request, encoding="unicode", with_tail=False)
    assert sent(files, "subscriber", guarded.url, published(content)).status == 202
    (record,) = recorded(guarded.server, world.patient(1), 1)
    assert told(record) == ("ITI-54", "Import", "C", 0)
    named = {one["id"]: one["id_type"][2] for one in record["things"]}
    assert named[world.uuid(1)] == "submission set classification node"
    assert {named[world.uuid(n)] for n in range(10, 15)} == {"document entry object type"}
    assert {one["role"] for one in record["things"]} == {3}
    assert valid_messages(guarded.server, "--patient", world.patient(1)) == ["ITI-54"]


def test_refusals_are_recorded(guarded: Broker, files: Files) -> None:
    world = World.new()
    asked = topic("ihe:FullDocumentEntry") + of(world)
    sent(files, "barred", guarded.url, subscribe(guarded.consumer("x"), asked))
    (denied,) = recorded(guarded.server, world.patient(1), 1)
    assert told(denied) == ("ITI-52", "Query", "C", 4)
    pull_point = sent(files, "subscriber", guarded.url, "<wsnt:CreatePullPoint/>").address
    sent(files, "subscriber", pull_point, PULL)
    wanted = {("ITI-69", "Application Activity", "C", 0), ("ITI-70", "Query", "E", 0)}
    until(lambda: wanted <= {told(one) for one in audit(guarded.server)})
    assert {"ITI-52", "ITI-69", "ITI-70"} <= set(valid_messages(guarded.server))
