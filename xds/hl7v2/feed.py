"""The patient feed: a message is handled and judged (ITI TF-2 3.8, 3.64; TF-2x C.2).

What the registry refuses is an error (AE); a message that is not one of EVENTS, or that cannot be
handled now, is a rejection (AR).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from xds import logs
from xds.errors import FailureKind, kind_of
from xds.feeds.paused import FeedPaused
from xds.hl7v2 import iti8_patient_identity_feed, iti64_notify_xad_pid_link_change
from xds.hl7v2.acknowledgement import (
    ACCEPTED,
    ERROR,
    REJECTED,
    Judgement,
)
from xds.hl7v2.continuation import place_of
from xds.hl7v2.encoding import CHARSETS_TOLD
from xds.hl7v2.event import EventHandler, Feed, require_size
from xds.hl7v2.message import Message
from xds.hl7v2.problems import MessageRefused, Problem
from xds.registry.identities import IdentityFinding, IdentityRefused, Role
from xds.security.access import Access, MessageHeader
from xds.security.caller import Caller
from xds.security.errors import AccessDenied

EVENTS: Final[Mapping[tuple[str, str], EventHandler]] = {
    (row.code, row.trigger): row
    for row in (*iti8_patient_identity_feed.EVENTS, *iti64_notify_xad_pid_link_change.EVENTS)
}
"""The messages that are answered, by the components 1 and 2 of MSH-9."""
_CODES: Final = frozenset(code for code, _ in EVENTS)

_LOCATIONS: Final[Mapping[Role, str]] = {
    Role.ADDED: "PID^1^3",
    Role.SURVIVING: "PID^1^3",
    Role.SUBSUMED: "MRG^1^1",
    Role.NEW: "PID^1^3^1",
    Role.PREVIOUS: "MRG^1^1^1",
}
NOT_AVAILABLE: Final = Problem("207", "MSH^1", "the registry is not available at the moment")
_OTHER: Final = "other"
"""Stands in the metrics for events that are none of EVENTS: what a sender writes is no label."""
_MOST_LOGGED: Final = 40

_log = logs.get_logger(__name__)


def judge(
    feed: Feed, message: Message, caller: Caller, refusal: Problem | None = None
) -> Judgement:
    """Handle a message of a caller, whatever it is, and return what became of it.

    ``refusal`` is why the caller may not send it.
    """
    event = EVENTS.get((message.message_code, message.trigger_event))
    code, problems = _outcome(feed, message, event, caller, refusal)
    if event is None:  # else the line of the transaction tells it
        _log.warning(
            "a message of the patient feed was refused",
            acknowledgement=code,
            errors=[f"{one.code} at {one.location}" for one in problems],
            control_id=_control_id(message),
        )
    _count(feed, event, code)
    return Judgement.of(code, problems)


def count_unreadable(feed: Feed) -> None:
    """Count a message that has no header."""
    _count(feed, None, REJECTED)


def _count(feed: Feed, event: EventHandler | None, acknowledgement_code: str) -> None:
    if feed.count is not None:
        feed.count(event.trigger if event else _OTHER, acknowledgement_code)


def _outcome(
    feed: Feed,
    message: Message,
    event: EventHandler | None,
    caller: Caller,
    refusal: Problem | None,
) -> tuple[str, Sequence[Problem]]:
    problem = _not_ours(message) or refusal
    if problem and event is None:
        return REJECTED, [problem]  # of no transaction
    if message.source.error:
        return REJECTED, [NOT_AVAILABLE]
    assert event is not None
    access = Access(transaction=event.transaction, caller=caller, message=_header(message))
    try:
        if problem:
            feed.interceptors.unreadable(access, MessageRefused(problem))
            return REJECTED, [problem]
        access.describe = partial(event.describe, feed, message)
        with feed.interceptors.passing(access):
            require_size(message, event)
            event.handler(feed, message, access)
    except MessageRefused as refusal:
        return ERROR, refusal.problems
    except IdentityRefused as refusal:
        return ERROR, [_problem(finding) for finding in refusal.findings]
    except AccessDenied as denied:
        return ERROR, [Problem("207", "MSH^1", str(denied))]
    except FeedPaused as paused:
        return REJECTED, [Problem("207", "MSH^1", str(paused))]
    except Exception as error:
        unavailable = kind_of(error) is FailureKind.UNAVAILABLE
        event_ = "not available" if unavailable else "a message of the patient feed failed"
        _log.error(event_, exc_info=error, control_id=_control_id(message))
        if unavailable:
            return REJECTED, [NOT_AVAILABLE]
        return REJECTED, [Problem("207", "MSH^1", "an error in the server, which its log tells of")]
    return ACCEPTED, []


def _header(message: Message) -> MessageHeader:
    return MessageHeader(message.header.raw(10), _end(message, 4, 3), _end(message, 6, 5))


def _end(message: Message, facility: int, application: int) -> str:
    """Return what one end is called, as an audit record has it (ITI TF-2 3.8.5.1)."""
    both = message.header.raw(facility), message.header.raw(application)
    return "|".join(both) if any(both) else ""


def _not_ours(message: Message) -> Problem | None:
    """Return why the header is not one of a message that is answered here (ITI TF-2x C.2.3)."""
    if not message.header.raw(10):
        return Problem("101", "MSH^1^10")
    if not message.is_charset_known:
        return Problem("103", "MSH^1^18", f"the character set is none of {CHARSETS_TOLD}")
    if not message.version.startswith("2."):
        return Problem("203", "MSH^1^12")
    if message.message_code not in _CODES:
        return Problem("200", "MSH^1^9^1^1")
    if (message.message_code, message.trigger_event) not in EVENTS:
        return Problem("201", "MSH^1^9^1^2")
    if (place := place_of(message)).is_part:
        return Problem("100", place.location, "a message of the patient feed comes as a whole")
    return None


def _problem(finding: IdentityFinding) -> Problem:
    return Problem(finding.fault.code, _LOCATIONS[finding.role], str(finding))


def _control_id(message: Message) -> str:
    """Return what names a message in the log: it is no patient's."""
    return message.header.raw(10)[:_MOST_LOGGED]
