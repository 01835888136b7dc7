"""Persons and organisations (HL7 XCN, NDL, PPN, XON), and what senders make of them."""

import re
from collections.abc import Iterator
from typing import Final

from xds.hl7v2.message import Repetition, Segment
from xds.messaging.model import MessageOrganisation, MessagePerson
from xds.messaging.v2.context import MessageReading
from xds.metadata.datatypes import is_oid

_DATE: Final = re.compile(r"[0-9]{8,14}.*|")
_PRACTITIONER: Final = re.compile(r"([CG])[0-9]{6,7}")
_BY_LETTER: Final = {"C": "GMC", "G": "GMP"}
"""Consultants and general practitioners, by the first letter of their codes."""


def persons(
    reading: MessageReading, segment: Segment | None, number: int, role: str = ""
) -> tuple[MessagePerson, ...]:
    """Return the persons of a field of type XCN, each once; those that say nobody are left out."""
    if segment is None:
        return ()
    found = (person(reading, one, role) for one in segment.field(number))
    return tuple(dict.fromkeys(one for one in found if one))


def first_person(
    reading: MessageReading, segment: Segment | None, number: int, role: str = ""
) -> MessagePerson | None:
    """Return the first person of a field of type XCN."""
    return next(iter(persons(reading, segment, number, role)), None)


def person(
    reading: MessageReading, xcn: Repetition, role: str = "", time: str = ""
) -> MessagePerson | None:
    """Return who an XCN is; None where it has neither id nor name.

    A name in component 1 alone, as of those who type it in, is a family name.
    """
    texts = [part[0] if part else "" for part in xcn]
    number, family, given, _, _, prefix = (*texts, "", "", "", "", "", "")[:6]
    if number and not family and not given and not any(map(str.isdigit, number)):
        number, family = "", number
    if not (number or family):
        return None
    authority = (*(xcn[8] if len(xcn) > 8 else ()), "", "")
    oid = _oid(reading, number, authority[0], authority[1]) if number else ""
    return MessagePerson(
        family=family, given=given, prefix=prefix, id=number, oid=oid, role=role, time=time
    )


def _oid(reading: MessageReading, number: str, namespace: str, universal: str) -> str:
    if is_oid(universal) or is_oid(namespace):
        return universal or namespace
    known = reading.flavour.person_authorities
    coded = _PRACTITIONER.fullmatch(number)
    return known.get(namespace, "") or known.get(_BY_LETTER[coded[1]] if coded else "", "")


def interpreters(
    reading: MessageReading, obr: Segment | None, number: int
) -> Iterator[MessagePerson]:
    """Yield the persons of OBR-32 and OBR-34, of type NDL.

    The person is component 1, in subcomponents. Some write an XCN instead: then component 2 is no
    time.
    """
    if obr is None:
        return
    for ndl in obr.field(number):
        second = ndl[1][0] if len(ndl) > 1 and ndl[1] else ""
        name = tuple((part,) for part in ndl[0]) if ndl and _DATE.fullmatch(second) else ndl
        found = person(reading, name, "interpreter" if number == 32 else "technician")
        if found:
            yield found


def organisation(
    reading: MessageReading, segment: Segment | None, number: int
) -> MessageOrganisation | None:
    """Return the organisation of a field of type XON; None where it says none.

    The code stands in component 3 or 10, or in 6 with its authority in 9. Without a name it is that
    of the flavour's table, else the code.
    """
    if segment is None or not segment.repetitions(number):
        return None
    name, code, sixth, ninth, tenth = (segment.value(number, 1, c, 1) for c in (1, 3, 6, 9, 10))
    authorities = reading.flavour.organisation_authorities
    authority = sixth
    if ninth in authorities and sixth:
        code, authority = sixth, ninth
    universal = segment.value(number, 1, 6, 2)
    oid = universal if is_oid(universal) else authorities.get(authority, "")
    return organisation_of(reading, name, tenth or code, oid)


def organisation_of(
    reading: MessageReading, name: str, code: str, oid: str = ""
) -> MessageOrganisation | None:
    """Return an organisation by its name, its code, or both."""
    return reading.flavour.organisation(name, code, oid)
