"""MDM T01 to T11: documents, and what happens to them (HL7 v2.8.2 9.6; IHE CARD-7).

The trigger event says what is to be done; TXA-19 and TXA-17 say whether the document is withdrawn,
and how final it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from xds.hl7v2.message import Segment
from xds.messaging.model import (
    EntityNumber,
    MessageDocument,
    MessageOrganisation,
    MessagePerson,
    MessageReport,
    ReportAction,
    ReportStatus,
)
from xds.messaging.v2 import codes, details, numbers, persons, rendered
from xds.messaging.v2.context import MessageReading, location
from xds.messaging.v2.grouping import DocumentGroup, Grouped
from xds.messaging.v2.reports import carried, documents_of, look_at_pointers, require_few
from xds.messaging.verdicts import CODE, FIELD, SEGMENT
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code

_ACTIONS: Final[dict[str, ReportAction]] = {
    "T01": "announce",
    "T02": "file",
    "T03": "status",
    "T04": "file",
    "T05": "announce",
    "T06": "append",
    "T07": "edited",
    "T08": "file",
    "T09": "replaced",
    "T10": "replace",
    "T11": "cancel",
}
_ORIGINAL: Final = "T01"
"""Announces a document that has no parent, whatever TXA-13 says."""
_WITH_CONTENT: Final = frozenset({"T02", "T04", "T06", "T08", "T10"})
_STATUSES: Final[dict[str, ReportStatus]] = {
    "AU": "final",
    "LA": "final",
    "F": "final",
    "PA": "preliminary",
    "DO": "preliminary",
    "IN": "preliminary",
    "IP": "preliminary",
    "DI": "incomplete",
}
"""HL7 table 0271; ``F`` is none of it, but is sent."""
_SIGNED: Final = frozenset({"AU", "LA"})
_UNAVAILABLE: Final = frozenset({"UN", "OB"})


def documents_in(reading: MessageReading, grouped: Grouped) -> list[MessageReport]:
    """Return what a message says of documents; errors are collected in the reading."""
    groups = grouped.documents
    if not groups:
        reading.fail(SEGMENT, "TXA^1", "there is no TXA segment: which document it is is not told")
        return []
    if len(groups) > 1 and not reading.flavour.multiple_documents:
        reading.fail(SEGMENT, "TXA^2", "a message has one TXA segment")
    look_at_pointers(reading, grouped)
    found = [_TxaDocument(reading, grouped, group) for group in groups]
    require_few(reading, sum(len(document.carriers) for document in found))
    return [document.report() for document in found]


class _TxaDocument:
    """One TXA and its content."""

    def __init__(self, reading: MessageReading, grouped: Grouped, group: DocumentGroup) -> None:
        self._reading = reading
        self._grouped = grouped
        self._group = group
        self._txa = group.txa
        self._has_content = reading.envelope.trigger in _WITH_CONTENT
        self.carriers = carried(reading, group.observations) if self._has_content else []

    def report(self) -> MessageReport:
        reading, txa = self._reading, self._txa
        common = details.of_orders(reading, self._grouped.orders, self._grouped)
        originated = reading.first_time((txa, 6), (txa, 8), (txa, 4))
        observations = self._group.observations
        authority = numbers.issuing_authority(reading)
        number = numbers.entity(reading, txa, 12, authority=authority)
        if number is None:
            reading.fail(FIELD, location(txa, 12), "there is no unique document number")
        parent = numbers.entity(reading, txa, 13, authority=authority)
        if reading.envelope.trigger == _ORIGINAL:
            parent = None
        unique_id = txa.value(12, 1, 1, 1)
        status = self._status()
        found: dict[str, Any] = {
            **common,
            **self._numbers(common, number, authority),
            "service_start": reading.time(txa, 4) or common["service_start"],
            "practice_setting": codes.coded(reading, txa, 28) or common["practice_setting"],
        }
        return MessageReport(
            **found,
            action=self._action(number, parent),
            number=number,
            status=status,
            is_available=txa.value(19) not in _UNAVAILABLE,
            documents=self._documents() if self._has_content else (),
            parent=parent,
            version_time=self._edited() or originated or reading.envelope.sent,
            class_code=self._class(),
            type_code=self._type(),
            confidentiality=details.confidentiality(reading, txa.value(18), tests=self._tests()),
            title=self._title(),
            comments=txa.value(21),
            created=originated or reading.envelope.sent,
            reported=originated,
            authors=self._authors(),
            authenticator=self._authenticator(),
            laboratory=self._institution(),
            studies=details.studies(observations),
            unique_ids=(unique_id,) if is_oid(unique_id) else (),
            location=location(txa, 12),
        )

    def _action(self, number: EntityNumber | None, parent: EntityNumber | None) -> ReportAction:
        action = _ACTIONS[self._reading.envelope.trigger]
        where = location(self._txa, 13)
        if self._txa.value(19) == "CA" and self._has_content:
            return "cancel"
        if action in ("append", "replace") and parent is None:
            self._reading.warn(FIELD, where, "there is no parent: it is taken as an original")
            return "file"
        if action == "replace" and parent == number:
            self._reading.warn(FIELD, where, "it replaces itself: it is taken as an edition")
            return "file"
        return action

    def _status(self) -> ReportStatus:
        written = self._txa.value(17)
        if self._reading.envelope.trigger == "T11" or self._txa.value(19) == "CA":
            return "cancelled"
        if written not in _STATUSES:
            reason = "the completion status is empty or unknown: the document is taken as final"
            self._reading.warn(CODE if written else FIELD, location(self._txa, 17), reason)
        return _STATUSES.get(written, "final")

    def _documents(self) -> tuple[MessageDocument, ...]:
        if self.carriers:
            if len(self.carriers) > 1:
                where = location(self._txa, 12)
                self._reading.warn(FIELD, where, "several documents have one number")
            found = documents_of(self._reading, self.carriers)
            return (replace(found[0], title=""),) if len(found) == 1 else found
        content = rendered.content_of(self._reading, [self._group], self._grouped, "")
        if content is None or self._reading.flavour.render == "none":
            where = f"OBX^{self._txa.sequence}"
            self._reading.fail(SEGMENT, where, "there is no content in an OBX segment")
            return ()
        return (MessageDocument(content=content, location=content.location),)

    def _numbers(
        self, common: dict[str, Any], number: EntityNumber | None, authority: str
    ) -> dict[str, Any]:
        reading, txa = self._reading, self._txa
        groups = self._grouped.orders
        placer = details.placer_authority(reading, groups[0]) if groups else ""
        placer = placer or reading.flavour.placer_authority
        placers = [
            numbers.entity(reading, txa, 14, n + 1, authority=placer)
            for n in range(txa.repetitions(14))
        ]
        filler = numbers.entity(reading, txa, 15, authority=authority)
        is_unique_id = number is not None and is_oid(number.value)
        fillers = (None if is_unique_id else number, filler, *common["filler_numbers"])
        return {
            "placer_numbers": _unique((*placers, *common["placer_numbers"])),
            "filler_numbers": _unique(fillers),
        }

    def _edited(self) -> str:
        last = self._txa.repetitions(8)
        text = self._txa.value(8, last, 1, 1) if last else ""
        return self._reading.time_of(text, location(self._txa, 8))

    def _tests(self) -> Iterator[str]:
        return (group.obr.value(4, 1, 1, 1) for group in self._grouped.orders if group.obr)

    def _class(self) -> Code | None:
        for place in self._reading.flavour.class_fields:
            name, _, number = place.partition("-")
            segment = self._txa if name == "TXA" else None
            found = codes.coded(self._reading, segment, int(number))
            if found:
                return found
        return self._reading.flavour.class_code

    def _type(self) -> Code | None:
        reading, txa = self._reading, self._txa
        written = txa.value(2, 1, 1, 1)
        by_table = reading.flavour.document_types.get(written)
        coded = codes.coded(reading, txa, 2)
        if txa.value(2, 1, 3, 1) in ("", "HL70270") and by_table:
            return by_table
        if coded is None and written:
            reading.warn(CODE, location(txa, 2), "the document type has no known coding system")
        flavour = reading.flavour
        return coded or by_table or flavour.type_code or flavour.default_type_code

    def _title(self) -> str:
        txa, obx = self._txa, self._carrier_segment()
        texts = (
            txa.value(25),
            txa.value(2, 1, 2, 1),
            obx.value(3, 1, 2, 1) if obx else "",
            txa.value(16),
        )
        return codes.title(self._reading, next(filter(None, texts), ""))

    def _carrier_segment(self) -> Segment | None:
        return self.carriers[0].observation.segment if self.carriers else None

    def _authors(self) -> tuple[MessagePerson, ...]:
        reading, txa = self._reading, self._txa
        interpreters = (
            one
            for group in self._grouped.orders
            for one in persons.interpreters(reading, group.obr, 32)
        )
        return (
            persons.persons(reading, txa, 9)
            or persons.persons(reading, txa, 5)
            or tuple(dict.fromkeys(interpreters))
        )

    def _authenticator(self) -> MessagePerson | None:
        """Return who has authenticated: TXA-22, whose component 15 is the time, else TXA-10."""
        if self._txa.value(17) not in _SIGNED:
            return None
        time = self._reading.time(self._txa, 22, 15)
        for number in (22, 10):
            for repetition in self._txa.field(number):
                found = persons.person(self._reading, repetition, time=time)
                if found:
                    return found
        return None

    def _institution(self) -> MessageOrganisation | None:
        name = self._txa.value(27, 1, 1, 1)
        if name:
            return persons.organisation_of(self._reading, name, "")
        return details.laboratory(self._reading, self._group.observations)


def _unique(found: Sequence[EntityNumber | None]) -> tuple[EntityNumber, ...]:
    return tuple(dict.fromkeys(one for one in found if one))
