"""ITI-8 Patient Identity Feed (ITI TF-2 3.8): ADT A01, A04, A05, A08 and A40."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from xds.hl7v2.event import ADT_BYTES, EventHandler, Feed, Handler, require_segment
from xds.hl7v2.message import Message
from xds.hl7v2.problems import MessageRefused, Problem
from xds.metadata.catalogue import ITI_8
from xds.security.access import Access
from xds.security.details import FeedDetails


def add(feed: Feed, message: Message, access: Access) -> None:
    """Make the patient's ids known; those of other domains are ignored (ITI TF-2 3.8.4.1.3)."""
    feed.identities.add(*_noted(feed, message, access), in_commit=access.commit)


def _noted(feed: Feed, message: Message, access: Access) -> list[str]:
    require_segment(message, "PID")
    patient_ids = feed.patient_ids(message, "PID", 3)
    access.details = FeedDetails.of(patient_ids)
    return patient_ids


def update(feed: Feed, message: Message, access: Access) -> None:
    """Change nothing: a registry keeps ids, and an A08 changes everything but them."""
    access.details = FeedDetails(action="U")
    if message.count("PID") == 1:
        with suppress(MessageRefused):
            access.details = FeedDetails.of(feed.patient_ids(message, "PID", 3), "U")


def merge(feed: Feed, message: Message, access: Access) -> None:
    """Merge the patient of MRG-1 into the one of PID-3 (ITI TF-2 3.8.4.2.3)."""
    old, new = _noted_merge(feed, message, access)
    feed.identities.merge(subsumed=old, surviving=new, in_commit=access.commit)


def _noted_merge(feed: Feed, message: Message, access: Access) -> tuple[str, str]:
    """Return the subsumed and the surviving id.

    Where several domains are admitted, the two are the ids of the domain that both fields name.
    """
    require_segment(message, "PID")
    require_segment(message, "MRG")
    surviving = feed.patient_ids(message, "PID", 3)
    subsumed = feed.patient_ids(message, "MRG", 1)
    pairs = [(old, new) for old in subsumed for new in surviving if _domain(old) == _domain(new)]
    if len(pairs) != 1:
        raise MessageRefused(Problem("204", "MRG^1^1", "PID-3 and MRG-1 do not name one id each"))
    old, new = pairs[0]
    access.details = FeedDetails.merge(subsumed=old, surviving=new)
    return old, new


def _domain(patient_id: str) -> str:
    return patient_id.rpartition("^")[2]


def _event(
    trigger: str,
    handler: Handler,
    describe: Callable[[Feed, Message, Access], object] = _noted,
) -> EventHandler:
    return EventHandler(
        code="ADT",
        trigger=trigger,
        max_bytes=ADT_BYTES,
        transaction=ITI_8.name,
        handler=handler,
        describe=describe,
    )


EVENTS: Final = (
    _event("A01", add),
    _event("A04", add),
    _event("A05", add),
    _event("A08", update, update),
    _event("A40", merge, _noted_merge),
)
