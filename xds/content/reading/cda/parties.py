"""Persons, organisations and devices that play a role in a CDA, as readers see them."""

from collections.abc import Sequence
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import Element
from xds.content.reading.model import ContentParty

_PERSONS: Final = (
    "assignedPerson",
    "associatedPerson",
    "informationRecipient",
    "playingEntity",
)
_ORGANISATIONS: Final = (
    "representedOrganization",
    "scopingOrganization",
    "receivedOrganization",
    "representedCustodianOrganization",
)
_DEVICES: Final = ("assignedAuthoringDevice", "playingDevice")


def shown(name: Element) -> str:
    """Return a name as its readers see it: its parts in the order that they have."""
    parts = [hl7.text(part) for part in name.iterchildren("{*}*")]
    return " ".join(part for part in parts if part) or hl7.text(name)


def _named(element: Element | None) -> str:
    found = hl7.names(element) if element is not None else []
    return shown(found[0]) if found else ""


def address(element: Element) -> str:
    """Return the first address of an element, its parts separated by commas."""
    found = hl7.first(element, "addr")
    return "" if found is None else shown_address(found)


def shown_address(found: Element) -> str:
    """Return an address as its readers see it, its parts separated by commas."""
    parts = [hl7.text(part) for part in found.iterchildren("{*}*")]
    return ", ".join(part for part in parts if part) or hl7.text(found)


def _telecoms(element: Element) -> tuple[str, ...]:
    values = ((one.get("value") or "").strip() for one in hl7.each(element, "telecom"))
    return tuple(value for value in values if value)


def cx(element: Element) -> tuple[str, ...]:
    """Return the ids within an OID as CX; the rest as they are."""
    ids = hl7.identifiers(hl7.each(element, "id"))
    return tuple(f"{one.extension}^^^&{one.root}&ISO" if one.is_cx else str(one) for one in ids)


def party(role: Element, *, said: str = "", time: str = "") -> ContentParty:
    """Read who plays a role: assignedAuthor, assignedEntity, participantRole and the like."""
    person = _first(role, _PERSONS)
    organisation = _first(role, _ORGANISATIONS)
    return ContentParty(
        name=_named(person) or _device(role),
        organisation=_named(organisation),
        role=said,
        time=time,
        identifiers=cx(role) or (cx(organisation) if organisation is not None else ()),
        address=address(role) or (address(organisation) if organisation is not None else ""),
        telecoms=_telecoms(role) or (_telecoms(organisation) if organisation is not None else ()),
    )


def _first(element: Element, names: Sequence[str]) -> Element | None:
    return next((one for name in names if (one := hl7.first(element, name)) is not None), None)


def _device(role: Element) -> str:
    device = _first(role, _DEVICES)
    if device is None:
        return ""
    parts = (
        hl7.text(hl7.first(device, name)) for name in ("manufacturerModelName", "softwareName")
    )
    return " ".join(part for part in parts if part)
