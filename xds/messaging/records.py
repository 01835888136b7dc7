"""The record of messages that came in: what each was, what became of it, and how it came.

A record is one commit with what the message made, and with the message (:mod:`raw_messages`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from xds.database.access import Database
from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.database.statements import insert_rows
from xds.errors import TransactionFailure, XDSRegistryBusy
from xds.messaging.incoming import FiledDocument, FilingOutcome, IncomingMessage, MessageState
from xds.messaging.raw_messages import KeptMessage
from xds.messaging.tables import message, message_number, message_part
from xds.messaging.verdicts import VERDICTS, MessageFinding

_ABANDONED: Final = 3_600_000
"""Milliseconds after which the pieces of a message without a record are taken for abandoned."""
_ACCEPTED: Final[Collection[MessageState]] = ("filed", "indexed", "held", "partial")
_WAITING: Final[Collection[MessageState]] = ("refused", "failed")
_M: Final = message.c
_REPLAYED: Final = select(_M.id).where(_M.accepted_as == bindparam("accepted_as"))
_OF_ID: Final = select(message).where(_M.id == bindparam("id"))
_SAME_ID: Final = (
    select(_M.pk)
    .where(_M.same_id == bindparam("same_id"), _M.digest != bindparam("digest"))
    .limit(1)
)
_REFUSED_BEFORE: Final = (
    select(_M.id)
    .where(
        _M.same_id == bindparam("same_id"),
        _M.digest == bindparam("digest"),
        one_of.fixed(_M.state, _WAITING),
    )
    .limit(1)
)
_NEW: Final = {
    name: make(message)
    .values({one.name: bindparam(one.name) for one in _M if one.name != "pk"})
    .on_conflict_do_nothing()
    .returning(_M.pk)
    for name, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_CORRECTED: Final = (
    update(message).where(one_of.fixed(_M.state, _WAITING)).values(state="corrected")
)
_SETTLE_SAME: Final = _CORRECTED.where(
    _M.same_id == bindparam("of_same_id"), _M.digest == bindparam("of_digest")
).returning(_M.pk)
_SETTLE_ONE: Final = _CORRECTED.where(_M.id == bindparam("of_id")).returning(_M.pk)


class AlreadyAccepted(TransactionFailure):
    """The same message was accepted while this one was on its way."""

    def __init__(self) -> None:
        super().__init__([XDSRegistryBusy("the same message is being filed")])


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKeys:
    """By what a message is known when it comes again."""

    same_id: str
    accepted_as: str

    @classmethod
    def of(cls, incoming: IncomingMessage) -> "MessageKeys":
        """Return the keys of a message (HL7 v2 2.9.2; facts of duplicates)."""
        said = incoming.envelope
        parts = [incoming.feed, incoming.media]
        if said is not None and said.control_id:
            parts += [said.sending_application, said.sending_facility]
            parts += [said.code, said.trigger, said.control_id]
        else:
            parts.append(incoming.digest)
        same_id = sha256("\x1f".join(parts).encode()).hexdigest()
        return cls(
            same_id=same_id,
            accepted_as=sha256(f"{same_id}{incoming.digest}".encode()).hexdigest(),
        )


def replayed(connection: Connection, keys: MessageKeys) -> FilingOutcome | None:
    """Return what became of the same message when it was accepted before."""
    found = fetch(connection, _REPLAYED, {"accepted_as": keys.accepted_as})
    return outcome(_row_of(connection, found[0][0]), is_replay=True) if found else None


def settled(connection: Connection, record_id: str) -> FilingOutcome | None:
    """Return what became of a message that was held, where it is held no longer."""
    row = _row_of(connection, record_id)
    return None if row.state == "held" else outcome(row, is_replay=True)


def _row_of(connection: Connection, record_id: str) -> Row[Any]:
    return connection.execute(_OF_ID, {"id": record_id}).one()


def has_same_id(connection: Connection, keys: MessageKeys, digest: str) -> bool:
    """Tell whether the control id of a message was that of another one."""
    bound = {"same_id": keys.same_id, "digest": digest}
    return bool(fetch(connection, _SAME_ID, bound))


def refused_before(connection: Connection, keys: MessageKeys, digest: str) -> str | None:
    """Return the id of the record of the same message, where it waits to be corrected."""
    found: str | None = connection.scalar(
        _REFUSED_BEFORE, {"same_id": keys.same_id, "digest": digest}
    )
    return found


def outcome(row: Row[Any], *, is_replay: bool = False) -> FilingOutcome:
    """Return what a row says became of its message."""
    return FilingOutcome(
        state=row.state,
        findings=[_finding(one) for one in json.loads(row.findings)],
        is_replay=is_replay,
        record_id=row.id,
        documents=[FiledDocument(**one) for one in json.loads(row.documents)],
        submission_set=row.submission_set,
        decisions=json.loads(row.decisions),
    )


def _finding(said: Mapping[str, Any]) -> MessageFinding:
    return MessageFinding(
        verdict=VERDICTS[said["verdict"]],
        location=said["location"],
        reason=said["reason"],
        is_warning=said["warning"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record about to be written."""

    incoming: IncomingMessage
    outcome: FilingOutcome
    keys: MessageKeys
    patient_id: str = ""
    numbers: Collection[str] = ()
    in_place_of: str | None = None
    """The id of the record of the message that this one corrects."""


def write(database: Database, connection: Connection, new: NewRecord, kept: KeptMessage) -> None:
    """Write a record; AlreadyAccepted where the same message was accepted meanwhile."""
    is_accepted = new.outcome.state in _ACCEPTED
    row = _row(new, database.milliseconds(connection))
    row["accepted_as"] = new.keys.accepted_as if is_accepted else None
    keys = fetch(connection, _NEW[connection.dialect.name], row)
    if not keys:
        raise AlreadyAccepted
    kept.write(connection, row["id"], row["received"])
    _write_numbers(connection, keys[0][0], new)
    if is_accepted:
        settle(connection, new)


def _write_numbers(connection: Connection, key: int, new: NewRecord) -> None:
    numbers = [{"number": one, "message": key} for one in sorted(set(new.numbers))]
    insert_rows(connection, message_number, numbers)


def settle(connection: Connection, new: NewRecord) -> None:
    """Have what was refused of the same message, or is corrected by it, wait no longer."""
    if new.in_place_of:
        fetch(connection, _SETTLE_ONE, {"of_id": new.in_place_of})
        return
    same = {"of_same_id": new.keys.same_id, "of_digest": new.incoming.digest}
    fetch(connection, _SETTLE_SAME, same)


def write_again(database: Database, connection: Connection, of: str, new: NewRecord) -> None:
    """Bring the record of a message up to date that was refused before, or was held."""
    row = _row(new, database.milliseconds(connection))
    kept = {"id", "received", "in_place_of", "door", "feed", "caller"}
    values = {name: value for name, value in row.items() if name not in kept}
    values["accepted_as"] = new.keys.accepted_as if new.outcome.state in _ACCEPTED else None
    waiting = _M.state.in_((*_WAITING, "held"))
    if not connection.execute(update(message).where(_M.id == of, waiting).values(values)).rowcount:
        raise AlreadyAccepted
    key = connection.scalar(select(_M.pk).where(_M.id == of))
    connection.execute(delete(message_number).where(message_number.c.message == key))
    assert key is not None
    _write_numbers(connection, key, new)


def _row(new: NewRecord, now: int) -> dict[str, Any]:
    incoming, found, said = new.incoming, new.outcome, new.incoming.envelope
    patient = incoming.content.patient if incoming.content else None
    receiver = f"{said.receiving_application}|{said.receiving_facility}" if said else ""
    return {
        "id": found.record_id,
        "received": now,
        "door": incoming.door,
        "feed": incoming.feed,
        "media": incoming.media,
        "code": said.code if said else "",
        "trigger_event": said.trigger if said else "",
        "version": said.version if said else "",
        "control_id": said.control_id if said else "",
        "sender": said.sender if said else "",
        "receiver": receiver,
        "sent": said.sent if said else "",
        "caller": incoming.caller.node.certificate_subject or incoming.caller.node.address,
        "flavour": incoming.flavour.name,
        "digest": incoming.digest,
        "size": incoming.size,
        "same_id": new.keys.same_id,
        "state": found.state,
        "verdict": next((one.verdict.name for one in found.refusals), ""),
        "findings": json.dumps([_said(one) for one in found.findings], ensure_ascii=False),
        "decisions": json.dumps(list(found.decisions), ensure_ascii=False),
        "patient_id": new.patient_id,
        "practice": patient.practice if patient else "",
        "documents": json.dumps([_document(one) for one in found.documents]),
        "submission_set": found.submission_set,
        "in_place_of": new.in_place_of,
    }


def _said(finding: MessageFinding) -> dict[str, object]:
    return {
        "verdict": finding.verdict.name,
        "location": finding.location,
        "reason": finding.reason,
        "warning": finding.is_warning,
    }


def _document(made: FiledDocument) -> dict[str, str]:
    return {
        "entry_uuid": made.entry_uuid,
        "unique_id": made.unique_id,
        "change": made.change,
    }


def purge(database: Database, before: int) -> int:
    """Remove what is kept of messages that came before a time, and abandoned pieces.

    Of a message that waits to be corrected, or for its patient, nothing is removed. Records stay
    of which only the message itself is gone. Returns of how many messages that was.
    """
    with database.write() as connection:
        now = database.milliseconds(connection)
        old = (
            select(_M.id)
            .where(
                _M.received < before,
                _M.state.not_in((*_WAITING, "held")),
                exists().where(message_part.c.message == _M.id),
            )
            .limit(1_000)
        )
        ids = list(connection.scalars(old))
        for one in ids:
            connection.execute(delete(message_part).where(message_part.c.message == one))
        abandoned = delete(message_part).where(
            message_part.c.written < now - _ABANDONED,
            ~exists().where(_M.id == message_part.c.message),
        )
        connection.execute(abandoned)
    return len(ids)


@dataclass(frozen=True, slots=True)
class WaitingRecords:
    """How many messages wait in one state."""

    count: int = 0
    oldest: int = 0
    """When the first of them came, milliseconds since 1970; 0 where none waits."""


def waiting(connection: Connection) -> Mapping[str, WaitingRecords]:
    """Return which messages wait, by their state: refused, failed, held or partial."""
    states = (*_WAITING, "held", "partial")
    # of the columns of one index, for there may be very many
    firsts = connection.execute(
        select(_M.state, func.count().label("number"), func.min(_M.pk).label("first"))
        .where(_M.state.in_(states))
        .group_by(_M.state)
    ).all()
    keys = [row.first for row in firsts]
    came = dict(connection.execute(select(_M.pk, _M.received).where(_M.pk.in_(keys))).all())
    found = {row.state: WaitingRecords(row.number, came[row.first]) for row in firsts}
    return {one: found.get(one, WaitingRecords()) for one in states}
