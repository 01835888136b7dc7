"""Messages that came in: raw beside parsed beside what became of them; corrected and sent again."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, get_args
from urllib.parse import urlencode

from xds.accounts.roles import ConsoleRole
from xds.audit import trail
from xds.console.rendering import visible
from xds.console.views import shown
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
from xds.hl7v2.acknowledgement import acknowledgements
from xds.hl7v2.described import DescribedSegment, described_segments
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.messaging import operations, raw_messages
from xds.messaging.doors.judging import habits_of, judgement_of
from xds.messaging.incoming import FilingOutcome, MessageState
from xds.messaging.operations import (
    MessageNotKept,
    MessageOperations,
    MessageSelection,
    RecordedMessage,
    WaitingGroup,
)
from xds.messaging.v2.reading import envelope_of

READERS: Final = frozenset({ConsoleRole.INTEGRATION})
STATES: Final[Sequence[MessageState]] = get_args(MessageState)
FILTERS: Final = ("state", "sender", "verdict", "since", "until")
_SHOWN: Final = 50
_MOST_BYTES: Final = 64 << 20
_MOST_RAW: Final = 256 << 10
"""Bytes of a message that are shown; the rest is had by the command."""
_MOST_SEGMENTS: Final = 500
_AT_ONCE: Final = 100
"""Messages that one action sends again."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d)?", re.ASCII)
_OPEN: Final = ("refused", "failed")


@dataclass(frozen=True, slots=True)
class MessageContentView:
    """A message itself, as far as it is kept and can be read."""

    raw: str = ""
    is_cut: bool = False
    """Whether there is more than what is shown."""
    is_kept: bool = True
    segments: Sequence[DescribedSegment] = ()
    acknowledgement: Sequence[str] = ()
    """The lines of what its sender is told of what was found."""


# --- lists ---------------------------------------------------------------------------------------


def show_list(visit: Visit) -> Answer:
    """List messages, the latest first."""
    given = visit.given
    before = int(given["before"]) if re.fullmatch("[0-9]{1,18}", given["before"]) else 0
    selection = MessageSelection(
        states=[one for one in STATES if one == given["state"]],
        sender=given["sender"],
        verdict=given["verdict"],
        since=_milliseconds(given["since"]),
        until=_milliseconds(given["until"]),
        before=before,
    )
    with visit.domain.database.read() as connection:
        found = operations.page(connection, selection, _SHOWN)
    chosen = {name: given[name] for name in FILTERS if given[name]}
    older = {**chosen, "before": str(found.before)} if found.before else {}
    return PageContent(
        {
            "messages": found.messages,
            "is_full": found.is_full,
            "looked_at": operations.LOOKED_AT,
            "chosen": {name: given[name] for name in FILTERS},
            "states": STATES,
            "older": f"?{urlencode(older)}" if older else "",
            "newest": f"?{urlencode(chosen)}" if before else "",
        }
    )


def _milliseconds(text: str) -> int:
    """Return a time of a form (UTC) in milliseconds since 1970; 0 for none."""
    if not _TIME.fullmatch(text):
        return 0
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0


def show_dead_letters(visit: Visit) -> Answer:
    """Show what waits to be corrected or tried again, by reason and sender."""
    with visit.domain.database.read() as connection:
        groups = operations.waiting_groups(connection)
    return PageContent({"groups": groups, "most": operations.MOST_GROUPED})


# --- one message ---------------------------------------------------------------------------------


def show(visit: Visit) -> Answer:
    """Show a message: it is a patient's, so that this is recorded."""
    found = _found(visit)
    _record(visit, "See a message", found)
    return _shown(visit, found)


def _shown(visit: Visit, found: RecordedMessage, problem: str = "", text: str = "") -> PageContent:
    content = _content(visit, found)
    may_act = visit.console.messages is not None and found.media == "hl7v2" and content.is_kept
    # a form shows what nobody sees by other characters, and would send these
    is_exact = visible(content.raw) == content.raw and "\ufffd" not in content.raw
    can_correct = may_act and found.state in _OPEN and not content.is_cut and is_exact
    return PageContent(
        {
            "message": found,
            "content": content,
            "patient": shown.identifier(found.patient_id) if found.patient_id else None,
            "documents": [
                (one.change, one.entry_uuid.removeprefix("urn:uuid:"), one.unique_id)
                for one in found.outcome.documents
            ],
            "submission_set": found.outcome.submission_set.removeprefix("urn:uuid:"),
            "can_resend": may_act and found.state not in ("partial", "joined"),
            "can_correct": can_correct,
            "text": text or content.raw,
            "problem": problem,
        },
        status=400 if problem else 200,
        title=f"Error: Message {found.control_id}" if problem else f"Message {found.control_id}",
    )


def _found(visit: Visit) -> RecordedMessage:
    try:
        with visit.domain.database.read() as connection:
            return operations.one(connection, str(visit.path["id"]))
    except MessageNotKept:
        raise PageNotFound from None


def _record(visit: Visit, action: str, found: RecordedMessage) -> None:
    told = f"message {found.control_id} of {found.sender}"
    patient_id = found.patient_id or None
    visit.record(trail.of_action(visit.caller, action, found.id, shown.plain(told), patient_id))


def _content(visit: Visit, found: RecordedMessage) -> MessageContentView:
    with SpooledMessage(_MOST_BYTES) as source:
        for block in raw_messages.raw(visit.domain.repository, found.id, omits_removed=True):
            source.write(block)
        source.finish()
        if not source.size:
            return MessageContentView(is_kept=False)
        raw, is_cut = _beginning(source)
        if found.media != "hl7v2":
            return MessageContentView(_indented(raw), is_cut)
        try:
            message = Message.read(source)
        except Unreadable:
            return MessageContentView(_lines(raw, "utf-8"), is_cut)
        segments = _segments(message)
        told = list(_acknowledged(visit, found, message))
        return MessageContentView(
            _lines(raw, message.encoding.charset), is_cut, True, segments, told
        )


def readable(
    source: SpooledMessage, *, is_v2: bool
) -> tuple[str, bool, Sequence[DescribedSegment]]:
    """Return the text of a message, whether that is its beginning alone, and its segments."""
    raw, is_cut = _beginning(source)
    if not is_v2:
        return _indented(raw), is_cut, ()
    message = Message.read(source)
    return _lines(raw, message.encoding.charset), is_cut, _segments(message)


def _segments(message: Message) -> Sequence[DescribedSegment]:
    return list(islice(described_segments(message), _MOST_SEGMENTS))


def _beginning(source: SpooledMessage) -> tuple[bytes, bool]:
    data = b""
    for block in source.blocks():
        data += block
        if len(data) > _MOST_RAW:
            return data[:_MOST_RAW], True
    return data, False


def _lines(raw: bytes, charset: str) -> str:
    return raw.decode(charset, "replace").replace("\r\n", "\n").replace("\r", "\n")


def _indented(raw: bytes) -> str:
    try:
        return json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


def _acknowledged(visit: Visit, found: RecordedMessage, message: Message) -> Iterator[str]:
    """Yield the lines of what the sender is told, made anew of what was found."""
    if visit.console.messages is None:
        return
    flavour = visit.console.messages.flavours.flavour_of(envelope_of(message))
    judgement = judgement_of(found.outcome.findings, flavour.reading)
    for due in acknowledgements(message, judgement, "SHOWN", habits_of(flavour)):
        yield from due.decode(message.encoding.charset, "replace").rstrip("\r").split("\r")


# --- actions -------------------------------------------------------------------------------------


def resend(visit: Visit) -> Answer:
    """File a message again as it came."""
    found, acting = _found(visit), _acting(visit)
    try:
        outcome = acting.resend(found, visit.caller)
    except MessageNotKept as error:
        return _shown(visit, found, f"It was not sent again: {error}.")
    return _after(visit, "Send a message again", found, outcome)


def correct(visit: Visit) -> Answer:
    """File other content in the place of a message that was refused."""
    found, acting = _found(visit), _acting(visit)
    text = visit.given["text"]
    if found.state not in _OPEN:
        return _shown(visit, found, f"The message is {found.state}: there is nothing to correct.")
    try:
        outcome = acting.correct(found, [bytes_of(text)], visit.caller)
    except (MessageNotKept, UnicodeEncodeError) as error:
        return _shown(visit, found, f"It was not taken: {error}.", text)
    return _after(visit, "Correct a message", found, outcome)


def bytes_of(text: str) -> bytes:
    """Return a message of a form: a segment on each line, in the charset that it names."""
    data = text.strip("\n").replace("\n", "\r").encode() + b"\r"
    charset = Message.read(data).encoding.charset if data.startswith(b"MSH") else "utf-8"
    return data.decode().encode(charset)


def _acting(visit: Visit) -> MessageOperations:
    if visit.console.messages is None:
        raise PageNotFound
    return visit.console.messages


def _after(visit: Visit, action: str, found: RecordedMessage, outcome: FilingOutcome) -> Answer:
    """Record what was done, and go to the record of the message as it is now."""
    _record(visit, action, found)
    if outcome.record_id:
        return SeeOther(f"/messages/{outcome.record_id}")
    reasons = "; ".join(f"{one.location}: {one.reason}" for one in outcome.refusals)
    return _shown(visit, found, f"It was {outcome.state}: {reasons}")


def resend_group(visit: Visit) -> Answer:
    """Send again what waits for one reason, where there are as many as the person has seen."""
    acting, given = _acting(visit), visit.given
    with visit.domain.database.read() as connection:
        groups = operations.waiting_groups(connection)
        group = next((one for one in groups if _names(one) == _named(given)), None)
        if group is None:
            raise PageNotFound
        if given["count"] != str(group.count):
            return PageContent({"group": group, "results": None, "at_once": _AT_ONCE})
        found = operations.find(connection, group.selection, _AT_ONCE)
    results = []
    for one in reversed(found):
        if one.sender != group.sender:
            continue
        try:
            outcome = acting.resend(one, visit.caller)
            reason = "; ".join(finding.reason for finding in outcome.refusals)
            results.append((replace(one, state=outcome.state), reason))
        except MessageNotKept as error:
            results.append((one, str(error)))
        _record(visit, "Send a message again", one)
    return PageContent({"group": group, "results": results, "at_once": _AT_ONCE})


def _names(group: WaitingGroup) -> tuple[str, str, str]:
    return group.state, group.verdict, group.sender


def _named(given: Any) -> tuple[str, str, str]:
    return given["state"], given["verdict"], given["sender"]
