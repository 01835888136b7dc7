"""What a report or document has of its order and visit: numbers, codes, people, times."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from xds.hl7v2.message import Segment
from xds.messaging.model import EntityNumber, MessageOrganisation, MessagePerson
from xds.messaging.v2 import numbers, persons
from xds.messaging.v2.codes import coded, title, translated
from xds.messaging.v2.context import MessageReading
from xds.messaging.v2.grouping import Grouped, Observation, OrderGroup
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code

_STUDY: Final = "113014"
"""DICOM code of a study; its value is the UID."""
_NOTED: Final = re.compile(r"([^\s=]+)=(.+)")
"""A test that a note names: its code and its name."""


def of_orders(
    reading: MessageReading, groups: Sequence[OrderGroup], grouped: Grouped
) -> dict[str, Any]:
    """Return the attributes of a MessageReport that come of its orders and its visit."""
    first = groups[0] if groups else OrderGroup()
    obr, visit = first.obr, grouped.visit
    specimen = next((spm for group in groups for spm in group.specimens), None)
    return {
        "placer_numbers": _unique(placers(reading, groups)),
        "filler_numbers": _unique(fillers(reading, groups)),
        "encounter_numbers": _unique(_encounters(reading, groups, grouped)),
        "event_codes": _unique(test for group in groups for test in _tests(reading, group)),
        "requester": _requester(reading, groups),
        "requesting_organisation": _requesting(reading, groups),
        "specimen": _specimen(obr, specimen),
        "service_start": reading.first_time((obr, 7), (specimen, 17), (obr, 14)),
        "service_stop": reading.time(obr, 8)
        or reading.time(specimen, 17, 2)
        or reading.time(obr, 7),
        "practice_setting": coded(reading, visit, 10) or reading.flavour.practice_setting,
        "facility_type": reading.flavour.facility_type,
        "language": _language(reading),
    }


def _unique(found: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(one for one in found if one))


def _tests(reading: MessageReading, group: OrderGroup) -> Iterator[Code | None]:
    """Yield the test of a group: OBR-4, else those that its notes name."""
    found = coded(reading, group.obr, 4)
    system = reading.flavour.test_notes
    if found or not system:
        yield found
        return
    for note in (*group.notes, *(note for one in group.observations for note in one.notes)):
        for repetition in range(note.repetitions(3)):
            if named := _NOTED.fullmatch(note.value(3, repetition + 1, 1, 1).strip()):
                name = title(reading, named[2]).removeprefix(f"{named[1]} - ")
                yield translated(reading, named[1], name, system)


def placer_authority(reading: MessageReading, group: OrderGroup) -> str:
    """Return whose an order number is that names nobody: the requester's, else the flavour's."""
    requester = persons.organisation(reading, group.orc, 21)
    return (requester.code if requester else "") or reading.flavour.placer_authority


def placers(reading: MessageReading, groups: Sequence[OrderGroup]) -> Iterator[EntityNumber | None]:
    """Yield the numbers of orders: OBR-2, ORC-2, and of their group (ORC-4)."""
    for group in groups:
        authority = placer_authority(reading, group)
        for segment, number in ((group.obr, 2), (group.orc, 2), (group.orc, 4)):
            yield numbers.entity(reading, segment, number, authority=authority)


def fillers(reading: MessageReading, groups: Sequence[OrderGroup]) -> Iterator[EntityNumber | None]:
    """Yield the accession numbers: OBR-3, ORC-3, SPM-30, SPM-2.2, and fields of the flavour."""
    authority = numbers.issuing_authority(reading)
    for group in groups:
        for segment, number in ((group.obr, 3), (group.orc, 3)):
            yield numbers.entity(reading, segment, number, authority=authority)
        for place in (*reading.flavour.report_number, *reading.flavour.filler_fields):
            yield numbers.in_field(reading, group.segments, place, authority)
        for specimen in group.specimens:
            yield numbers.visit(reading, specimen, 30, authority)
            if value := specimen.value(2, 1, 2, 1):
                name, oid = (specimen.value(2, 1, 2, part) for part in (2, 3))
                yield numbers.number_of(reading, value, name, oid, authority)


def _encounters(
    reading: MessageReading, groups: Sequence[OrderGroup], grouped: Grouped
) -> Iterator[EntityNumber | None]:
    pid = grouped.patients[0] if grouped.patients else None
    segments = {"PV1": grouped.visit, "PID": pid}
    segments |= groups[0].segments if groups else {}
    authority = numbers.issuing_authority(reading)
    for place in reading.flavour.encounter_fields:
        name, _, number = place.partition("-")
        yield numbers.visit(reading, segments.get(name), int(number), authority)


def _requester(reading: MessageReading, groups: Sequence[OrderGroup]) -> MessagePerson | None:
    places = [place for group in groups for place in ((group.obr, 16), (group.orc, 12))]
    found = (persons.first_person(reading, segment, number) for segment, number in places)
    return next(filter(None, found), None)


def _requesting(
    reading: MessageReading, groups: Sequence[OrderGroup]
) -> MessageOrganisation | None:
    found = (persons.organisation(reading, group.orc, 21) for group in groups)
    return next(filter(None, found), None)


def _specimen(obr: Segment | None, spm: Segment | None) -> str:
    if spm:
        return spm.value(4, 1, 2, 1) or spm.value(4, 1, 1, 1)
    return (obr.value(15, 1, 1, 2) or obr.value(15, 1, 1, 1)) if obr else ""


def _language(reading: MessageReading) -> str:
    written = reading.message.header.value(19, 1, 1, 1)
    is_tag = len(written) in (2, 5) and written[:2].isalpha() and written[:2].islower()
    return written if is_tag else reading.flavour.language


def laboratory(
    reading: MessageReading, observations: Iterable[Observation]
) -> MessageOrganisation | None:
    """Return who issues a report: OBX-23, OBX-15, the flavour's, or the sending facility."""
    for one in observations:
        found = persons.organisation(reading, one.segment, 23)
        if found:
            return found
        code, name = one.segment.value(15, 1, 1, 1), one.segment.value(15, 1, 2, 1)
        if name:
            return persons.organisation_of(reading, name, code)
    if code := reading.flavour.laboratory:
        return persons.organisation_of(reading, "", code)
    facility = reading.envelope.sending_facility
    is_code = facility in reading.flavour.organisations
    return persons.organisation_of(
        reading, "" if is_code else facility, facility if is_code else ""
    )


def confidentiality(
    reading: MessageReading, *written: str, tests: Iterable[str] = ()
) -> Code | None:
    """Return the strictest of what is written, of what the tests are, and of the default."""
    named = tuple(tests)
    if reading.flavour.restricts(named):
        reading.decide("the report is restricted for its test")
    return reading.flavour.strictest(written, named)


def studies(observations: Iterable[Observation]) -> tuple[str, ...]:
    """Return the study instance UIDs that OBX have (IHE CARD-7)."""
    segments = (one.segment for one in observations)
    found = (obx.value(5, 1, 1, 1) for obx in segments if obx.value(3, 1, 1, 1) == _STUDY)
    return tuple(dict.fromkeys(uid for uid in found if is_oid(uid)))
