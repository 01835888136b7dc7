"""Who a PID segment says a patient is: ids of every domain, name, birth date, sex, practice."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection

from xds.hl7v2.event import Feed
from xds.hl7v2.identifiers import AssigningAuthority, written_ids
from xds.hl7v2.message import Message, Segment
from xds.hl7v2.problems import MessageRefused
from xds.registry import patient_links
from xds.registry.patient_links import KnownDetails
from xds.security.access import Access

_DATE = 8
_PRACTICE: Final = re.compile(r"[A-Z][0-9]{5}")


def all_ids(feed: Feed, segment: Segment, number: int = 3) -> list[str]:
    """Return the ids (CX) in a field whose domain is known, of whichever domain."""
    own = feed.authority

    def oid_of(namespace: str) -> str | None:
        if namespace == own.namespace_id:
            return own.universal_id
        return own.oid_of_namespace(namespace)

    found = segment.field(number)
    place = f"{segment.name}^{segment.sequence}^{number}"
    return list(dict.fromkeys(written_ids(found, place, AssigningAuthority(None, None, oid_of))))


def details_of(message: Message, person: Segment) -> KnownDetails:
    """Return who a patient is, as far as the message says it."""
    return KnownDetails(
        family=person.value(5, 1, 1, 1),
        given=person.value(5, 1, 2),
        birth_date=person.value(7, 1, 1)[:_DATE],
        sex=person.value(8, 1, 1),
        postcode=person.value(11, 1, 5),
        practice=practice_of(message.segment("PD1")),
    )


def practice_of(pd1: Segment | None) -> str:
    """Return the ODS code of the general practice in PD1-3 or PD1-4; empty where there is none."""
    if pd1 is None:
        return ""
    places = ((3, 3), (3, 10), (3, 1), (4, 1))
    codes = (pd1.value(field, 1, component, 1) for field, component in places)
    return next((code for code in codes if _PRACTICE.fullmatch(code)), "")


def learning(feed: Feed, message: Message, access: Access) -> Callable[[Connection], None]:
    """Return what keeps who the patient is, and which ids are his, in the commit of an event."""
    person = message.segment("PID")
    ids: list[str] = []
    if person is not None:
        with suppress(MessageRefused):
            ids = all_ids(feed, person)

    def learn(connection: Connection) -> None:
        if person is not None and ids:
            patient_links.link(connection, ids)
            patient_links.note_details(connection, ids, details_of(message, person))
        access.commit(connection)

    return learn


def following(
    pairs: Iterable[tuple[str, str]], then: Callable[[Connection], None]
) -> Callable[[Connection], None]:
    """Return what lets links follow merges, in the commit of these."""

    def follow(connection: Connection) -> None:
        for old, new in pairs:
            patient_links.merge(connection, subsumed=old, surviving=new)
        then(connection)

    return follow
