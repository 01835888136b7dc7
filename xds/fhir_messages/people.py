"""People and organisations of a message, as HL7 v2 would name them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from xds.fhir_messages.bundle import MessageBundle
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessageOrganisation, MessagePerson

_PEOPLE: Final = frozenset({"", "Practitioner", "PractitionerRole"})
_ORGANISATION: Final = "Organization"


def people(
    message: MessageBundle,
    flavour: Flavour,
    references: Iterable[Mapping[str, Any]],
    role: str = "",
) -> tuple[MessagePerson, ...]:
    """Return the persons of some References, each once; organisations and devices are left out."""
    found = (_person(message, flavour, one, role) for one in references)
    return tuple(dict.fromkeys(one for one in found if one))


def _person(
    message: MessageBundle, flavour: Flavour, reference: Mapping[str, Any], role: str
) -> MessagePerson | None:
    said = message.resource(reference)
    if said.get("resourceType", reference.get("type", "")) not in _PEOPLE:
        return None
    if said.get("resourceType") == "PractitionerRole":
        said = message.resource(said.get("practitioner"))
    name: Mapping[str, Any] = next(iter(said.get("name", ())), {})
    family, given = name.get("family") or "", " ".join(name.get("given", ())[:1])
    if not family:
        given, family = _named(flavour, name.get("text") or reference.get("display") or "")
    identifier = _identifier(said, reference)
    number = (identifier.get("value") or "").strip()
    system = identifier.get("system") or ""
    if number and not family and not any(map(str.isdigit, number)):
        number, family = "", number  # as in HL7 v2: a name that is typed in
    if not (number or family):
        return None
    oid = message.systems.authority(system) or flavour.person_authorities.get(system, "")
    prefix = " ".join(name.get("prefix", ())[:1])
    return MessagePerson(
        family=family, given=given, prefix=prefix, id=number, oid=oid if number else "", role=role
    )


def _named(flavour: Flavour, text: str) -> tuple[str, str]:
    """Return given and family name of a text."""
    words = text.split()
    if flavour.display_names == "given-family" and len(words) > 1:
        return " ".join(words[:-1]), words[-1]
    return "", " ".join(words)


def _identifier(said: Mapping[str, Any], reference: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(said.get("identifier", ())), None) or reference.get("identifier") or {}


def organisations(
    message: MessageBundle, flavour: Flavour, references: Iterable[Mapping[str, Any] | None]
) -> Iterator[MessageOrganisation]:
    """Yield the organisations of some References; people are left out."""
    for one in references:
        if one and (found := _organisation(message, flavour, one)):
            yield found


def _organisation(
    message: MessageBundle, flavour: Flavour, reference: Mapping[str, Any]
) -> MessageOrganisation | None:
    said = message.resource(reference)
    if said.get("resourceType") == "PractitionerRole":
        return next(organisations(message, flavour, [said.get("organization")]), None)
    identifier = _identifier(said, reference)
    system = identifier.get("system") or ""
    kind = said.get("resourceType") or reference.get("type") or ""
    is_one = not kind and system in flavour.organisation_authorities
    if kind != _ORGANISATION and not is_one:
        return None
    code = (identifier.get("value") or "").strip()
    oid = flavour.organisation_authorities.get(system) or message.systems.authority(system) or ""
    display = reference.get("display") or ""
    return flavour.organisation(said.get("name") or "", code, oid if code else "", display)
