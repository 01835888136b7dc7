"""What has happened at a registry: who asked for what, and which messages came and went.

It is for measuring the pages of the console, which show that.

The audit records are of the last day up to now, and chained and counted as those of a server. Some
things are frequent on purpose: a patient, a document and a user with very many records, those of
the patient all of the first half of the day, so that none of them is among the newest.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select, text

from bench.load.audit_history import COPIED, DAY, Known, Rows, audit_records, in_batches
from bench.load.filling import make_index, number_on, without_indexes
from xds.audit import activity, chain
from xds.audit.table import audit_record
from xds.database.access import Database
from xds.database.statements import copy_rows
from xds.messaging.outbound.records import OutboundState
from xds.messaging.outbound.tables import outbound_message
from xds.messaging.tables import message, message_number, message_part
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry
from xds.notification import rows as subscription_rows
from xds.notification.model import NewSubscription, SubscribedTopic, SubscriptionState
from xds.notification.tables import notification, subscription
from xds.outgoing.tables import delivery, delivery_target
from xds.refusals import keeper
from xds.refusals.tables import refusal, unknown_code
from xds.registry import events
from xds.registry.tables import document_entry, patient
from xds.security.caller import UNKNOWN

DESTINATIONS: Final = ("record", "practice", "archive")
"""The destinations that messages went to."""
_HOUR: Final = 3_600_000
_KNOWN: Final = 20_000
"""Documents that records and messages are about."""
_HL7: Final = (
    "MSH|^~\\&|LAB{sender}|HOSPITAL|XDS|REGION|20260301120000||ORU^R01^ORU_R01|{control}|P|2.5\r"
    "PID|1||{patient}||Sample^Ada||19800229|F\r"
    "OBR|1|P{number}|F{number}|24331-1^Lipid panel^LN|||20260301110000\r"
    "OBX|1|NM|2093-3^Cholesterol^LN||5.{number}|mmol/L|||||F\r"
)
_REFUSED: Final = json.dumps(
    [
        {
            "verdict": "patient-unknown",
            "location": "PID-3",
            "reason": "the patient is not known here",
            "warning": False,
        }
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How much has happened."""

    records: int = 1_000_000
    """Audit records."""
    of_one: int = 20_000
    """Of these, those of one patient."""
    messages: int = 500_000
    """That came in; the bytes of the last ones are kept."""
    outbound: int = 200_000
    """Messages for destinations."""
    refusals: int = 20_000
    """Submissions that were refused, of which what their senders were told is kept."""
    waiting: int = 100_000
    """Deliveries that wait; a twentieth of that was given up."""
    subscriptions: int = 2_000
    notifications: int = 50
    """Of each subscription."""
    seed: int = 1


def fill(database: Database, history: History, tell: Callable[[int], object]) -> Known:
    """Fill the tables, which are empty, of a registry that has documents.

    ``tell`` is called with the number of rows each time when some have been written.
    """
    with database.read() as connection:
        known, now = _known(connection), database.milliseconds(connection)
    parts: Sequence[tuple[tuple[Table, ...], Iterator[Rows]]] = (
        ((audit_record,), audit_records(history.records, history.of_one, known, now, history.seed)),
        ((message, message_number, message_part), _messages(history, known, now)),
        ((refusal,), _refusals(history, now)),
        ((outbound_message,), _outbound(history, known, now)),
        ((delivery,), _deliveries(history, now)),
    )
    for tables, batches in parts:
        _copy(database, tables, batches, tell)
    with database.write(chain.ALONE) as connection:
        activity.count(connection)
    with database.write() as connection:
        copy_rows(connection, delivery_target, list(_targets(history, now)))
        copy_rows(connection, unknown_code, list(_unknown_codes(history, now)))
        _subscribe(connection, history, now)
    if not database.is_sqlite:
        with database.administer() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("VACUUM (ANALYZE)"))
    return known


def write_messages(connection: Connection, history: History, now: int) -> None:
    """Write the messages alone, up to a time, in a transaction: for a table with few rows."""
    about = (
        "9990000001^^^&2.999.1.1&ISO",
        "urn:uuid:00000000-0000-4000-8000-000000000001",
        "2.25.1",
    )
    for batch in _messages(history, Known([about]), now):
        for table, rows in batch.items():
            copy_rows(connection, table, rows)


def _copy(
    database: Database,
    tables: Sequence[Table],
    batches: Iterable[Rows],
    tell: Callable[[int], object],
) -> None:
    with database.administer() as connection:
        indexes = without_indexes(connection, tables)
        connection.commit()
    for batch in batches:
        with database.write() as connection:
            for table, rows in batch.items():
                copy_rows(connection, table, rows)
        tell(sum(map(len, batch.values())))
    with database.administer() as connection:
        for statement in indexes:
            make_index(connection, statement)
        if not database.is_sqlite:
            number_on(connection, [one for one in tables if "pk" in one.c])
            connection.commit()


def _known(connection: Connection) -> Known:
    """Return documents from everywhere in the registry."""
    count = connection.scalar(select(func.count()).select_from(document_entry)) or 0
    every = max(count // _KNOWN, 1)
    found = (
        select(patient.c.patient_id, document_entry.c.entry_uuid, document_entry.c.unique_id)
        .select_from(document_entry.join(patient, patient.c.pk == document_entry.c.patient))
        .where(document_entry.c.pk % every == 0)
        .order_by(document_entry.c.pk)
        .limit(_KNOWN)
    )
    return Known([(one, uuid, unique_id) for one, uuid, unique_id in connection.execute(found)])


# --- messages ------------------------------------------------------------------------------------


def _messages(history: History, known: Known, now: int) -> Iterator[Rows]:
    chance = Random(history.seed + 1)
    first_kept = history.messages - COPIED

    def rows() -> Iterator[tuple[Table, dict[str, Any]]]:
        for number in range(history.messages):
            patient_id, uuid, _ = chance.choice(known.patients)
            key, control, sender = number + 1, f"C{number:09}", chance.randrange(40)
            received = now - 30 * DAY + 30 * DAY * number // history.messages
            drawn = chance.random()
            state = "refused" if drawn < 0.01 else "failed" if drawn < 0.012 else "filed"
            filled = {"sender": sender, "control": control, "number": number}
            raw = _HL7.format(patient=patient_id, **filled).encode()
            row = _message(control, f"LAB{sender}|HOSPITAL", raw, state, patient_id)
            row |= {"pk": key, "id": _id(number), "received": received}
            if state == "filed":
                row["documents"] = json.dumps(
                    [{"entry_uuid": uuid, "unique_id": "", "change": "new"}]
                )
            yield message, row
            for one in (f"P{number}", f"F{number}"):
                yield message_number, {"number": one, "message": key}
            if number >= first_kept:
                part = {"message": row["id"], "place": 0, "content": raw, "written": received}
                yield message_part, part

    return in_batches(rows())


def _id(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012x}"


def _message(
    control_id: str, sender: str, raw: bytes, state: str, patient_id: str
) -> dict[str, Any]:
    digest = sha256(raw).hexdigest()
    is_refused = state != "filed"
    return {
        "door": "mllp",
        "feed": "",
        "media": "hl7v2",
        "code": "ORU",
        "trigger_event": "R01",
        "version": "2.5",
        "control_id": control_id,
        "sender": sender,
        "receiver": "XDS|REGION",
        "sent": "20260301120000",
        "caller": "192.0.2.8",
        "flavour": "default",
        "digest": digest,
        "size": len(raw),
        "same_id": digest[::-1],
        "accepted_as": None if is_refused else digest,
        "state": state,
        "verdict": "patient-unknown" if is_refused else "",
        "findings": _REFUSED if is_refused else "[]",
        "decisions": "[]",
        "patient_id": patient_id,
        "documents": "[]",
        "submission_set": "",
        "practice": "",
    }


def _outbound(history: History, known: Known, now: int) -> Iterator[Rows]:
    chance = Random(history.seed + 2)

    def rows() -> Iterator[tuple[Table, dict[str, Any]]]:
        for number in range(history.outbound):
            _, uuid, _ = chance.choice(known.patients)
            name = chance.choice(DESTINATIONS)
            drawn = chance.random()
            state = OutboundState.HELD if drawn < 0.1 else OutboundState.DELIVERED
            state = OutboundState.DEAD if drawn < 0.01 else state
            created = now - 30 * DAY + 30 * DAY * number // history.outbound
            yield (
                outbound_message,
                {
                    "pk": number + 1,
                    "id": f"O{number:09}",
                    "destination": name,
                    "event": number + 1,
                    "change": "new",
                    "entry_uuid": uuid,
                    "logical_id": uuid,
                    "target": f"{name}/{number % 8}",
                    "state": str(state),
                    "rule": "all",
                    "is_replay": 0,
                    "created": created,
                    "ended": None if state == OutboundState.HELD else created + 1_000,
                    "refusals": 0,
                    "answer": "AA" if state == OutboundState.DELIVERED else "",
                    "reason": "",
                    "said": "",
                },
            )

    return in_batches(rows())


# --- refused submissions -------------------------------------------------------------------------


def _refusals(history: History, now: int) -> Iterator[Rows]:
    errors = [
        ["XDSRegistryMetadataError", "DocumentEntry.classCode", keeper.UNKNOWN, "", "", "c7^^2.999"]
    ]

    def rows() -> Iterator[tuple[Table, dict[str, Any]]]:
        for number in range(history.refusals):
            yield (
                refusal,
                {
                    "pk": number + 1,
                    "at": now - DAY + DAY * number // history.refusals,
                    "transaction": "ITI-42",
                    "is_failure": number % 50 == 0,
                    "who": "CN=portal.example.org",
                    "address": "192.0.2.7",
                    "message": f"urn:uuid:{_id(number)}",
                    "reason": "",
                    "number": 1,
                    "errors": json.dumps(errors),
                },
            )

    return in_batches(rows())


def _unknown_codes(history: History, now: int) -> Iterator[dict[str, Any]]:
    for number in range(min(history.refusals, keeper.MOST_CODES)):
        yield {
            "attribute": "DocumentEntry.classCode",
            "code": f"c{number}",
            "scheme": "2.999",
            "number": number % 97 + 1,
            "first": now - DAY,
            "last": now - number,
            "refusal": number + 1,
        }


# --- the delivery queue and subscriptions --------------------------------------------------------


def _deliveries(history: History, now: int) -> Iterator[Rows]:
    def rows() -> Iterator[tuple[Table, dict[str, Any]]]:
        for number in range(history.waiting * 21 // 20):
            is_dead = number >= history.waiting
            subscribed = number % _failing(history) + 1
            yield (
                delivery,
                {
                    "pk": number + 1,
                    "id": f"bench {number}",
                    "channel": "dsub",
                    "target": str(subscribed),
                    "address": "http://127.0.0.1:9/",
                    "accepted": now - DAY + number,
                    "attributes": "{}",
                    "size": 0,
                    "parts": 0,
                    "content": b"",
                    "attempts": 10 if is_dead else 0,
                    "dead_at": now - _HOUR + number % _HOUR if is_dead else None,
                    "error": "connection refused" if is_dead else None,
                },
            )

    return in_batches(rows())


def _failing(history: History) -> int:
    """Return how many subscriptions have a target that takes nothing."""
    return max(history.subscriptions // 4, 1)


def _targets(history: History, now: int) -> Iterator[dict[str, Any]]:
    for number in range(_failing(history)):
        yield {
            "channel": "dsub",
            "target": str(number + 1),
            "host": "127.0.0.1",
            "due": now + DAY,
            "holder": None,
            "version": 1,
            "attempts": 12,
            "failed_since": now - DAY,
            "failed_at": now - _HOUR,
            "error": "connection refused",
        }


def _subscribe(connection: Connection, history: History, now: int) -> None:
    topic = SubscribedTopic("bench", DocumentEntry, frozenset({events.REGISTERED}))
    new = NewSubscription(
        protocol="dsub",
        topic=topic,
        filter=equal("patient_id", ["N1^^^&2.999.1.1&ISO"]),
        transaction="ITI-52",
        caller=UNKNOWN,
        address="http://127.0.0.1:9/",
    )
    state = SubscriptionState.ACTIVE
    subscription_rows.added(connection, new, state=state, created=now - DAY, beats=None, begins=0)
    (made,) = connection.execute(select(subscription)).mappings().all()
    connection.execute(subscription.delete())
    each = history.notifications
    rows = []
    for number in range(1, history.subscriptions + 1):
        fails = number <= _failing(history)
        told: dict[str, Any] = {"numbered": each, "queued": each, "delivered": 0 if fails else each}
        told |= {"state": SubscriptionState.ERROR} if fails and number % 2 else {}
        rows.append({**made, **told, "pk": number, "id": _id(number)})
    connection.execute(insert(subscription), rows)
    if connection.dialect.name != "sqlite":
        number_on(connection, [subscription])
    for start in range(1, history.subscriptions + 1, COPIED // each):
        numbers = range(start, min(start + COPIED // each, history.subscriptions + 1))
        told_of = [_told(key, number, now) for key in numbers for number in range(1, each + 1)]
        copy_rows(connection, notification, told_of)


def _told(key: int, number: int, now: int) -> dict[str, Any]:
    return {
        "subscription": key,
        "number": number,
        "event": number,
        "change": events.REGISTERED,
        "at": now - DAY + number * 1_000,
        "objects": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
    }
