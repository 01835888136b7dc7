"""What a message of a document says: MDM or ORU, in the form that its destination wants.

Metadata hold persons, patient ids and sourcePatientInfo as HL7 v2 writes them (ITI TF-3 4.2.3.1.7),
with the same delimiters and escapes: they are passed on as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from xds import base64_blocks
from xds.hl7v2.writing import MessageWriter, StreamedField, composed, escaped, repeated
from xds.messaging.outbound.destination import ChangeToTell, Destination, MessageForm
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry

_NHS: Final = "2.16.840.1.113883.2.1.4.1"
_DOMAINS: Final[Mapping[str, tuple[str, str]]] = {_NHS: ("NHS", "NH")}
_SYSTEMS: Final[Mapping[str, str]] = {
    "2.16.840.1.113883.6.96": "SCT",
    "http://snomed.info/sct": "SCT",
    "2.16.840.1.113883.6.1": "LN",
    "http://loinc.org": "LN",
}
_CONFIDENTIALITY: Final[Mapping[str, str]] = {"V": "V", "R": "R", "N": "U", "L": "U", "M": "U"}
"""HL7 Confidentiality to table 0272."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentToSend:
    """A document with all that a message says of it."""

    entry: DocumentEntry
    parent: DocumentEntry | None
    """What it replaces or adds to."""
    blocks: Callable[[], Iterable[bytes]] | None
    """The document; None where the message has none."""
    change: ChangeToTell
    is_preliminary: bool = False
    merge: tuple[str, str] | None = None
    """The subsumed patient id and the surviving one, where a merge is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageToSend:
    """Which message it is to be."""

    id: str
    """MSH-10: the same at each attempt."""
    now: str
    """DTM, UTC: when the message is made."""


def build(
    destination: Destination, message: MessageToSend, document: DocumentToSend
) -> MessageWriter:
    """Make the message of a document."""
    if document.merge is not None:
        return _Builder(destination, message, document).merged(*document.merge)
    if destination.form.message == "ORU":
        return _Builder(destination, message, document).oru()
    return _Builder(destination, message, document).mdm()


def trigger_of(destination: Destination, document: DocumentToSend) -> str:
    """Return the trigger event of the MDM that tells of a document."""
    return _Builder(destination, MessageToSend(id="", now=""), document).trigger()


@dataclass(frozen=True, slots=True)
class _Builder:
    destination: Destination
    message: MessageToSend
    document: DocumentToSend

    @property
    def _form(self) -> MessageForm:
        return self.destination.form

    @property
    def _entry(self) -> DocumentEntry:
        return self.document.entry

    def mdm(self) -> MessageWriter:
        """MSH EVN PID PV1 TXA OBX (HL7 v2.4 9.4)."""
        trigger = self.trigger()
        writer = self._begun("MDM", trigger, "MDM_T02" if trigger in _WITH_CONTENT else "MDM_T01")
        writer.segment("EVN", {1: trigger, 2: _time(self.message.now)})
        self._patient(writer)
        if self._form.version >= "2.5":
            self._order(writer)
        writer.segment("TXA", self._txa(trigger))
        if trigger in _WITH_CONTENT:
            self._content(writer, "F")
        return writer

    def oru(self) -> MessageWriter:
        """MSH PID PV1 ORC OBR OBX (HL7 v2.4 7.3.1)."""
        writer = self._begun("ORU", "R01", "ORU_R01")
        self._patient(writer)
        self._order(writer)
        if self.document.change == "withdrawn":
            told = {1: "1", 2: "ED", 3: self._coded(self._entry.type_code), 11: "D"}
            writer.segment("OBX", told)
        else:
            self._content(writer, "P" if self.document.is_preliminary else "F")
        return writer

    def merged(self, subsumed: str, surviving: str) -> MessageWriter:
        """MSH EVN PID MRG (ITI TF-2 3.8.4.2.2)."""
        writer = self._begun("ADT", "A40", "ADT_A39")
        writer.segment("EVN", {1: "A40", 2: _time(self.message.now)})
        info = dict(_source_info(self._entry))
        fields = {1: "1", 3: self._identifier(surviving)}
        fields |= {number: info[number] for number in (5, 7, 8) if number in info}
        writer.segment("PID", fields)
        writer.segment("MRG", {1: self._identifier(subsumed)})
        return writer

    def trigger(self) -> str:
        """Return the trigger event of an MDM."""
        match self.document.change:
            case "withdrawn":
                return "T11"
            case "updated":
                return self._form.updated
            case "appended":
                return "T06"
            case "moved":
                return "T08"
            case "replaced":
                same = self._number(self.document.parent) == self._number(self._entry)
                return "T08" if same and self._form.replaced == "T10" else self._form.replaced
        return "T02"

    def _begun(self, code: str, trigger: str, structure: str) -> MessageWriter:
        writer, to = MessageWriter(), self.destination
        kind = (code, trigger) if self._form.version < "2.3.1" else (code, trigger, structure)
        fields = {
            3: escaped(to.sending_application),
            4: escaped(to.sending_facility),
            5: escaped(to.receiving_application),
            6: escaped(to.receiving_facility),
            7: _time(self.message.now),
            9: composed(*kind),
            10: self.message.id,
            11: self._form.processing_id,
            12: self._form.version,
            15: self._form.accept_acknowledgement,
            16: self._form.application_acknowledgement,
            18: "UNICODE UTF-8",
        }
        writer.header(fields)
        return writer

    def _patient(self, writer: MessageWriter) -> None:
        entry, info = self._entry, dict(_source_info(self._entry))
        identifiers = dict.fromkeys([entry.patient_id or "", entry.source_patient_id or ""])
        fields = {1: "1", 3: repeated(self._identifier(one) for one in identifiers if one)}
        fields |= {number: info[number] for number in (5, 7, 8, 11) if number in info}
        writer.segment("PID", fields)
        visits = list(_references(entry, v.REFERENCE_ENCOUNTER_ID))
        visit = _entity(visits[0]) if visits else ""
        writer.segment("PV1", {1: "1", 2: "N", 19: visit})

    def _identifier(self, cx: str) -> str:
        number, domain = _identity(cx)
        namespace, kind = self._form.domains.get(domain) or _DOMAINS.get(domain) or ("", "PI")
        authority = namespace if namespace else f"&{domain}&ISO"
        return f"{number}^^^{authority}^{kind}"

    def _order(self, writer: MessageWriter) -> None:
        entry = self._entry
        orders = list(_references(entry, v.REFERENCE_ORDER))
        placer = _entity(orders[0]) if orders else ""
        writer.segment("ORC", {1: "RE", 2: placer, 3: self._number(entry)})
        event = entry.event_code_list[0] if entry.event_code_list else entry.type_code
        fields = {
            1: "1",
            2: placer,
            3: self._number(entry),
            4: self._coded(event),
            7: _time(entry.service_start_time),
            22: _time(entry.creation_time),
            25: self._report_status(),
        }
        writer.segment("OBR", fields)

    def _report_status(self) -> str:
        if self.document.change == "withdrawn":
            return "X"
        if self.document.is_preliminary:
            return "P"
        return "C" if self.document.change in ("replaced", "moved") else "F"

    def _txa(self, trigger: str) -> dict[int, str | StreamedField]:
        entry, parent = self._entry, self.document.parent
        person = next((one for author in entry.author for one in author.person), "")
        number, former = self._number(entry), self._number(parent)
        if trigger in ("T08", "T02") and former:
            number, former = former, ""
        return {
            1: "1",
            2: self._coded(entry.type_code),
            3: "AP",
            4: _time(entry.service_start_time),
            5: person,
            6: _time(entry.creation_time),
            9: person,
            12: number,
            13: former,
            14: repeated(map(_entity, _references(entry, v.REFERENCE_ORDER))),
            15: next(map(_entity, _references(entry, v.REFERENCE_ACCESSION)), ""),
            17: "PA" if self.document.is_preliminary else "AU",
            18: self._confidentiality(),
            19: "CA" if trigger == "T11" else "AV",
            25: escaped(entry.title or "") if self._form.version >= "2.4" else "",
        }

    def _confidentiality(self) -> str:
        codes = {_CONFIDENTIALITY.get(one.code, "R") for one in self._entry.confidentiality_code}
        return next((one for one in ("V", "R", "U") if one in codes), "")

    def _number(self, entry: DocumentEntry | None) -> str:
        """Return the number of a document as an EI."""
        if entry is None:
            return ""
        if self._form.number == "source" and (
            found := next(_references(entry, v.REFERENCE_ACCESSION), None)
        ):
            return _entity(found)
        return escaped(entry.unique_id or "")

    def _coded(self, code: Code | None) -> str:
        if code is None:
            return ""
        scheme = code.coding_scheme
        system = self._form.coding_systems.get(scheme) or _SYSTEMS.get(scheme) or scheme
        return composed(code.code, code.display_name, system)

    def _content(self, writer: MessageWriter, status: str) -> None:
        """Write the document in one OBX, or in as many as its pieces need."""
        if self.document.blocks is None:
            return
        coded = self._coded(self._entry.type_code)
        if coded == "":
            coded = composed("18842-5", "Document", "LN")
        common = {2: "ED", 3: coded, 4: "1", 11: status, 14: _time(self._entry.creation_time)}
        before = "^".join([*map(escaped, self._embedded()), "Base64", ""])
        source = self.document.blocks
        if not self._form.chunk_characters:
            content = StreamedField(before, lambda: base64_blocks.encode(source()))
            writer.segment("OBX", {1: "1", **common, 5: content})
            return
        pieces = _pieces(source(), self._form.chunk_characters // 4 * 3)
        for place, piece in enumerate(pieces, 1):
            text = b"".join(base64_blocks.encode([piece])).decode()
            writer.segment("OBX", {1: str(place), **common, 5: before + text})

    def _embedded(self) -> tuple[str, str, str]:
        mime_type = self._entry.mime_type or "application/octet-stream"
        if mime_type == "application/pdf":
            return self._form.embedded
        kind, _, subtype = mime_type.partition("/")
        return "", kind, subtype


_WITH_CONTENT: Final = frozenset({"T02", "T04", "T06", "T08", "T10"})


def _pieces(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield bytes in pieces of one size, the last one shorter."""
    rest = b""
    for block in blocks:
        rest += block
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest:
        yield rest


def _time(dtm: str | None) -> str:
    """Return a DTM of metadata, which is UTC, with its offset where it has a time."""
    if not dtm:
        return ""
    return f"{dtm}+0000" if len(dtm) > len("20260101") else dtm


def _source_info(entry: DocumentEntry) -> Iterator[tuple[int, str]]:
    for value in entry.source_patient_info:
        field, _, content = value.partition("|")
        number = field.removeprefix("PID-")
        if number.isdecimal():
            yield int(number), content


def _identity(cx: str) -> tuple[str, str]:
    """Return id and domain of a CX, the id as it is written."""
    number, _, _, authority, *_ = (*cx.split("^"), "", "", "", "")
    return number, [*authority.split("&"), "", ""][1]


def _references(entry: DocumentEntry, kind: str) -> Iterator[str]:
    """Yield the CXi of a type in referenceIdList (ITI TF-3 4.2.3.2.28)."""
    for value in entry.reference_id_list:
        if value.split("^")[4:5] == [kind]:
            yield value


def _entity(cxi: str) -> str:
    """Return an EI of a CXi: the number, and its authority."""
    number, oid = _identity(cxi)
    return f"{number}^^{oid}^ISO" if oid else number
