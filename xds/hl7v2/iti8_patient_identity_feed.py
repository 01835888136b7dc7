"""ITI-8 Patient Identity Feed (ITI TF-2 3.8), and what feeds of ADT messages tell beyond it.

Beside A01, A04, A05, A08 and A40 these are persons without a visit (A28, A31, A29), the older forms
of a merge (A18, A34, A36, A39), changes of an id (A46, A47), and links between the ids of a person
in several domains (A24, A37; IHE PAM, ITI TF-2 3.30). Of all of them it is learned which ids are
one person's, and who that is. Moves of accounts and visits (A44, A45) are refused.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Final

from xds.hl7v2.event import ADT_BYTES, EventHandler, Feed, Handler, require_segment
from xds.hl7v2.identifiers import patient_ids_of
from xds.hl7v2.message import Message, Segment
from xds.hl7v2.persons import all_ids, following, learning
from xds.hl7v2.problems import MessageRefused, Problem
from xds.metadata.catalogue import ITI_8
from xds.registry import patient_links
from xds.security.access import Access
from xds.security.details import FeedDetails, FeedPatient

Pair = tuple[str, str]
"""A subsumed id, and the surviving one."""


def add(feed: Feed, message: Message, access: Access) -> None:
    """Make the patient's ids known; those of other domains are ignored (ITI TF-2 3.8.4.1.3)."""
    patient_ids = _noted(feed, message, access)
    feed.identities.add(*patient_ids, in_commit=learning(feed, message, access))


def _noted(feed: Feed, message: Message, access: Access) -> list[str]:
    require_segment(message, "PID")
    patient_ids = feed.patient_ids(message, "PID", 3)
    access.details = FeedDetails.of(patient_ids)
    return patient_ids


def update(feed: Feed, message: Message, access: Access) -> None:
    """Learn who the patient is; of the ids that a registry keeps an A08 changes none."""
    access.details = FeedDetails(action="U")
    if message.count("PID") != 1:
        return
    access.details = FeedDetails.of(feed.patient_ids(message, "PID", 3), "U")
    with feed.identities.database.write() as connection:
        learning(feed, message, access)(connection)


def _noted_update(feed: Feed, message: Message, access: Access) -> None:
    access.details = FeedDetails(action="U")
    if message.count("PID") == 1:
        with suppress(MessageRefused):
            access.details = FeedDetails.of(feed.patient_ids(message, "PID", 3), "U")


def keep(feed: Feed, message: Message, access: Access) -> None:
    """Change nothing: what is told is of no document, or documents stay where they are."""
    _noted(feed, message, access)


def move(feed: Feed, message: Message, access: Access) -> None:
    """Refuse that an account or a visit becomes another patient's: its documents do not follow.

    The refusal has the sender's operators look whether documents are to be filed anew.
    """
    _noted(feed, message, access)
    reason = "documents do not move with an account or a visit: send them for the other patient"
    raise MessageRefused(Problem("207", "MSH^1^9^1^2", reason))


def merge(feed: Feed, message: Message, access: Access, *, creates: bool = False) -> None:
    """Merge the patient of each MRG-1 into the one of its PID-3 (ITI TF-2 3.8.4.2.3)."""
    pairs = _noted_merge(feed, message, access)
    feed.identities.merge_all(
        pairs, creates=creates, in_commit=following(pairs, learning(feed, message, access))
    )


def _noted_merge(feed: Feed, message: Message, access: Access) -> list[Pair]:
    """Return the subsumed and the surviving id of each pair of PID and MRG.

    Where several domains are admitted, the two are the ids of the domain that both fields name.
    """
    persons, merged = list(message.segments("PID")), list(message.segments("MRG"))
    if len(persons) != len(merged) or not persons:
        require_segment(message, "PID")
        require_segment(message, "MRG")
    found = [_pair(feed, *both) for both in zip(persons, merged, strict=True)]
    access.details = FeedDetails(
        tuple(one for old, new in found for one in (FeedPatient(old, "D"), FeedPatient(new, "U")))
    )
    return found


def _pair(feed: Feed, person: Segment, merged: Segment) -> Pair:
    surviving = patient_ids_of(person, 3, feed.authority)
    subsumed = patient_ids_of(merged, 1, feed.authority)
    pairs = [one for one in product(subsumed, surviving) if _domain(one[0]) == _domain(one[1])]
    if len(pairs) != 1:
        place = f"MRG^{merged.sequence}^1"
        raise MessageRefused(Problem("204", place, "PID-3 and MRG-1 do not name one id each"))
    return pairs[0]


def _domain(patient_id: str) -> str:
    return patient_id.rpartition("^")[2]


def link(feed: Feed, message: Message, access: Access) -> None:
    """Learn that the ids of two PID segments are one person's (A24)."""
    ids = [one for each in _noted_link(feed, message, access) for one in each]
    with feed.identities.database.write() as connection:
        patient_links.link(connection, ids)
        access.commit(connection)


def unlink(feed: Feed, message: Message, access: Access) -> None:
    """Forget that the ids of two PID segments are one person's (A37)."""
    both = _noted_link(feed, message, access)
    with feed.identities.database.write() as connection:
        for one, other in product(*both):
            patient_links.unlink(connection, one, other)
        access.commit(connection)


def _noted_link(feed: Feed, message: Message, access: Access) -> tuple[list[str], list[str]]:
    persons = list(message.segments("PID"))
    if len(persons) != 2:
        raise MessageRefused(Problem("100", "PID^2", "a link is between two PID segments"))
    one, other = (all_ids(feed, person) for person in persons)
    access.details = FeedDetails.of([*one, *other], "U")
    for place, ids in enumerate((one, other), 1):
        if not ids:
            reason = "there is no patient id of a known domain"
            raise MessageRefused(Problem("204", f"PID^{place}^3", reason))
    return one, other


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


_renamed: Final = partial(merge, creates=True)

EVENTS: Final = (
    *(_event(trigger, add) for trigger in ("A01", "A04", "A05", "A28", "A31")),
    _event("A08", update, _noted_update),
    *(_event(trigger, merge, _noted_merge) for trigger in ("A18", "A34", "A36", "A39", "A40")),
    *(_event(trigger, _renamed, _noted_merge) for trigger in ("A46", "A47")),
    _event("A24", link, _noted_link),
    _event("A37", unlink, _noted_link),
    *(_event(trigger, keep) for trigger in ("A29", "A41", "A42")),
    *(_event(trigger, move) for trigger in ("A44", "A45")),
)
