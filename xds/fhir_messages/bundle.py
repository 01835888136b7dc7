"""The resources of a message, and what they refer to."""

import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from xds import base64_blocks
from xds.base64_blocks import BadBase64
from xds.fhir.datatypes import times
from xds.fhir.r4.resource import Resource
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import CarriedContent, EntityNumber
from xds.messaging.verdicts import CORRUPT, DATA_TYPE, MessageFinding, MessageVerdict, refused
from xds.metadata.objects import Code
from xds.metadata.systems import Systems

_OID_URN: Final = "urn:oid:"


@dataclass(frozen=True, slots=True)
class PlacedResource:
    """A resource of the Bundle."""

    resource: Resource
    path: str
    """FHIRPath: ``Bundle.entry[1].resource``."""


@dataclass(slots=True)
class MessageBundle:
    """A message while it is read. Errors and warnings are collected."""

    bundle: Resource
    systems: Systems
    errors: list[MessageFinding] = field(default_factory=list)
    warnings: list[MessageFinding] = field(default_factory=list)
    _by_url: dict[str, PlacedResource] = field(default_factory=dict)
    _by_type: dict[str, list[PlacedResource]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, entry in enumerate(self.bundle.get("entry", ())):
            resource = entry.get("resource")
            if not resource:
                continue
            placed = PlacedResource(resource, f"Bundle.entry[{place}].resource")
            kind = resource.get("resourceType", "")
            self._by_type.setdefault(kind, []).append(placed)
            names = [entry.get("fullUrl", "")]
            if identifier := resource.get("id"):
                names += [f"{kind}/{identifier}", f"urn:uuid:{identifier}"]
            for name in names:
                self._by_url.setdefault(name, placed)

    def of_type(self, kind: str) -> Sequence[PlacedResource]:
        """Return the resources of a type, in their order."""
        return self._by_type.get(kind, ())

    def referred(self, reference: Mapping[str, Any] | None) -> PlacedResource | None:
        """Return the resource of the Bundle that a Reference names; None where it is not there."""
        return self._by_url.get((reference or {}).get("reference", ""))

    def at(self, url: str) -> PlacedResource | None:
        """Return the resource with a fullUrl."""
        return self._by_url.get(url)

    def fail(self, verdict: MessageVerdict, path: str, reason: str) -> None:
        """Add an error, which refuses the message."""
        self.errors.append(MessageFinding(verdict=verdict, location=path, reason=reason))

    def warn(self, verdict: MessageVerdict, path: str, reason: str) -> None:
        """Add a warning."""
        finding = MessageFinding(verdict=verdict, location=path, reason=reason, is_warning=True)
        if finding not in self.warnings:
            self.warnings.append(finding)

    def time(self, text: str | None, path: str) -> str:
        """Return a date, dateTime or instant as a DTM; empty, and a warning, where it is none."""
        if not text:
            return ""
        try:
            return times.dtm(text)
        except ValueError:
            self.warn(DATA_TYPE, path, "this is no time: it is not used")
            return ""

    def code(self, concept: Mapping[str, Any] | None) -> Code | None:
        """Return the first coding of a CodeableConcept that has a system."""
        for coding in (concept or {}).get("coding", ()):
            system, code = coding.get("system", ""), coding.get("code", "")
            if system and code:
                display = coding.get("display") or (concept or {}).get("text") or ""
                return Code(code.strip(), self.systems.scheme(system), display)
        return None

    def resource(self, reference: Mapping[str, Any] | None) -> Resource:
        """Return what a Reference names; empty where it is not in the Bundle."""
        found = self.referred(reference)
        return found.resource if found else {}

    def content(self, attachment: Mapping[str, Any], path: str) -> CarriedContent | None:
        """Return the document of an Attachment: in it, or in a Binary of the Bundle."""
        mime_type = (attachment.get("contentType") or "").partition(";")[0].strip().lower()
        if attachment.get("data"):
            return CarriedContent(
                chunks=_DecodedData(attachment["data"], path), mime_type=mime_type, location=path
            )
        binary = self.at(attachment.get("url", ""))
        if binary is None or binary.resource.get("resourceType") != "Binary":
            return None
        declared = binary.resource.get("contentType", "").partition(";")[0].strip().lower()
        where = f"{binary.path}.data"
        chunks = _DecodedData(binary.resource.get("data", ""), where)
        return CarriedContent(chunks=chunks, mime_type=mime_type or declared, location=where)


@dataclass(frozen=True, slots=True)
class _DecodedData:
    """Decodes base64, from its beginning at each call."""

    text: str
    path: str

    def __call__(self) -> Iterator[bytes]:
        try:
            yield from base64_blocks.decode_text(self.text)
        except (BadBase64, binascii.Error):
            raise refused(CORRUPT, self.path, "this is not base64") from None


def number_of(
    identifier: Mapping[str, Any], flavour: Flavour, issuer: str = ""
) -> EntityNumber | None:
    """Return the number of an Identifier, with its authority as HL7 v2 would have it.

    The assigner is the organisation that a v2 message names by its code, ``issuer`` who it is where
    none is named; so the number of a report is the same whichever way it comes.
    """
    value = (identifier.get("value") or "").strip()
    if not value:
        return None
    assigner = ((identifier.get("assigner") or {}).get("identifier") or {}).get("value") or ""
    authority = assigner.strip() or issuer
    system = identifier.get("system") or ""
    known = flavour.number_authorities
    oid = system.removeprefix(_OID_URN) if system.startswith(_OID_URN) else ""
    oid = oid or known.get(authority, "") or known.get(system, "")
    if not oid and authority and authority == flavour.authority:
        oid = flavour.authority_oid
    return EntityNumber(value=value, authority=authority, oid=oid)


def type_of(identifier: Mapping[str, Any]) -> str:
    """Return the code of an Identifier's type (HL7 table 0203): ``PLAC``, ``FILL``."""
    codings = (identifier.get("type") or {}).get("coding", ())
    return next((one.get("code", "") for one in codings if one.get("code")), "")
