"""One message to a destination: what became of it, what it says, and what can be sent instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.audit import trail
from xds.console.rendering import visible
from xds.console.views import shown
from xds.console.views.incoming import messages
from xds.console.views.outgoing.destinations import because, known, reason_of
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
from xds.hl7v2.described import DescribedSegment
from xds.hl7v2.message import Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.messaging.outbound import operations, records
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.documents import NotToBeSent
from xds.messaging.outbound.operations import OutboundSelection
from xds.messaging.outbound.records import OutboundMessage, OutboundState
from xds.metadata.catalogue import ITI_68
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry
from xds.outgoing.delivery import NotDelivered, Undeliverable
from xds.security.errors import AccessDenied

EDITORS: Final = frozenset({ConsoleRole.INTEGRATION})
"""Who sees what messages say, which is of patients."""
_READERS: Final = (ConsoleRole.VIEWER, ConsoleRole.CLINICIAN, ConsoleRole.INTEGRATION)
"""Whom a document's page is for."""
_NOT_DONE: Final = (
    OutboundState.WAITING,
    OutboundState.HELD,
    OutboundState.FAILED,
    OutboundState.DEAD,
)
_MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class OutboundContentView:
    """What a message says as it would go out now."""

    raw: str = ""
    is_cut: bool = False
    segments: Sequence[DescribedSegment] = ()
    why_not: str = ""
    """Why it would not be sent now."""
    can_correct: bool = False


def show(visit: Visit) -> Answer:
    """Show one message; who sees what it says is recorded."""
    return _shown(visit, _found(visit))


def _found(visit: Visit) -> OutboundMessage:
    with visit.domain.database.read() as connection:
        found = records.read(connection, visit.path["id"])
    if found is None or found.destination != visit.path["name"]:
        raise PageNotFound
    return found


def _shown(visit: Visit, found: OutboundMessage, problem: str = "", text: str = "") -> PageContent:
    content = _content(visit, found) if visit.has(*EDITORS) else None
    is_known = found.destination in known(visit)
    title = f"Message {found.id}"
    return PageContent(
        {
            "message": found,
            "content": content,
            "document": found.entry_uuid.removeprefix("urn:uuid:"),
            "opens_document": visit.has(*_READERS),
            "can_resend": is_known,
            "can_retry": is_known and found.state is OutboundState.DEAD,
            "can_discard": found.state in _NOT_DONE,
            "text": text or (content.raw if content else ""),
            "problem": problem,
        },
        status=400 if problem else 200,
        title=f"Error: {title}" if problem else title,
    )


def _content(visit: Visit, found: OutboundMessage) -> OutboundContentView:
    sender = visit.console.sender
    if sender is None:
        return OutboundContentView(why_not="the options name no destinations")
    try:
        written = sender.written(found)
        if written.entry is not None and not _may_see(visit, written.entry):
            return OutboundContentView(why_not="its document is not for you")
        patient_id = written.entry.patient_id if written.entry else None
        _record(visit, "See a message to a destination", found, patient_id=patient_id)
        with SpooledMessage(_MOST_BYTES) as source:
            for block in written.blocks:
                source.write(block)
            source.finish()
            is_v2 = written.destination.form.message != "FHIR"
            raw, is_cut, segments = messages.readable(source, is_v2=is_v2)
    except NotToBeSent:
        return OutboundContentView(why_not="a newer message of the document says it all")
    except (Undeliverable, NotDelivered) as error:
        return OutboundContentView(why_not=str(error))
    # a form shows what nobody sees by other characters, and would send these
    is_exact = visible(raw) == raw and "\ufffd" not in raw and not is_cut
    can_correct = is_v2 and is_exact and found.state in _NOT_DONE
    return OutboundContentView(raw, is_cut, segments, can_correct=can_correct)


def _may_see(visit: Visit, entry: DocumentEntry) -> bool:
    """Tell whether the policy lets the person retrieve a document."""
    wanted = equal("entry_uuid", [entry.entry_uuid])
    try:
        visible_to = visit.would_see(ITI_68.name, is_emergency=False)
    except AccessDenied:
        return False
    with visit.domain.registry.view(visible_to) as view:
        return bool(view.count(DocumentEntry, [wanted]))


def _record(
    visit: Visit,
    action: str,
    found: OutboundMessage,
    why: str = "",
    patient_id: str | None = None,
) -> None:
    told = f"message {found.id} to {found.destination}"
    target = f"{found.destination} {found.id}"
    said = f"{told}: {why}" if why else told
    visit.record(trail.of_action(visit.caller, action, target, shown.plain(said), patient_id))


# --- actions -------------------------------------------------------------------------------------


def retry(visit: Visit) -> Answer:
    """Send it again under its control id, where it was given up."""
    found, to = _found(visit), _to(visit)
    if not operations.retry(visit.domain.database, to, found.id):
        return _shown(visit, found, f"The message is {found.state}: it was not given up.")
    _record(visit, "Retry a message", found)
    return _see(found.destination, found.id)


def resend(visit: Visit) -> Answer:
    """Send what it tells in a new message."""
    found, to = _found(visit), _to(visit)
    again = operations.resend(visit.domain.database, to, found)
    _record(visit, "Send a message to a destination again", found, f"as {again}")
    return _see(found.destination, again)


def discard(visit: Visit) -> Answer:
    """Give it up for good, for a reason."""
    found, reason = _found(visit), reason_of(visit)
    if not reason:
        return _shown(visit, found, "Why? The reason is kept with the message.")
    chosen = OutboundSelection(destination=found.destination, id=found.id)
    if not operations.discard(visit.domain.database, chosen, because(visit, reason)):
        return _shown(visit, found, f"The message is {found.state}: there is nothing to discard.")
    _record(visit, "Discard a message", found, reason)
    return _see(found.destination, found.id)


def correct(visit: Visit) -> Answer:
    """Send what somebody has written in its place; both are kept."""
    found, to = _found(visit), _to(visit)
    text, reason = visit.given["text"], reason_of(visit)
    if found.state not in _NOT_DONE:
        return _shown(visit, found, f"The message is {found.state}: there is nothing to correct.")
    if to.form.message == "FHIR":
        return _shown(visit, found, "A FHIR message is made of its document: update that.")
    if not reason:
        return _shown(visit, found, "Why? The reason is kept with the message.", text)
    try:
        with SpooledMessage(_MOST_BYTES) as source:
            source.write(messages.bytes_of(text))
            source.finish()
            again = operations.correct(
                visit.domain.database, to, found, source, because(visit, reason)
            )
    except (Unreadable, UnicodeEncodeError) as error:
        return _shown(visit, found, f"It was not taken: {error}.", text)
    _record(visit, "Correct a message to a destination", found, f"as {again}: {reason}")
    return _see(found.destination, again)


def _to(visit: Visit) -> Destination:
    found = known(visit).get(visit.path["name"])
    if found is None:
        raise PageNotFound
    return found


def _see(destination: str, message_id: str) -> SeeOther:
    return SeeOther(f"/destinations/{destination}/messages/{message_id}")
