"""What the MessageHeader of a message says (FHIR R4, Messaging 2.4)."""

from typing import Any, Final

from xds.fhir.r4.resource import Resource
from xds.fhir_messages.bundle import MessageBundle, PlacedResource
from xds.messaging.model import MessageEnvelope
from xds.messaging.verdicts import EVENT, FIELD, TYPE, VERSION, refused

EVENTS: Final = {
    "R01": "ORU",
    **{f"T{number:02}": "MDM" for number in range(1, 12)},
    "O01": "ORM",
    "O19": "OMG",
    "O21": "OML",
}
"""The events that are read, and the message code that HL7 v2 has for each."""
_V2_EVENTS: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"
_PATHOLOGY: Final = ("http://snomed.info/sct", "371528001")
"""Pathology report, by which NHS profiles name what v2 calls R01."""


def header_of(message: MessageBundle) -> PlacedResource:
    """Return the MessageHeader, the first resource; ContentRefused where there is none of R4."""
    entries = message.bundle.get("entry") or ()
    first = entries[0].get("resource") if entries else None
    if not first or first.get("resourceType") != "MessageHeader":
        where = "Bundle.entry[0].resource"
        raise refused(TYPE, where, "the first resource of a message is its MessageHeader")
    if "event" in first or "timestamp" in first:
        where = "Bundle.entry[0].resource.event"
        raise refused(VERSION, where, "this is a message of STU3: R4 has eventCoding")
    return PlacedResource(first, "Bundle.entry[0].resource")


def envelope_of(message: MessageBundle, header: PlacedResource) -> MessageEnvelope:
    """Read a MessageHeader; ContentRefused where it names no event that is read here."""
    resource = header.resource
    trigger = _trigger(resource)
    if not trigger:
        raise refused(FIELD, f"{header.path}.event", "there is neither eventCoding nor eventUri")
    if trigger not in EVENTS:
        read = ", ".join(EVENTS)
        reason = f"the event is none of {read} of {_V2_EVENTS}"
        raise refused(EVENT, f"{header.path}.eventCoding", reason)
    source = resource.get("source") or {}
    to = (resource.get("destination") or [{}])[0]
    return MessageEnvelope(
        code=EVENTS[trigger],
        trigger=trigger,
        control_id=control_id_of(message, header),
        sending_application=_application(source),
        sending_facility=_organisation(resource.get("sender")),
        receiving_application=_application(to),
        receiving_facility=_organisation(to.get("receiver")),
        sent=message.time(message.bundle.get("timestamp"), "Bundle.timestamp"),
        version="R4",
    )


def request_id(message: MessageBundle, header: PlacedResource) -> str:
    """Return what a response names as the id of its request: that of the MessageHeader.

    Where it has none it is the UUID of its fullUrl, else the identifier of the Bundle.
    """
    url = (message.bundle["entry"][0].get("fullUrl") or "").removeprefix("urn:uuid:")
    return header.resource.get("id") or url or _bundle_identifier(message)


def control_id_of(message: MessageBundle, header: PlacedResource) -> str:
    """Return by what a repetition is recognised: senders make new UUIDs at each attempt."""
    return _bundle_identifier(message) or request_id(message, header)


def _bundle_identifier(message: MessageBundle) -> str:
    return ((message.bundle.get("identifier") or {}).get("value") or "").strip()


def _trigger(resource: Resource) -> str:
    coding = resource.get("eventCoding") or {}
    if (coding.get("system"), coding.get("code")) == _PATHOLOGY:
        return "R01"
    uri = resource.get("eventUri") or ""
    return coding.get("code") or uri.rpartition("#")[2].rpartition("/")[2]


def _application(source: dict[str, Any]) -> str:
    """Return the name of an application: its name, else the end of its endpoint, else software."""
    endpoint = (source.get("endpoint") or "").rstrip("/").rpartition("/")[2]
    return source.get("name") or endpoint or source.get("software") or ""


def _organisation(reference: dict[str, Any] | None) -> str:
    return (((reference or {}).get("identifier") or {}).get("value") or "").strip()
