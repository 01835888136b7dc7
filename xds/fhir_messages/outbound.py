"""A document goes out as a FHIR message (FHIR R4, Messaging 2.4), to `$process-message`.

The Bundle holds MessageHeader, Patient, DocumentReference, and the document as Binary where its
event has content. Event and numbers are those that an MDM of HL7 v2 would have.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from xds import base64_blocks
from xds.config import Config
from xds.fhir.datatypes import demographics, times
from xds.fhir.datatypes.identifiers import (
    patient_identifier,
    reference_identifier,
    unique_identifier,
)
from xds.fhir.r4.resource import Resource
from xds.messaging.outbound.answers import AnswerVerdict, JudgedAnswer
from xds.messaging.outbound.building import DocumentToSend, MessageToSend, trigger_of
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.syntax import MessageSyntax
from xds.messaging.verdicts import AcknowledgementReading
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.metadata.systems import Systems
from xds.mhd.mapping.writing_documents import written

_EVENTS: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_SOFTWARE: Final = "XDS.b Document Registry and Repository"
_MESSAGES: Final = uuid5(NAMESPACE_URL, "urn:xds:outbound-message")
_NUMBERS: Final = {v.REFERENCE_ACCESSION: "FILL", v.REFERENCE_ORDER: "PLAC"}
_CODES: Final = {
    "ok": AnswerVerdict.DELIVERED,
    "transient-error": AnswerVerdict.TRY_AGAIN,
    "fatal-error": AnswerVerdict.GIVE_UP,
}
_DATA: Final = "@data@"
"""Stands where the document goes in."""


def syntax(config: Config) -> MessageSyntax:
    """Return how FHIR messages are written and answered."""
    systems = Systems.read(config.identifier_systems)

    def write(
        destination: Destination, message: MessageToSend, document: DocumentToSend
    ) -> Iterable[bytes]:
        bundle = _Bundle(systems, destination, message, document)
        return _WithDocument(bundle.text(), document.blocks if bundle.has_content else None)

    return MessageSyntax("application/fhir+json", write, judged)


@dataclass(frozen=True, slots=True)
class _WithDocument:
    """The blocks of a message, from the beginning each time that it is iterated."""

    text: str
    document: Callable[[], Iterable[bytes]] | None

    def __iter__(self) -> Iterator[bytes]:
        if self.document is None:
            yield self.text.encode()
            return
        before, _, after = self.text.rpartition(_DATA)
        yield before.encode()
        yield from base64_blocks.encode(self.document())
        yield after.encode()


@dataclass(frozen=True, slots=True)
class _Bundle:
    systems: Systems
    destination: Destination
    message: MessageToSend
    document: DocumentToSend

    def text(self) -> str:
        """Return the Bundle with a mark where the document goes in, near its end."""
        resources = {
            "header": self._header(),
            "patient": self._patient(),
            "reference": self._reference(),
        }
        if self.has_content:
            mime_type = self._entry.mime_type or "application/octet-stream"
            resources["binary"] = {
                "resourceType": "Binary",
                "contentType": mime_type,
                "data": _DATA,
            }
        bundle = {
            "resourceType": "Bundle",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": self._url("message")},
            "type": "message",
            "timestamp": times.instant(self.message.now),
            "entry": [
                {"fullUrl": self._url(name), "resource": one} for name, one in resources.items()
            ],
        }
        return json.dumps(bundle, ensure_ascii=False)

    @property
    def _entry(self) -> DocumentEntry:
        return self.document.entry

    @property
    def _trigger(self) -> str:
        return trigger_of(self.destination, self.document)

    @property
    def has_content(self) -> bool:
        """Whether the document goes along."""
        return self.document.blocks is not None and self._trigger not in ("T03", "T11")

    def _url(self, name: str) -> str:
        return f"urn:uuid:{_uuid(self.message.id, name)}"

    def _header(self) -> Resource:
        to = self.destination
        return {
            "resourceType": "MessageHeader",
            "id": _uuid(self.message.id, "header"),
            "eventCoding": {"system": _EVENTS, "code": self._trigger},
            "destination": [
                {
                    "name": to.receiving_application or to.name,
                    "endpoint": to.address,
                    **_organisation("receiver", to.receiving_facility),
                }
            ],
            **_organisation("sender", to.sending_facility),
            "source": {
                "name": to.sending_application,
                "software": _SOFTWARE,
                "endpoint": f"urn:xds:{to.sending_application or 'source'}",
            },
            "focus": [{"reference": self._url("reference")}],
        }

    def _patient(self) -> Resource:
        entry = self._entry
        said = demographics.patient(
            entry.source_patient_id, entry.source_patient_info, self.systems
        )
        ids = [patient_identifier(entry.patient_id or "", self.systems)]
        ids += [one for one in said.get("identifier", ()) if one not in ids]
        return {"resourceType": "Patient", **said, "identifier": ids}

    def _reference(self) -> Resource:
        entry = self._entry
        made = written(entry, self.systems).resource("")
        made["subject"] = {"reference": self._url("patient")}
        made["date"] = times.instant(entry.creation_time or self.message.now)
        made["docStatus"] = "preliminary" if self.document.is_preliminary else "final"
        made["description"] = entry.title or ""
        made["identifier"] = [*self._numbers(entry), *made.get("identifier", ())]
        if self.document.change == "withdrawn":
            made["status"], made["docStatus"] = "entered-in-error", "entered-in-error"
        attachment: dict[str, Any] = made["content"][0]["attachment"]
        attachment.pop("url", None)
        if self.has_content:
            attachment["url"] = self._url("binary")
        if self.document.parent is not None:
            made["relatesTo"] = [self._relation(self.document.parent)]
        return {name: value for name, value in made.items() if value}

    def _relation(self, parent: DocumentEntry) -> Resource:
        own = [*self._numbers(parent), unique_identifier(parent.unique_id or "", self.systems)]
        code = "appends" if self.document.change == "appended" else "replaces"
        return {"code": code, "target": {"identifier": own[0]}}

    def _numbers(self, entry: DocumentEntry) -> Iterator[Resource]:
        """Yield the numbers of report and order, typed as messages have them."""
        for value in sorted(entry.reference_id_list, key=_kind):
            if kind := _NUMBERS.get(_kind(value)):
                coding = {"system": _IDENTIFIER_TYPES, "code": kind}
                number = reference_identifier(value, self.systems)
                yield {**number, "type": {"coding": [coding]}}


def _kind(cxi: str) -> str:
    return (cxi.split("^") + [""] * 5)[4]


def _organisation(name: str, code: str) -> Resource:
    return {name: {"identifier": {"value": code}}} if code else {}


def _uuid(message_id: str, name: str) -> str:
    return str(uuid5(_MESSAGES, f"{message_id} {name}"))


def judged(answer: bytes, message_id: str, _: AcknowledgementReading) -> JudgedAnswer:
    """Judge the response to a message: it names the MessageHeader, or the Bundle."""
    try:
        header = json.loads(answer)["entry"][0]["resource"]
        code, named = header["response"]["code"], header["response"]["identifier"]
    except (ValueError, LookupError, TypeError):
        return JudgedAnswer(AnswerVerdict.NOT_OURS)
    own = {_uuid(message_id, "header"), f"urn:uuid:{_uuid(message_id, 'message')}"}
    if named not in own or code not in _CODES:
        return JudgedAnswer(AnswerVerdict.NOT_OURS)
    return JudgedAnswer(_CODES[code], code)
