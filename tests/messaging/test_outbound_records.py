"""What is recorded of messages that go out: what became of them, and for how long it is kept."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from tests.databases import Databases
from tests.messaging.receiver import MllpReceiver, receiving
from xds.audit import table
from xds.database.access import Database
from xds.messaging.outbound import operations, records
from xds.messaging.outbound.building import DocumentToSend
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.documents import DocumentsToSend
from xds.messaging.outbound.exchanging import DestinationWire
from xds.messaging.outbound.keeping import remove_old
from xds.messaging.outbound.records import NewOutbound, OutboundMessage, OutboundState
from xds.messaging.outbound.sending import MessageSender
from xds.messaging.outbound.syntax import HL7V2
from xds.messaging.outbound.tables import outbound_message
from xds.metadata.objects import DocumentEntry
from xds.outgoing.delivery import Delivery, FailedAttempt, NotDelivered, TargetOutcome
from xds.outgoing.tables import delivery as queued

DAY = 86_400_000
STATES = OutboundState


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[MllpReceiver]:
    with receiving() as found:
        yield found


class OneDocument(DocumentsToSend):
    """The same document for every message."""

    def read(self, *_: Any) -> DocumentToSend:
        entry = DocumentEntry.create(patient_id="1^^^&2.999&ISO", unique_id="2.25.1")
        return DocumentToSend(entry=entry, parent=None, blocks=lambda: [b"x"], change="registered")


def recorded(database: Database) -> OutboundMessage:
    with database.read() as connection:
        (found,) = records.messages(connection, most=10)
        return found


def sender_of(database: Database, destination: Destination) -> tuple[MessageSender, Delivery]:
    """Record one message; return what sends it, and its delivery."""
    new = NewOutbound(
        destination=destination,
        event=1,
        change="registered",
        entry_uuid="urn:uuid:1",
        logical_id="urn:uuid:1",
        patient_id="1",
    )
    with database.write() as connection:
        records.write(database, connection, [new])
    sender = MessageSender(
        database=database,
        destinations={destination.name: destination},
        documents=OneDocument(None),
        wire=DestinationWire(None),
        fhir=HL7V2,
        is_audited=True,
    )
    message = recorded(database)
    delivery = Delivery(
        pk=1,
        id=f"{records.CHANNEL}.{message.id}",
        channel=records.CHANNEL,
        target=message.target,
        address=destination.address,
        accepted=0,
        attributes={},
        size=0,
        parts=0,
        read=lambda: iter(()),
    )
    return sender, delivery


class _CommitFails(Exception):
    """A commit does not happen."""


def note_in_vain(database: Database, sender: MessageSender, outcome: TargetOutcome) -> None:
    """Note an outcome in a transaction that is rolled back."""
    with suppress(_CommitFails), database.write() as connection:
        sender.note(connection, 1, [outcome])
        raise _CommitFails


def test_what_was_noted_in_a_commit_that_failed_is_noted_again_in_full(
    database: Database, receiver: MllpReceiver
) -> None:
    sender, delivery = sender_of(database, Destination(name="a", address=receiver.url))
    outcome = TargetOutcome(delivery.target, [delivery], [sender.send(delivery)], None)
    note_in_vain(database, sender, outcome)
    with database.write() as connection:
        sender.note(connection, 2, [outcome])
    sender.wire.close()
    found = recorded(database)
    assert (found.state, found.answer, found.ended) == (STATES.DELIVERED, "AA", 2)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(table.audit_record)) == 1


def test_a_refusal_noted_in_a_commit_that_failed_counts_once(
    database: Database, receiver: MllpReceiver
) -> None:
    destination = Destination(name="a", address=receiver.url, refusals=2, answer_seconds=2.0)
    sender, delivery = sender_of(database, destination)
    for answer, refusals in (("AR", 1), (None, 1)):
        receiver.answers[:] = [answer]
        receiver.disconnect()
        with pytest.raises(NotDelivered) as raised:
            sender.send(delivery)
        failed = FailedAttempt(delivery.id, 1, "reason", raised.value)
        outcome = TargetOutcome(delivery.target, [], [], failed)
        note_in_vain(database, sender, outcome)
        with database.write() as connection:
            sender.note(connection, 1, [outcome])
        assert recorded(database).refusals == refusals
    sender.wire.close()


def test_what_fails_while_its_destination_is_paused_is_held(database: Database) -> None:
    destination = Destination(name="a", address="mllp://localhost:1")
    sender, delivery = sender_of(database, destination)
    assert operations.pause(database, "a") == 1
    with pytest.raises(NotDelivered) as raised:
        sender.send(delivery)
    failed = FailedAttempt(delivery.id, 1, "ConnectionRefusedError", raised.value)
    with database.write() as connection:
        sender.note(connection, 1, [TargetOutcome(delivery.target, [], [], failed)])
    assert recorded(database).state is STATES.HELD
    assert operations.resume(database, destination) == 1
    assert _waiting(database) == 1


def test_what_is_retried_while_its_destination_is_paused_is_held(database: Database) -> None:
    destination = Destination(name="a", address="mllp://localhost:1")
    sender_of(database, destination)
    operations.pause(database, "a")
    with database.write() as connection:
        records.note_dead(connection, recorded(database).id, "AE", "AE", 1)
    assert operations.retry(database, destination) == 1
    assert (recorded(database).state, _waiting(database)) == (STATES.HELD, 0)
    operations.resume(database, destination)
    assert (recorded(database).state, _waiting(database)) == (STATES.WAITING, 1)


def _waiting(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(queued.select()).all())


def test_what_ended_is_kept_for_as_long_as_the_options_say(database: Database) -> None:
    now = _now(database)
    for name, state, change, document, ended in (
        ("not chosen", STATES.NOT_CHOSEN, "registered", 1, 11),
        ("not chosen lately", STATES.NOT_CHOSEN, "registered", 1, 9),
        ("given up", STATES.DEAD, "registered", 2, 11),
        ("waits", STATES.WAITING, "registered", 2, None),
        ("ended lately", STATES.SUPERSEDED, "registered", 2, 9),
        ("sent", STATES.DELIVERED, "registered", 3, 11),
        ("sent and replaced", STATES.DELIVERED, "registered", 4, 11),
        ("sent again", STATES.DELIVERED, "updated", 4, 11),
        ("sent and withdrawn", STATES.DELIVERED, "registered", 5, 11),
        ("withdrawn", STATES.DELIVERED, "withdrawn", 5, 11),
        ("own", STATES.OWN, "registered", 6, 11),
    ):
        _record(
            database, name, state, change, document, now - 12 * DAY, ended and now - ended * DAY
        )
    _record(database, "new", STATES.NOT_CHOSEN, "registered", 7, now - 9 * DAY, now - 9 * DAY)
    assert remove_old(database, 10) == 4
    with database.read() as connection:
        kept = {one.id for one in records.messages(connection, most=100)}
    assert kept == {
        "not chosen lately",
        "given up",
        "waits",
        "ended lately",
        "sent",
        "sent again",
        "own",
        "new",
    }
    assert remove_old(database, 10) == 0


def test_however_much_is_old_all_of_it_goes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xds.messaging.outbound.keeping._LOOKED_AT", 3)
    then = _now(database) - 20 * DAY
    for number in range(10):
        state = STATES.DEAD if number in (3, 4, 5) else STATES.NOT_CHOSEN
        _record(database, str(number), state, "registered", number, then, then)
    assert remove_old(database, 10) == 7


def _now(database: Database) -> int:
    with database.read() as connection:
        return database.milliseconds(connection)


def _record(
    database: Database,
    name: str,
    state: OutboundState,
    change: str,
    document: int,
    created: int,
    ended: int | None,
) -> None:
    row = {
        "id": name,
        "destination": "a",
        "event": 1,
        "change": change,
        "entry_uuid": f"urn:uuid:{document}",
        "logical_id": f"urn:uuid:{document}",
        "target": "a/0",
        "state": state,
        "rule": "",
        "is_replay": 0,
        "created": created,
        "ended": ended,
        "refusals": 0,
        "answer": "",
        "reason": "",
    }
    with database.write() as connection:
        connection.execute(insert(outbound_message), row)
