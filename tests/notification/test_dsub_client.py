"""``xds.client`` and ``xds subscribe`` as subscribers of DSUB, and what README promises."""

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.notification.conftest import Broker
from tests.notification.dsub import NS, envelope, patient, post, query, slot
from tests.registry import wire
from tests.registry.wire import World
from tests.waiting import PATIENCE, until
from xds.__main__ import main
from xds.client import (
    DocumentMetadataSubscriber,
    MalformedAnswer,
    ReceivedNotification,
    SoapFaultReceived,
    read_notify,
)
from xds.metadata.objects import DocumentEntry

ROOT = Path(__file__).parents[2]
BEFORE = "iti42/preassigned_uuids"


def run(broker: Broker, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--url", broker.server.url])


def test_the_client_subscribes_is_told_and_ends(broker: Broker) -> None:
    world = World.new()
    consumer = broker.consumer(f"client{world.number}")
    with DocumentMetadataSubscriber(broker.url) as subscriber:
        made = subscriber.subscribe_to_documents(
            consumer,
            world.patient(1),
            "ihe:FullDocumentEntry",
            ends=datetime(2030, 1, 1, tzinfo=UTC),
            class_code="report^^2.999.5.1",
        )
        assert made.ends == "2030-01-01T00:00:00Z"
        wire.accept(broker.server, world.fixture(BEFORE))
        (raw,) = broker.recipient.wait_for(f"/client{world.number}")
        (told,) = read_notify(raw.body)
        assert (told.subscription, told.topic) == (made.address, "ihe:FullDocumentEntry")
        assert all(isinstance(one, DocumentEntry) for one in told.objects)
        assert told.objects[0].entry_uuid == world.uuid(10)
        assert subscriber.renew(made.address, "P1D").ends != made.ends
        subscriber.unsubscribe(made.address)
        with pytest.raises(SoapFaultReceived) as caught:
            subscriber.unsubscribe(made.address)
        assert "ResourceUnknownFault" in caught.value.detail
        with pytest.raises(SoapFaultReceived) as caught:
            subscriber.subscribe(consumer, "ihe:Nothing", {})
        assert "TopicNotSupportedFault" in caught.value.detail


def test_the_client_pulls(broker: Broker) -> None:
    world = World.new()
    with DocumentMetadataSubscriber(broker.url) as subscriber:
        pull_point = subscriber.create_pull_point()
        subscriber.subscribe_to_documents(pull_point, world.patient(1), "ihe:MinimalDocumentEntry")
        wire.accept(broker.server, world.fixture(BEFORE))
        told: list[ReceivedNotification] = []

        def has_come() -> bool:
            told.extend(subscriber.pull(pull_point))
            return bool(told)

        until(has_come)
        assert told[0].entry_uuids == tuple(world.uuid(n) for n in range(10, 15))
        subscriber.destroy_pull_point(pull_point)
        with pytest.raises(SoapFaultReceived):
            subscriber.pull(pull_point)


@pytest.mark.parametrize("body", [b"", b"<x/>", b"no XML"])
def test_what_is_no_notification_is_told(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read_notify(body)


def test_the_command_subscribes_for_another(broker: Broker) -> None:
    world = World.new()
    path = f"command{world.number}"
    to = ("--patient", world.patient(1), "--to", broker.consumer(path))
    done = run(broker, "subscribe", "--topic", "FolderMetadata", *to)
    assert done.exit_code == 0, done.output
    address = re.search(r"Subscription (\S+), until 2", done.output)
    assert address
    wire.accept(broker.server, world.fixture(BEFORE))
    told = [read_notify(raw.body)[0] for raw in broker.recipient.wait_for(f"/{path}", 2)]
    assert {one.subscription for one in told} == {address[1]}
    refused = run(broker, "subscribe", "--patient", world.patient(1), "--to", "http://127.0.0.1:1/")
    assert refused.exit_code == 1
    assert "may not send notifications to that address" in refused.output
    for wrong in (("--type", "a^^b", "--topic", "UpdateFolder"), ("--ends", "soon")):
        assert run(broker, "subscribe", *to, *wrong).exit_code != 0


def test_the_command_shows_what_it_is_told(broker: Broker) -> None:
    world = World.new()
    done: list[Result] = []
    of_patient = ("--patient", world.patient(1))
    thread = threading.Thread(
        target=lambda: done.append(run(broker, "subscribe", *of_patient, "--count", "1"))
    )
    thread.start()
    until(lambda: _has_subscribed(broker, world) or not thread.is_alive())
    wire.accept(broker.server, world.fixture(BEFORE))
    thread.join(PATIENCE)
    assert done, "it has not ended"
    assert done[0].exit_code == 0, done[0].output
    assert "ihe:ExtendedFullDocumentEntry" in done[0].output
    assert f"DocumentEntry 2.999.3.{world.number}." in done[0].output


def _has_subscribed(broker: Broker, world: World) -> bool:
    status = slot("$SubscriptionStatus", "('Approved')")
    of_patient = patient(world.patient(1).partition("^")[0])
    body = (
        '<query:AdhocQueryRequest><query:ResponseOption returnType="ObjectRef"/>'
        f"{query('urn:uuid:d9882216-d44d-43dc-a89f-fda5de7e52ae', status, of_patient)}"
        "</query:AdhocQueryRequest>"
    )
    return post(broker.url, envelope(body)).content.find(".//rim:ObjectRef", NS) is not None


def test_the_program_of_the_page_runs(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "notifications.md").read_text()
    program, *_ = re.findall(r"(?ms)^```python\n(.*?)^```", page)
    exec(program.replace("http://127.0.0.1:8080", broker.server.url), {})
    assert capsys.readouterr().out == ""
