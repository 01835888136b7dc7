"""ORU^R01: the reports of a message, by their numbers (IHE PaLM TF-2a LAB-3).

One number is one report, with the documents that its OBX carry; without any, one is rendered. The
status is OBR-25, and OBX-11 where it withdraws a line.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from xds.messaging.model import (
    CarriedContent,
    EntityNumber,
    MessageDocument,
    MessagePerson,
    MessageReport,
    ReportStatus,
)
from xds.messaging.v2 import codes, details, mime_types, multipart, numbers, persons, rendered
from xds.messaging.v2.carriers import Carrier, carriers_of, joined
from xds.messaging.v2.context import MessageReading, location
from xds.messaging.v2.grouping import Grouped, Observation, OrderGroup
from xds.messaging.verdicts import CODE, CORRUPT, FIELD, MIME, SEGMENT, TOO_LARGE, ContentRefused
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code

_STATUSES: Final[dict[str, ReportStatus]] = {
    "O": "incomplete",
    "I": "incomplete",
    "S": "incomplete",
    "N": "incomplete",
    "A": "preliminary",
    "P": "preliminary",
    "M": "preliminary",
    "R": "unverified",
    "F": "final",
    "C": "corrected",
    "X": "cancelled",
}
"""HL7 table 0123; Y and Z answer queries, and are refused."""
_USUAL_NUMBERS: Final = ("OBR-3", "ORC-3")
_WITHDRAWN: Final = frozenset({"D", "W"})
"""OBX-11: deleted; wrong, or another patient's."""


def reports_of(reading: MessageReading, grouped: Grouped) -> list[MessageReport]:
    """Return the reports of a message; errors are collected in the reading."""
    groups = [one for one in grouped.orders if one.obr is not None or one.observations]
    loose = [one for one in grouped.of_patient if carriers_of(one)]
    if loose:
        groups.append(OrderGroup(observations=loose))
    if not groups:
        reading.fail(SEGMENT, "OBR^1", "there is no OBR segment")
        return []
    look_at_pointers(reading, grouped)
    by_number: dict[EntityNumber | None, list[OrderGroup]] = {}
    for group in groups:
        by_number.setdefault(_number(reading, group), []).append(group)
    found = [_NumberedReport(reading, grouped, number, own) for number, own in by_number.items()]
    is_carried = any(report.carriers for report in found)
    require_few(reading, sum(len(report.carriers) for report in found))
    return [made for report in found for made in report.made(is_carried=is_carried)]


def require_few(reading: MessageReading, count: int) -> None:
    """Refuse a message that carries more documents than the flavour takes."""
    most = reading.flavour.most_documents
    if count > most:
        reading.fail(TOO_LARGE, "OBX^1^5", f"a message carries {most} documents at most")


def look_at_pointers(reading: MessageReading, grouped: Grouped) -> None:
    """Tell of the documents that a message only points to: they are never fetched."""
    for one in grouped.observations:
        obx = one.segment
        if obx.value(2, 1, 1) != "RP":
            continue
        if reading.flavour.pointers == "refuse":
            reading.fail(MIME, location(obx, 5), "a document elsewhere is not taken")
        else:
            reading.decide(f"{location(obx, 5)} points to a document elsewhere, not fetched")


def carried(reading: MessageReading, observations: Sequence[Observation]) -> list[Carrier]:
    """Return the documents of a group; one without data is an error."""
    found = [carrier for one in observations for carrier in carriers_of(one)]
    for carrier in found:
        if carrier.is_empty:
            reading.fail(CORRUPT, carrier.location, "the document is empty")
    whole = joined(found, reading.flavour.chunks)
    for carrier in whole:
        if len(carrier.pieces) > 1:
            count = len(carrier.pieces)
            reading.decide(f"{carrier.location} and what follows are {count} pieces of a document")
    return whole


def documents_of(
    reading: MessageReading, carriers: Sequence[Carrier]
) -> tuple[MessageDocument, ...]:
    """Return the documents of one number; slots tell several apart: OBX-3, and which of them."""
    contents = [(one, content) for one in carriers for content in _contents(reading, one)]
    seen: dict[str, int] = {}
    found = []
    for carrier, content in contents:
        obx = carrier.observation.segment
        code = obx.value(3, 1, 1, 1)
        seen[code] = seen.get(code, 0) + 1
        slot = code if code and seen[code] == 1 else f"{code}#{seen[code]}"
        document = MessageDocument(
            content=content,
            slot=slot if len(contents) > 1 else "",
            type_code=codes.document_type(reading, obx, 3),
            title=codes.title(reading, obx.value(3, 1, 2, 1)),
            location=carrier.location,
        )
        found.append(document)
    return tuple(found)


def _contents(reading: MessageReading, carrier: Carrier) -> list[CarriedContent]:
    content = carrier.content()
    if carrier.mime_type != mime_types.MULTIPART or carrier.is_empty:
        return [content]
    try:
        return multipart.parts_of(content)
    except ContentRefused as error:
        reading.errors.extend(error.findings)
        return []


def _number(reading: MessageReading, group: OrderGroup) -> EntityNumber | None:
    authority = numbers.issuing_authority(reading)
    for place in reading.flavour.report_number:
        found = numbers.in_field(reading, group.segments, place, authority)
        if found and place not in _USUAL_NUMBERS:
            reading.decide(f"the number of the report is in {place}")
        if found:
            return found
    return None


class _NumberedReport:
    """One number and its order groups."""

    def __init__(
        self,
        reading: MessageReading,
        grouped: Grouped,
        number: EntityNumber | None,
        groups: Sequence[OrderGroup],
    ) -> None:
        self._reading = reading
        self._grouped = grouped
        self._number = number
        self._groups = groups
        self._by_group = [carried(reading, group.observations) for group in groups]
        self.carriers = [carrier for own in self._by_group for carrier in own]

    def made(self, *, is_carried: bool) -> Iterator[MessageReport]:
        """Yield what the report becomes; nothing beside the documents of other reports."""
        group = self._governing()
        status = self._status(group)
        if status is None:
            return
        marks = {one.segment.value(11) for g in self._groups for one in g.observations}
        is_wrong = "W" in marks
        if status == "cancelled" or is_wrong or (marks and marks <= _WITHDRAWN):
            yield self._report(
                group, action="cancel", status="cancelled", is_wrong_patient=is_wrong
            )
        elif self.carriers:
            yield from self._with_carriers(group, status)
        elif not is_carried:
            yield self._without_carriers(group, status, marks)

    def _governing(self) -> OrderGroup:
        """Return the group whose status counts: the first one that has content."""
        with_carriers = (g for g, own in zip(self._groups, self._by_group, strict=True) if own)
        with_values = (g for g in self._groups if any(o.segment.value(5) for o in g.observations))
        return next(with_carriers, None) or next(with_values, None) or self._groups[0]

    def _status(self, group: OrderGroup) -> ReportStatus | None:
        written = group.obr.value(25) if group.obr else ""
        if group.obr and written not in _STATUSES and written:
            where = location(group.obr, 25)
            self._reading.fail(CODE, where, "a report of this status is not taken")
            return None
        if not written:
            where = location(group.obr, 25) if group.obr else "OBR^1^25"
            if any(g.observations for g in self._groups):
                self._reading.warn(FIELD, where, "there is no status: the report is taken as final")
        return _STATUSES.get(written, "final")

    def _with_carriers(self, group: OrderGroup, status: ReportStatus) -> Iterator[MessageReport]:
        documents = documents_of(self._reading, self.carriers)
        if status == "incomplete":
            where = location(group.obr, 25) if group.obr else ""
            self._reading.warn(CODE, where, "the status has no results, but there is a document")
            status = "preliminary"
        withdrawn = {
            carrier.location
            for carrier in self.carriers
            if carrier.observation.segment.value(11) in _WITHDRAWN
        }
        kept = [one for one in documents if one.location not in withdrawn]
        gone = [one for one in documents if one.location in withdrawn]
        if kept:
            yield self._report(group, action="file", status=status, documents=tuple(kept))
        if gone:
            yield self._report(group, action="cancel", status="cancelled", documents=tuple(gone))

    def _without_carriers(
        self, group: OrderGroup, status: ReportStatus, marks: set[str]
    ) -> MessageReport:
        written = group.obr.value(25) if group.obr else ""
        content = None
        if status != "incomplete" and self._reading.flavour.render != "none":
            content = rendered.content_of(self._reading, self._groups, self._grouped, written)
        if content is None:
            action = "status" if marks == {"U"} else "announce"
            return self._report(group, action=action, status=status)
        document = MessageDocument(content=content, location=content.location)
        return self._report(group, action="file", status=status, documents=(document,))

    def _report(self, group: OrderGroup, **given: Any) -> MessageReport:
        reading, obr = self._reading, group.obr
        opening = obr or group.orc
        observations = [one for each in self._groups for one in each.observations]
        reported = reading.time(obr, 22)
        common = details.of_orders(reading, self._groups, self._grouped)
        tests = [g.obr.value(4, 1, 1, 1) for g in self._groups if g.obr]
        marks = [one.segment.value(13) for one in observations]
        authors = self._authors(observations)
        signs = reading.flavour.interpreter_signs and given["status"] == "final" and authors
        return MessageReport(
            **common,
            **given,
            number=self._number,
            class_code=reading.flavour.class_code,
            type_code=self._type(group, tests),
            title=self._title(group),
            authors=authors,
            authenticator=authors[0] if signs else None,
            laboratory=details.laboratory(reading, observations),
            confidentiality=details.confidentiality(reading, *marks, tests=tests),
            created=reported or reading.envelope.sent,
            reported=reported,
            version_time=reported or reading.envelope.sent,
            studies=details.studies(observations),
            unique_ids=_unique_ids(observations),
            location=location(opening, 3) if opening else "",
        )

    def _title(self, group: OrderGroup) -> str:
        text = group.obr.value(4, 1, 2, 1) or group.obr.value(4, 1, 5, 1) if group.obr else ""
        return codes.title(self._reading, text)

    def _type(self, group: OrderGroup, tests: Sequence[str]) -> Code | None:
        flavour = self._reading.flavour
        department = group.obr.value(24) if group.obr else ""
        if flavour.type_code:
            self._reading.decide("the type of the report is that of the sender")
        by_test = (flavour.test_types[test] for test in tests if test in flavour.test_types)
        return (
            flavour.type_code
            or next(by_test, None)
            or flavour.department_types.get(department)
            or flavour.default_type_code
        )

    def _authors(self, observations: Sequence[Observation]) -> tuple[MessagePerson, ...]:
        found: list[MessagePerson] = []
        for group in self._groups:
            found.extend(persons.interpreters(self._reading, group.obr, 32))
        for one in observations:
            found.extend(persons.persons(self._reading, one.segment, 16))
        for group in self._groups:
            found.extend(persons.interpreters(self._reading, group.obr, 34))
        return tuple(dict.fromkeys(found))


def _unique_ids(observations: Sequence[Observation]) -> tuple[str, ...]:
    found = (one.segment.value(21, 1, 1, 1) for one in observations)
    return tuple(dict.fromkeys(oid for oid in found if is_oid(oid)))
