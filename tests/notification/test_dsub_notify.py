"""ITI-53 through the wire: who has subscribed is told, by topic and by what happens (DSUBx 2.1)."""

from collections.abc import Sequence
from itertools import count

import pytest
from lxml import etree

from tests.notification.conftest import Broker
from tests.notification.dsub import (
    ACTIONS,
    ANY_DOCUMENTS,
    DOCUMENTS,
    FOLDERS,
    NS,
    SUBMISSION_SETS,
    check,
    ends,
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
from tests.soap import test_iti44 as v3
from tests.waiting import until

PATHS = count(1)
BEFORE = "iti42/preassigned_uuids"
"""A submission of five documents and two Folders."""


class Subscription:
    """A subscription of a test, and what its consumer was told."""

    def __init__(
        self,
        broker: Broker,
        name: str,
        asked: str,
        *,
        more: str = "",
        parameters: str = "",
        path: str = "",
    ) -> None:
        self._broker = broker
        self.path = f"{path}{next(PATHS)}"
        consumer = broker.consumer(self.path)
        body = subscribe(consumer, topic(name) + asked, more, parameters)
        self.address = post(broker.url, envelope(body)).address

    def told(self, number: int) -> list[etree._Element]:
        """Wait for so many messages, and return all that came by then, as envelopes.

        One that came again, with its id, as after a process was slow, counts once.
        """
        count = number
        while len(found := self._by_id(count)) < number:
            count += 1
        return list(found.values())

    def _by_id(self, count: int) -> dict[str, etree._Element]:
        return {one.findtext("s:Header/wsa:MessageID", "", NS): one for one in self.came(count)}

    def came(self, number: int) -> list[etree._Element]:
        """Wait until so much has come, and return it all."""
        came = self._broker.recipient.wait_for(f"/{self.path}", number)
        for one in came:
            check(one.body)
        return [etree.fromstring(one.body) for one in came]

    def topics(self, number: int) -> list[str]:
        """Return the topics of so many messages, in their order."""
        return [one.findtext(".//wsnt:Topic", "", NS) for one in self.told(number)]

    def end(self) -> None:
        """Unsubscribe."""
        assert post(self.address, envelope("<wsnt:Unsubscribe/>")).status == 200


def of(world: World, kind: str = "DocumentEntry", number: int = 1) -> str:
    """Return the query for what a patient of a world has."""
    queries = {"DocumentEntry": DOCUMENTS, "SubmissionSet": SUBMISSION_SETS, "Folder": FOLDERS}
    name = world.patient(number).partition("^")[0]
    return query(queries[kind], patient(name, kind))


def listed(message: etree._Element) -> list[tuple[str, str]]:
    """Return the kind and the id of each object that a message tells of."""
    found = message.find(".//rim:RegistryObjectList", NS)
    return [(etree.QName(one).localname, one.get("id")) for one in found]


def send(broker: Broker, world: World, *fixtures: str) -> None:
    """Have messages of the fixtures accepted."""
    for name in fixtures:
        wire.accept(broker.server, world.fixture(name))


@pytest.mark.shows("ITI-53")
def test_a_full_notification_has_the_entries_of_a_submission(broker: Broker) -> None:
    world = World.new()
    parameters = (
        "<wsa:ReferenceParameters><x:key xmlns:x='urn:x'>7</x:key></wsa:ReferenceParameters>"
    )
    one = Subscription(broker, "ihe:FullDocumentEntry", of(world), parameters=parameters)
    send(broker, world, BEFORE)
    (message,) = one.told(1)
    assert message.findtext("s:Header/wsa:Action", "", NS) == (
        f"{ACTIONS}/NotificationConsumer/Notify"
    )
    assert message.findtext("s:Header/wsa:To", "", NS) == broker.consumer(one.path)
    key = message.find("s:Header/{urn:x}key", NS)
    assert (key.text, key.get(f"{{{NS['wsa']}}}IsReferenceParameter")) == ("7", "true")
    (told,) = message.iter("{*}NotificationMessage")
    assert told.findtext("wsnt:SubscriptionReference/wsa:Address", "", NS) == one.address
    assert told.findtext("wsnt:Topic", "", NS) == "ihe:FullDocumentEntry"
    assert told.find("wsnt:ProducerReference", NS) is None
    assert listed(message) == [("ExtrinsicObject", world.uuid(n)) for n in range(10, 15)]
    assert {e.get("status").rpartition(":")[2] for e in message.iter("{*}ExtrinsicObject")} == {
        "Approved"
    }


@pytest.mark.shows("ITI-53")
def test_each_topic_holds_what_it_promises(broker: Broker) -> None:
    world = World.new()
    minimal = Subscription(broker, "ihe:MinimalDocumentEntry", of(world))
    submission_set = Subscription(broker, "ihe:SubmissionSetMetadata", of(world, "SubmissionSet"))
    folder = Subscription(broker, "ihe:FolderMetadata", of(world, "Folder"))
    send(broker, world, BEFORE)
    assert [listed(one) for one in minimal.told(1)] == [
        [("ObjectRef", world.uuid(n)) for n in range(10, 15)]
    ]
    for one, ids, node in (
        (submission_set, [1], "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"),
        (folder, [20, 21], "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"),
    ):
        told = one.told(len(ids))
        assert [listed(message) for message in told] == [
            [("RegistryPackage", world.uuid(n))] for n in ids
        ]
        for message in told:
            (package,) = message.iter("{*}RegistryPackage")
            nodes = [c.get("classificationNode") for c in package.iter("{*}Classification")]
            assert node in nodes


@pytest.mark.parametrize(
    ("query_id", "name", "value", "is_told"),
    [
        (DOCUMENTS, "DocumentEntryClassCode", "('report^^2.999.5.1')", True),
        (DOCUMENTS, "DocumentEntryClassCode", "('nothing^^2.999.5.1')", False),
        (DOCUMENTS, "DocumentEntryAuthorPerson", "('%Ruiz%')", True),
        (DOCUMENTS, "DocumentEntryAuthorPerson", "('Ruiz%')", False),
        (ANY_DOCUMENTS, "DocumentEntryClassCode", "('nothing^^1.2','report^^2.999.5.1')", True),
    ],
)
def test_filters_match_as_stored_queries_do(
    broker: Broker, query_id: str, name: str, value: str, is_told: bool
) -> None:
    world = World.new()
    of_patient = patient(world.patient(1).partition("^")[0])
    slots = [slot(f"$XDS{name}", value), *([of_patient] if query_id == DOCUMENTS else [])]
    all_of_it = Subscription(broker, "ihe:FullDocumentEntry", of(world))
    one = Subscription(broker, "ihe:FullDocumentEntry", query(query_id, *slots))
    send(broker, world, BEFORE)
    entries = all_of_it.told(1)[0]
    if is_told:
        own = [told for told in one.told(1) if world.uuid(10) in etree.tostring(told).decode()]
        assert set(listed(own[0])) <= set(listed(entries))
    one.end()
    assert bool(broker.recipient.came(f"/{one.path}")) is is_told


@pytest.mark.shows("ITI-53")
def test_what_becomes_of_documents_is_told_by_suffixes(broker: Broker) -> None:
    """A replacement is told as a new document first, and then as a deprecation of the old one."""
    world = World.new()
    full = Subscription(broker, "ihe:ExtendedFullDocumentEntry", of(world))
    minimal = Subscription(broker, "ihe:ExtendedMinimalDocumentEntry", of(world))
    basic = Subscription(broker, "ihe:FullDocumentEntry", of(world))
    send(broker, world, BEFORE, "iti42/replacement", "iti57/document_version")
    name = "ihe:ExtendedFullDocumentEntry"
    told = full.told(4)
    assert full.topics(4)[:3] == [name, name, f"{name}/Deprecate"]
    # with what was made of the one that is replaced (ITI TF-2 3.42.4.1.3.5)
    assert listed(told[2]) == [("ExtrinsicObject", world.uuid(n)) for n in range(10, 14)]
    assert told[2].find(".//rim:ExtrinsicObject", NS).get("status").endswith(":Deprecated")
    assert full.topics(4)[3] == f"{name}/UpdateMetadata"
    assert [len(listed(one)) for one in minimal.told(4)] == [len(listed(one)) for one in told]
    assert basic.topics(2) == ["ihe:FullDocumentEntry"] * 2


def test_what_was_removed_is_told_with_what_it_was(broker: Broker) -> None:
    world = World.new()
    send(broker, world, BEFORE)
    full = Subscription(broker, "ihe:ExtendedFullDocumentEntry", of(world))
    minimal = Subscription(broker, "ihe:ExtendedMinimalDocumentEntry", of(world))
    folder = Subscription(broker, "ihe:ExtendedFolder", of(world, "Folder"))
    update = Subscription(broker, "ihe:UpdateFolder", of(world, "Folder"))
    send(broker, world, "iti62/whole_submission")
    # a message for each object: no SubmissionSet has brought the removals about
    removed = [world.uuid(number) for number in range(10, 15)]
    assert full.topics(5) == ["ihe:ExtendedFullDocumentEntry/Delete"] * 5
    assert [listed(one) for one in full.told(5)] == [[("ExtrinsicObject", one)] for one in removed]
    assert [listed(one) for one in minimal.told(5)] == [[("ObjectRef", one)] for one in removed]
    assert folder.topics(2) == ["ihe:ExtendedFolder/Delete"] * 2
    update.end()
    assert "ihe:UpdateFolder/Delete" not in update.topics(0)


@pytest.mark.shows("ITI-53")
def test_what_becomes_of_folders_is_told_by_suffixes(broker: Broker) -> None:
    world = World.new()
    send(broker, world, BEFORE)
    plain = Subscription(broker, "ihe:FolderMetadata", of(world, "Folder"))
    update = Subscription(broker, "ihe:UpdateFolder", of(world, "Folder"))
    send(broker, world, "iti42/folder_update")
    assert plain.topics(1) == ["ihe:FolderMetadata"]
    assert update.topics(1) == ["ihe:UpdateFolder/UpdateContent"]
    send(broker, world, "iti57/folder_version")
    assert "ihe:UpdateFolder/UpdateMetadata" in update.topics(2)
    assert update.topics(2) == ["ihe:UpdateFolder/UpdateContent", "ihe:UpdateFolder/UpdateMetadata"]
    (package,) = update.told(1)[0].iter("{*}RegistryPackage")
    assert package.get("id") == world.uuid(21)
    update.end()
    assert len(update.told(2)) == 2  # that the version before is Deprecated by it is no news


def test_a_folder_that_loses_a_document_is_told(broker: Broker) -> None:
    """By ITI-62 of the Association between them; the plain topic does not tell of it."""
    world = World.new()
    send(broker, world, BEFORE)
    update = Subscription(broker, "ihe:UpdateFolder", of(world, "Folder"))
    plain = Subscription(broker, "ihe:FolderMetadata", of(world, "Folder"))
    request = etree.tostring(world.fixture("iti62/one_document")).decode()
    for one, other in ((14, 40), (34, 41)):
        request = request.replace(world.uuid(one), world.uuid(other))
    wire.accept(broker.server, etree.fromstring(request))
    assert update.topics(1) == ["ihe:UpdateFolder/RemoveDocument"]
    assert listed(update.told(1)[0]) == [("RegistryPackage", world.uuid(20))]
    plain.end()
    assert plain.told(0) == []


def test_a_status_is_told(broker: Broker) -> None:
    """ITI-57 with UpdateAvailabilityStatus."""
    world = World.new()
    send(broker, world, BEFORE)
    one = Subscription(broker, "ihe:ExtendedMinimalDocumentEntry", of(world))
    send(broker, world, "iti57/statuses")
    assert one.topics(1)[0] == "ihe:ExtendedMinimalDocumentEntry/Deprecate"


def test_a_subscription_follows_its_patient_into_a_merge(broker: Broker) -> None:
    """The merge itself is not told (DSUB Extensions Rev 2.1 has no topic for it)."""
    world = World.new()
    name, prior = (world.patient(n).partition("^")[0] for n in (1, 2))
    one = Subscription(broker, "ihe:ExtendedFullDocumentEntry", of(world, number=2))
    for patient_name in (name, prior):
        fed(broker, v3.ADD, v3.subject(v3.identifier(patient_name)))
    fed(broker, v3.MERGE, v3.subject(v3.identifier(name), v3.identifier(prior)))
    send(broker, world, BEFORE)
    (message,) = one.told(1)
    assert len(listed(message)) == 5


def fed(broker: Broker, interaction: str, subject: str) -> None:
    """Have the registry told of a patient by ITI-44."""
    message = wire.envelope(f"urn:hl7-org:v3:{interaction}", v3.message(interaction, subject))
    answer = v3.post(broker.server, message)
    assert [one.get("code") for one in answer.iterfind(".//h:typeCode", v3.NS)][-1:] == ["CA"]


@pytest.mark.slow
@pytest.mark.shows("ITI-53")
def test_a_consumer_that_fails_is_told_later_with_the_same_message_id(broker: Broker) -> None:
    world = World.new()
    one = Subscription(broker, "ihe:FullDocumentEntry", of(world))
    broker.recipient.refuse(f"/{one.path}", 503, 500)
    send(broker, world, BEFORE)
    told = one.came(3)
    ids = {message.findtext("s:Header/wsa:MessageID", "", NS) for message in told}
    assert len(ids) == 1


def test_nothing_is_told_after_the_end(broker: Broker) -> None:
    world = World.new()
    one = Subscription(broker, "ihe:FullDocumentEntry", of(world))
    other = Subscription(broker, "ihe:FullDocumentEntry", of(world))
    one.end()
    send(broker, world, BEFORE)
    assert len(other.told(1)) == 1
    assert broker.recipient.came(f"/{one.path}") == []


@pytest.mark.shows("ITI-53")
def test_a_consumer_is_told_of_the_end_where_the_options_say_so(broker: Broker) -> None:
    """By an ITI-52 Unsubscribe, and at its time (Subscription Deactivation Notify)."""
    world = World.new()
    ended = Subscription(broker, "ihe:FullDocumentEntry", of(world), path="told/")
    silent = Subscription(broker, "ihe:FullDocumentEntry", of(world), path="silent/")
    expired = Subscription(
        broker, "ihe:FullDocumentEntry", of(world), path="told/", more=ends("PT1S")
    )
    for one in (ended, silent):
        one.end()
    for one in (ended, expired):
        (message,) = one.told(1)
        told = message.find(".//wsnt:NotificationMessage", NS)
        reference = told.find("wsnt:SubscriptionReference", NS)
        assert reference.findtext("wsa:Address", "", NS) == one.address
        assert reference.findtext("wsnt:TerminationTime", "", NS).endswith("Z")
        assert told.find("wsnt:Message/wsnt:Unsubscribe", NS) is not None
        assert told.find("wsnt:Topic", NS) is None
    assert broker.recipient.came(f"/{silent.path}") == []
    assert post(expired.address, envelope("<wsnt:Unsubscribe/>")).fault == "ResourceUnknownFault"


# ---- pull points


def pulled(pull_point: str, at_most: int | None = None, message_id: str = "") -> Sequence[str]:
    """Fetch messages, and return the topics of what came."""
    number = "" if at_most is None else f"<wsnt:MaximumNumber>{at_most}</wsnt:MaximumNumber>"
    body = f"<wsnt:GetMessages>{number}</wsnt:GetMessages>"
    reply = post(pull_point, envelope(body, "urn:x", message_id) if message_id else envelope(body))
    return [
        f"{one.findtext('wsnt:Topic', '', NS)} {listed(one)[0][1]}"
        for one in reply.content.iterfind("wsnt:NotificationMessage", NS)
    ]


@pytest.mark.shows("ITI-70")
def test_a_pull_point_has_what_happened_in_order(broker: Broker) -> None:
    world = World.new()
    pull_point = post(broker.url, envelope("<wsnt:CreatePullPoint/>")).address
    asked = topic("ihe:MinimalDocumentEntry") + of(world)
    assert post(broker.url, envelope(subscribe(pull_point, asked))).address
    folders = topic("ihe:FolderMetadata") + of(world, "Folder")
    assert post(broker.url, envelope(subscribe(pull_point, folders))).address
    send(broker, world, BEFORE)
    first = f"ihe:MinimalDocumentEntry {world.uuid(10)}"
    wanted = [first, *(f"ihe:FolderMetadata {world.uuid(n)}" for n in (20, 21))]
    answers: list[Sequence[str]] = []

    def all_came() -> bool:
        answers.append(pulled(pull_point, 100, f"urn:uuid:request-{len(answers)}"))
        return sum(map(len, answers)) >= len(wanted)

    until(all_came)
    assert sorted(message for answer in answers for message in answer) == sorted(wanted)
    # the same request is answered in the same way: its answer may have been lost
    assert pulled(pull_point, 100, f"urn:uuid:request-{len(answers) - 1}") == answers[-1]
    # the next one confirms it
    assert pulled(pull_point, 1, "urn:uuid:next") == []
    send(broker, world, "iti42/replacement")
    until(lambda: bool(pulled(pull_point, 1)))
    assert pulled(pull_point, 0) == []


# ---- what others publish


@pytest.mark.shows("ITI-54")
def test_what_another_registry_publishes_is_told(broker: Broker) -> None:
    world = World.new()
    full = Subscription(broker, "ihe:FullDocumentEntry", of(world))
    extended = Subscription(broker, "ihe:ExtendedMinimalDocumentEntry", of(world))
    submission_set = Subscription(broker, "ihe:SubmissionSetMetadata", of(world, "SubmissionSet"))
    request = world.fixture(BEFORE).find(".//lcm:SubmitObjectsRequest", NS)
    listing = request.find("rim:RegistryObjectList", NS)
    for one in listing.findall("rim:Association", NS):
        listing.remove(one)
    content = etree.tostring(request, encoding="unicode", with_tail=False)
    for name in ("", "ihe:ExtendedFullDocumentEntry/UpdateMetadata"):
        reply = post(broker.url, envelope(published(content, name)))
        assert (reply.status, reply.body) == (202, b"")
    assert [listed(one) for one in full.told(1)] == [
        [("ExtrinsicObject", world.uuid(n)) for n in range(10, 15)]
    ]
    name = "ihe:ExtendedMinimalDocumentEntry"
    assert extended.topics(2) == [name, f"{name}/UpdateMetadata"]
    assert listed(submission_set.told(1)[0]) == [("RegistryPackage", world.uuid(1))]
    found = wire.get_all(broker.server, world.patient(1))
    assert not found.objects


@pytest.mark.parametrize(
    ("content", "topic_name"),
    [
        ("<x:y xmlns:x='urn:x'/>", ""),
        ("<lcm:SubmitObjectsRequest/>", ""),
        (
            "<lcm:SubmitObjectsRequest><rim:RegistryObjectList/></lcm:SubmitObjectsRequest>",
            "ihe:ExtendedFolder/Unheard",
        ),
        (
            "<lcm:SubmitObjectsRequest><rim:RegistryObjectList><rim:ExtrinsicObject "
            'id="urn:uuid:00000000-0000-4000-8000-000000000099" '
            'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"/>'
            "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>",
            "",
        ),
    ],
)
def test_what_cannot_be_published_is_refused(broker: Broker, content: str, topic_name: str) -> None:
    reply = post(broker.url, envelope(published(content, topic_name)))
    assert reply.fault == "NotifyMessageNotSupportedFault"
