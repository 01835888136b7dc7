"""Whatever is killed while documents are registered: everyone is told everything, in order."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.databases import POSTGRESQL, SQLITE
from tests.dsubm import subscribed
from tests.notification import dsub
from tests.notification.chaos import (
    Arrival,
    Deployment,
    Recipient,
    Writers,
    disturb,
    patient,
    retry_everything,
)
from tests.postgresql import NoPostgreSQL, OwnPostgreSQL, own_postgresql
from tests.serving import Server
from tests.waiting import until, until_none_left
from xds.config import Config
from xds.database.access import Database
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry
from xds.notification.model import NewSubscription, SubscribedTopic, Subscription
from xds.notification.subscriptions import Subscriptions, SubscriptionSearch
from xds.notification.told import notification_id
from xds.registry import events, schema, subscribers
from xds.security.caller import UNKNOWN

pytestmark = pytest.mark.slow

SECONDS: Final = 25.0
"""How long things are killed."""
SEEDS: Final = {SQLITE: 1, POSTGRESQL: 2}
DSUB_TOPICS: Final = ("FullDocumentEntry", "MinimalDocumentEntry", "ExtendedFullDocumentEntry")

shows = pytest.mark.shows


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The kind of a database and its URL; PostgreSQL is one of its own, which is killed too."""
    if request.param == SQLITE:
        yield SQLITE, f"sqlite:///{tmp_path / 'registry.sqlite3'}"
        return
    try:
        with own_postgresql() as server:
            request.node.postgresql = server
            yield POSTGRESQL, server.create("xds")
    except NoPostgreSQL as reason:
        pytest.skip(str(reason))


def prepared(url: str) -> None:
    database = Database(url)
    schema.migrate(database)
    database.close()


@shows("behaviour notifications in order")
def test_each_subscriber_is_told_everything_in_order_whatever_is_killed(
    place: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kind, url = place
    prepared(url)
    recipient, chance = Recipient(), random.Random(SEEDS[kind])
    options = {
        "database": url,
        "documents": (tmp_path / "documents").as_uri(),
        "notification_targets": recipient.url,
    }
    postgresql: OwnPostgreSQL | None = getattr(request.node, "postgresql", None)
    deployment = Deployment(tmp_path, options, postgresql)
    recipient.start()
    try:
        deployment.start()
        patients = [patient() for _ in range(4)]
        subscribed_to(deployment.urls[0], recipient.url, patients)
        subscribed_by_fhir(deployment.servers[0], recipient.url, patients)
        fetched(url, patients[0])
        writers = Writers(deployment.urls, patients)
        with writers.writing(3):
            disturb(deployment, recipient, SECONDS, chance, lambda: _is_enough(writers))
        database = Database(url)
        try:
            service = Subscriptions.open(Config(notification_targets=recipient.url), database)
            told = waited_for(service)
            assert len(told) == len(patients) * (len(DSUB_TOPICS) + 1) + 1
            for one in told:
                came = recipient.came[one.address.removeprefix(recipient.url)]
                number = int(one.address.rpartition("/")[2]) if one.address else 0
                check(one, came or pulled(service, one), writers, patients[number])
        finally:
            database.close()
    finally:
        deployment.close()
        recipient.stop()


def _is_enough(writers: Writers) -> bool:
    return min(len(writers.acknowledged[one]) for one in writers.patients) > 5


def subscribed_to(server: str, recipient: str, patients: Sequence[str]) -> None:
    """Subscribe through the wire by every protocol, to each patient by paths of its own."""
    for number, patient_id in enumerate(patients):
        name = patient_id.partition("^")[0]
        for topic in DSUB_TOPICS:
            path = f"/dsub/{topic}/{number}"
            wanted = dsub.topic(f"ihe:{topic}") + dsub.query(dsub.DOCUMENTS, dsub.patient(name))
            message = dsub.envelope(dsub.subscribe(recipient + path, wanted))
            reply = dsub.post(f"{server}/notification", message)
            assert reply.content.tag.endswith("}SubscribeResponse"), reply.body


def subscribed_by_fhir(server: Server, recipient: str, patients: Sequence[str]) -> None:
    """The same by FHIR; on return each has taken its handshake."""
    made = []
    for number, patient_id in enumerate(patients):
        criterion = f"DocumentReference?{subscribed.of_patient(patient_id)}"
        wanted = subscribed.subscription(
            f"{recipient}/fhir/{number}", subscribed.DOCUMENTS, criterion, content="id-only"
        )
        made.append(subscribed.subscribe(server, wanted))
    until(lambda: all(one.is_now("active") for one in made), pause=0.2)


def fetched(url: str, patient_id: str) -> None:
    """Make a subscription whose notifications are fetched."""
    database = Database(url)
    Subscriptions.open(Config(), database).create(
        NewSubscription(
            protocol="dsub",
            topic=SubscribedTopic("fetched", DocumentEntry, frozenset({events.REGISTERED})),
            filter=equal("patient_id", [patient_id]),
            transaction="ITI-18",
            caller=UNKNOWN,
        )
    )
    database.close()


def pulled(service: Subscriptions, one: Subscription) -> list[Arrival]:
    """Fetch all notifications of a subscription, some at a time."""
    came: list[Arrival] = []
    while found := service.pull(one, 7):
        objects = ((told.entry_uuid for told in each.objects) for each in found)
        came += [Arrival(each.id, tuple(uuids)) for each, uuids in zip(found, objects, strict=True)]
        one = service.pulled(one.id, found[-1].number)
    return came


def waited_for(service: Subscriptions) -> list[Subscription]:
    """Wait until all that has happened is matched and told."""
    until_none_left(lambda: _unmatched(service))
    until_none_left(lambda: _untold(service), pause=1)
    return service.search(SubscriptionSearch())


def _unmatched(service: Subscriptions) -> int:
    with service.database.read() as connection:
        return subscribers.states(connection)["notifications"].waiting


def _untold(service: Subscriptions) -> int:
    """Have all that waits tried now; return how many notifications are not told yet."""
    retry_everything(service.database)
    found = [one for one in service.search(SubscriptionSearch()) if one.address]
    return sum(one.numbered - one.delivered for one in found)


def check(one: Subscription, came: Sequence[Arrival], writers: Writers, patient_id: str) -> None:
    """Hold what one subscriber was told to what has happened."""
    # each number, once or more with one id, and in order
    expected = [notification_id(one.id, number) for number in range(1, one.numbered + 1)]
    assert list(dict.fromkeys(arrival.id for arrival in came)) == expected, one.address
    last = 0
    for arrival in came:
        number = expected.index(arrival.id) + 1
        assert number <= last + 1, one.address  # a run of them may come again
        last = max(last, number)
    if one.protocol == "fhir":  # it names resources by ids of their own
        assert one.numbered >= len(writers.acknowledged[patient_id])
        return
    # nothing missing, and nothing of others
    named = {uuid for arrival in came for uuid in arrival.objects}
    acknowledged = set(writers.acknowledged[patient_id])
    assert acknowledged <= named, one.address
    assert named <= acknowledged | writers.unknown, one.address
