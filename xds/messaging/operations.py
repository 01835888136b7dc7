"""What an operator can do about messages that came in: find, look, file again, correct, purge."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from xds import logs
from xds.database.index_order import keep_to_index_order
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.hl7v2.wide_text import WideText
from xds.messaging import raw_messages, records
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.incoming import Door, FilingOutcome, IncomingMessage, MessageState
from xds.messaging.raw_messages import MessageNotKept as MessageNotKept
from xds.messaging.tables import message, message_number
from xds.messaging.v2.reading import envelope_of, read, whole_of
from xds.messaging.verdicts import ContentRefused
from xds.registry.tables import searchable
from xds.security.caller import Caller
from xds.security.node import NOWHERE

if TYPE_CHECKING:
    from xds.messaging.filing import MessageFiler

_M: Final = message.c
_MOST_BYTES: Final = 1 << 31
_AT_ONCE: Final = 100
MOST_COUNTED: Final = 1_000
"""Messages that are looked at to say what came lately."""
LOOKED_AT: Final = 2_000
"""Messages of an index that one page looks at."""
MOST_GROUPED: Final = 10_000
"""Messages of one state that are looked at for groups."""
_NEIGHBOURS: Final = 100
"""Messages next to a time that are looked at for the first or the last key, for their keys are not
quite in the order of their times: some are written while others are."""
_FIRST, _LAST = 0, 2**63 - 1
_log = logs.get_logger(__name__)
_OPERATOR: Final = Caller(node=NOWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSelection:
    """Which messages are meant; what is empty is not asked for."""

    name: str = ""
    """The id of its record, or its control id."""
    patient: str = ""
    """An id with its domain (CX), or the number alone."""
    number: str = ""
    """Of a report or an order."""
    sender: str = ""
    """``application|facility``, or a part of it."""
    states: Sequence[MessageState] = ()
    since: int = 0
    """Milliseconds since 1970."""
    until: int = 0
    before: int = 0
    """The key of a record: those are meant that were made before it."""
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMessage:
    """A record, as it is listed."""

    key: int
    """They are numbered in their order."""
    id: str
    received: int
    door: str
    flavour: str
    what: str
    """``ORU^R01``."""
    control_id: str
    sender: str
    state: MessageState
    verdict: str
    size: int
    media: str
    feed: str
    patient_id: str
    in_place_of: str | None
    outcome: FilingOutcome


def find(
    connection: Connection, selection: MessageSelection, most: int = 1_000
) -> list[RecordedMessage]:
    """Return messages, the latest first."""
    query = select(message).where(*_conditions(selection)).order_by(_M.pk.desc()).limit(most)
    return [_recorded(row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some messages, the latest first."""

    messages: Sequence[RecordedMessage]
    before: int = 0
    """Before which key the next page goes on; 0 where this is the last."""
    is_full: bool = False
    """Whether it ends for its length, and not for the number of messages that were looked at."""


def page(
    connection: Connection,
    selection: MessageSelection,
    most: int,
    *,
    looked_at: int = LOOKED_AT,
) -> MessagePage:
    """Return the latest messages of some states, a sender, a verdict and a time.

    By an index it finds those of the states within the time; what else is asked for is held against
    a number of these, so no page reads a million messages for a sender that there is not.
    """
    keep_to_index_order(connection)
    span = _span(connection, selection)
    others = list(_conditions(replace(selection, states=(), before=0)))
    some = _latest(selection.states, span, looked_at if others else most + 1).subquery()
    within = message.join(some, some.c.pk == _M.pk)
    query = select(message).select_from(within).where(*others).order_by(_M.pk.desc())
    rows = connection.execute(query.limit(most + 1)).all()
    found = [_recorded(row) for row in rows[:most]]
    if len(rows) > most:
        return MessagePage(found, found[-1].key, is_full=True)
    if not others:
        return MessagePage(found)
    end = _latest(selection.states, span, looked_at).limit(1).offset(looked_at - 1)
    return MessagePage(found, connection.scalar(end) or 0)


def _span(connection: Connection, selection: MessageSelection) -> tuple[int, int]:
    """Return the keys between which the messages of a selection by time are, without these."""
    first, last = _FIRST, selection.before or _LAST
    if selection.since:
        since = select(_M.pk).where(_M.received >= selection.since).order_by(_M.received)
        keys = connection.scalars(since.limit(_NEIGHBOURS)).all()
        first = min(keys, default=_LAST) - 1
    if selection.until:
        until = select(_M.pk).where(_M.received < selection.until).order_by(_M.received.desc())
        keys = connection.scalars(until.limit(_NEIGHBOURS)).all()
        last = min(last, max(keys, default=_FIRST) + 1)
    return first, last


def _latest(states: Sequence[str], span: tuple[int, int], most: int) -> Select[Any]:
    """Select the keys of the latest messages, of some states if any are named."""
    first, last = span
    if not states:
        query = select(_M.pk).where(_M.pk > first, _M.pk < last)
        return query.order_by(_M.pk.desc()).limit(most)
    # compared as the index has them: by the state alone, a server might as well read all by key
    parts = [
        select(_M.state, _M.pk)
        .where(
            tuple_(_M.state, _M.pk) > tuple_(literal(state), literal(first, _M.pk.type)),
            tuple_(_M.state, _M.pk) < tuple_(literal(state), literal(last, _M.pk.type)),
        )
        .order_by(_M.state.desc(), _M.pk.desc())
        .limit(most)
        .subquery()
        for state in states
    ]
    every = union_all(*(select(one.c.pk) for one in parts)).subquery()
    return select(every.c.pk).order_by(every.c.pk.desc()).limit(most)


def _conditions(selection: MessageSelection) -> Iterator[ColumnElement[bool]]:
    if selection.name:
        yield or_(_M.id == selection.name, _M.control_id == selection.name)
    if selection.patient:
        wanted = searchable(selection.patient)
        is_whole = "^^^" in wanted
        yield _M.patient_id == wanted if is_whole else _M.patient_id.startswith(f"{wanted}^^^")
    if selection.number:
        found = select(message_number.c.message).where(message_number.c.number == selection.number)
        yield _M.pk.in_(found)
    if selection.sender:
        yield _M.sender.contains(selection.sender, autoescape=True)
    if selection.states:
        yield _M.state.in_(selection.states)
    if selection.since:
        yield _M.received >= selection.since
    if selection.until:
        yield _M.received < selection.until
    if selection.before:
        yield _M.pk < selection.before
    if selection.verdict:
        yield _M.verdict == selection.verdict


def _recorded(row: Row[Any]) -> RecordedMessage:
    return RecordedMessage(
        key=row.pk,
        id=row.id,
        received=row.received,
        door=row.door,
        flavour=row.flavour,
        what="^".join(filter(None, (row.code, row.trigger_event))),
        control_id=row.control_id,
        sender=row.sender,
        state=row.state,
        verdict=row.verdict,
        size=row.size,
        media=row.media,
        feed=row.feed,
        patient_id=row.patient_id,
        in_place_of=row.in_place_of,
        outcome=records.outcome(row),
    )


@dataclass(frozen=True, slots=True)
class WaitingGroup:
    """Messages that wait for somebody for one reason, of one sender."""

    state: MessageState
    verdict: str
    sender: str
    count: int
    oldest: int
    """Milliseconds since 1970."""

    @property
    def selection(self) -> MessageSelection:
        """What chooses these messages, and others of senders that have the name in theirs."""
        return MessageSelection(states=(self.state,), verdict=self.verdict, sender=self.sender)


@dataclass(frozen=True, slots=True)
class DoorActivity:
    """What came in by one way lately. Of the last :data:`MOST_COUNTED` messages alone."""

    door: str
    feed: str
    """The connection that messages come by, where it has a name."""
    last: int
    """When the last one came, in milliseconds since 1970."""
    number: int
    """How many came since a time."""
    refused: int
    """How many of those were refused, or failed."""
    refused_last: str = ""
    """The id of the last that was, of those that are looked at; empty for none."""
    verdict: str = ""
    """Why that one was."""


def activity(connection: Connection, since: int) -> list[DoorActivity]:
    """Return what came in by which way since a time (milliseconds since 1970), the latest first."""
    query = select(_M.door, _M.feed, _M.received, _M.state, _M.id, _M.verdict).order_by(
        _M.pk.desc()
    )
    found: dict[tuple[str, str], DoorActivity] = {}
    for row in connection.execute(query.limit(MOST_COUNTED)):
        key = (row.door, row.feed)
        one = found.setdefault(key, DoorActivity(row.door, row.feed, row.received, 0, 0))
        is_refused = row.state in ("refused", "failed")
        if is_refused and not one.refused_last:
            one = replace(one, refused_last=row.id, verdict=row.verdict or "")
        if row.received >= since:
            one = replace(one, number=one.number + 1, refused=one.refused + is_refused)
        found[key] = one
    return list(found.values())


def waiting_groups(connection: Connection, most: int = 1_000) -> list[WaitingGroup]:
    """Return which messages wait to be corrected or tried again, the largest groups first.

    Of the latest :data:`MOST_GROUPED` of each state alone.
    """
    keep_to_index_order(connection)
    everything = (_FIRST, _LAST)
    parts = [_latest((state,), everything, MOST_GROUPED) for state in ("refused", "failed")]
    some = union_all(*(select(one.subquery()) for one in parts)).subquery()
    count = func.count()
    query = (
        select(_M.state, _M.verdict, _M.sender, count, func.min(_M.received))
        .select_from(message.join(some, some.c.pk == _M.pk))
        .group_by(_M.state, _M.verdict, _M.sender)
        .order_by(count.desc())
        .limit(most)
    )
    return [WaitingGroup(*row) for row in connection.execute(query)]


def one(connection: Connection, name: str) -> RecordedMessage:
    """Return the record of an id, or the last of a control id; MessageNotKept."""
    found = find(connection, MessageSelection(name=name), 1)
    if not found:
        raise MessageNotKept(f"there is no message {name}")
    return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOperations:
    """Files messages of the record again."""

    filer: "MessageFiler"
    flavours: FlavourTable

    def resend(self, found: RecordedMessage, caller: Caller = _OPERATOR) -> FilingOutcome:
        """File a message as it came; MessageNotKept where that is no longer there.

        ``caller`` is who has it done, which the policy permits and the record names.
        """
        if found.state in ("partial", "joined"):
            raise MessageNotKept("it is a part of a message, and is filed with the last part")
        return self._file(found, self._raw(found), "command", caller)

    def correct(
        self, found: RecordedMessage, blocks: Iterable[bytes], caller: Caller = _OPERATOR
    ) -> FilingOutcome:
        """File other content in the place of a message that was refused; both are kept."""
        return self._file(found, blocks, "command", caller, in_place_of=found.id)

    def release(self, before: int = 0) -> tuple[int, int]:
        """File held messages whose patients have become known, of a number of records at a time.

        Returns how many are held no longer, and before which key to go on; 0: from the latest.
        """
        with self.filer.domain.database.read() as connection:
            held = find(connection, MessageSelection(states=("held",), before=before), _AT_ONCE)
        filed = 0
        for found in reversed(held):
            try:
                outcome = self._file(found, self._raw(found), _door(found), held=found.id)
            except MessageNotKept as error:  # it stands in nobody's way
                _log.warning("a held message cannot be filed", record=found.id, exc_info=error)
                continue
            filed += outcome.state != "held"
        return filed, held[-1].key if len(held) == _AT_ONCE else 0

    def _raw(self, found: RecordedMessage) -> Iterator[bytes]:
        if found.media != "hl7v2":
            raise MessageNotKept("a FHIR message is sent again by its sender")
        blocks = raw_messages.raw(self.filer.domain.repository, found.id)
        first = next(blocks, None)
        if first is None:
            raise MessageNotKept("the message itself is no longer kept")
        return _all_of(first, blocks)

    def _file(
        self,
        found: RecordedMessage,
        blocks: Iterable[bytes],
        door: Door,
        caller: Caller = _OPERATOR,
        *,
        in_place_of: str | None = None,
        held: str | None = None,
    ) -> FilingOutcome:
        with SpooledMessage(_MOST_BYTES) as source:
            text = WideText(source)
            for block in blocks:
                text.write(block)
            text.finish()
            try:
                again = Message.read(source)
            except Unreadable as error:
                raise MessageNotKept(error.reason) from None
            envelope = envelope_of(again)
            incoming = IncomingMessage(
                door=door,
                caller=caller,
                media="hl7v2",
                digest=again.digest,
                size=again.size,
                raw=again.blocks,
                envelope=envelope,
                flavour=self.flavours.flavour_of(envelope),
                content=None,
                feed=found.feed,
                is_new=False,
            )
            try:
                with whole_of(again) as whole:
                    content = read(whole, self.flavours)
                    return self.filer.file(
                        replace(incoming, content=content), in_place_of=in_place_of, held=held
                    )
            except ContentRefused as refusal:
                return self.filer.refuse(incoming, refusal.findings, held=held)


def _all_of(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _door(found: RecordedMessage) -> Literal["mllp", "http", "fhir", "folder", "command"]:
    doors: dict[str, Door] = {"mllp": "mllp", "http": "http", "folder": "folder"}
    return doors.get(found.door, "command")
