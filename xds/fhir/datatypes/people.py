"""Persons and organisations: XCN and XON of XDS, the resources of FHIR that stand for them."""

from functools import lru_cache
from typing import Final

from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.exact import believed, keep
from xds.fhir.datatypes.identifiers import identifier, number_and_authority
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import XCN, XON, is_oid
from xds.metadata.systems import Systems

PERSONS: Final = frozenset({"Practitioner", "Patient", "RelatedPerson", "Device"})
ORGANIZATIONS: Final = frozenset({"Organization", "Group", "Location"})

# --- persons -------------------------------------------------------------------------------------


@lru_cache(CACHED)
def _xcn(text: str) -> XCN | None:
    try:
        return XCN.parse(text)
    except ValueError:
        return None


def person(text: str, systems: Systems) -> Resource:
    """Return an XCN as the content of a Practitioner (ITI TF-3 4.2.3.1.4.2)."""
    element = _person(text, systems)
    if _canonical_person(text, systems) != text:
        keep(element, text)
    return element


def _person(text: str, systems: Systems) -> Resource:
    parsed = _xcn(text)
    if parsed is None:
        return {"name": [{"text": text}]} if text.strip() else {}
    found: Resource = {}
    if parsed.id_number:
        found["identifier"] = [identifier(parsed.id_number, parsed.assigning_authority, systems)]
    name = human_name(
        parsed.family_name,
        parsed.given_name,
        parsed.further_given_names,
        parsed.suffix,
        parsed.prefix,
    )
    if name:
        found["name"] = [name]
    if parsed.degree:
        found["qualification"] = [{"code": {"text": parsed.degree}}]
    return found


def human_name(family: str, given: str, further: str, suffix: str, prefix: str) -> Resource:
    """Return the parts of a name as HumanName."""
    found: Resource = {}
    if family:
        found["family"] = family
    if given or further:
        found["given"] = [part for part in (given, *further.split(" ")) if part]
    if prefix:
        found["prefix"] = [prefix]
    if suffix:
        found["suffix"] = [suffix]
    return found


def read_human_name(name: Resource) -> tuple[str, str, str, str, str]:
    """Return family, given, further given names, suffix and prefix; a mere text is the family."""
    given = [part for part in name.get("given", ()) if part]
    return (
        name.get("family") or ("" if given else name.get("text", "")),
        given[0] if given else "",
        " ".join(given[1:]),
        " ".join(part for part in name.get("suffix", ()) if part),
        " ".join(part for part in name.get("prefix", ()) if part),
    )


@lru_cache(CACHED)
def _canonical_person(text: str, systems: Systems) -> str | None:
    return _read_person(_person(text, systems), systems)


def read_person(resource: Resource, systems: Systems) -> str | None:
    """Return what a resource says of a person, or of a device, as XCN; None where it says nothing.

    Of several names and identifiers the first one that can be said is taken.
    """
    return believed(
        resource, _read_person(resource, systems), lambda t: _canonical_person(t, systems)
    )


def _read_person(resource: Resource, systems: Systems) -> str | None:
    number, authority = _number(resource, systems)
    family, given, further, suffix, prefix = read_human_name(_name(resource))
    try:
        return str(
            XCN(number, family, given, further, suffix, prefix, _degree(resource), "", authority)
        )
    except ValueError:
        return None


def _name(resource: Resource) -> Resource:
    """Return the name; a RelatedPerson has several, as Patient and Practitioner have."""
    if resource.get("resourceType") == "Device":
        names = [one["name"] for one in resource.get("deviceName", ()) if one.get("name")]
        names += [resource[key] for key in ("modelNumber", "manufacturer") if key in resource]
        return {"text": names[0]} if names else {}
    names = resource.get("name", ())
    official = [one for one in names if one.get("use") == "official"]
    return next(iter((*official, *names)), {})


def _degree(resource: Resource) -> str:
    for one in resource.get("qualification", ()):
        code = one.get("code") or {}
        codings = code.get("coding") or [{}]
        return code.get("text") or codings[0].get("display") or codings[0].get("code") or ""
    return ""


def _number(resource: Resource, systems: Systems) -> tuple[str, str]:
    """Return the id and its authority: of several the first that has one."""
    found = []
    for one in identifiers(resource):
        try:
            found.append(number_and_authority(one, systems))
        except ValueError:
            continue
    return next((one for one in found if one[1]), found[0] if found else ("", ""))


def identifiers(resource: Resource) -> list[Resource]:
    """Return the identifiers of a resource, of whatever type it is."""
    found = resource.get("identifier", [])
    return [found] if isinstance(found, dict) else list(found)


# --- organisations -------------------------------------------------------------------------------


@lru_cache(CACHED)
def _xon(text: str) -> XON | None:
    try:
        return XON.parse(text)
    except ValueError:
        return None


def organization(text: str, systems: Systems) -> Resource:
    """Return an XON as the content of an Organization (ITI TF-3 4.2.3.1.4.1)."""
    element = _organization(text, systems)
    if _canonical_organization(text, systems) != text:
        keep(element, text)
    return element


def _organization(text: str, systems: Systems) -> Resource:
    parsed = _xon(text)
    if parsed is None:
        return {"name": text} if text.strip() else {}
    found: Resource = {}
    if parsed.organization_identifier:
        number, authority = parsed.organization_identifier, parsed.assigning_authority
        found["identifier"] = [identifier(number, authority, systems)]
    found["name"] = parsed.organization_name
    return found


@lru_cache(CACHED)
def _canonical_organization(text: str, systems: Systems) -> str | None:
    return _read_organization(_organization(text, systems), systems)


def read_organization(resource: Resource, systems: Systems) -> str | None:
    """Return what a resource says of an organisation as XON; None where it says nothing.

    An XON needs a name: where there is none, the id stands in.
    """
    return believed(
        resource,
        _read_organization(resource, systems),
        lambda text: _canonical_organization(text, systems),
    )


def _read_organization(resource: Resource, systems: Systems) -> str | None:
    number, authority = _number(resource, systems)
    name = resource.get("name") or next(iter(resource.get("alias", ())), "") or number
    if not name.strip():
        return None
    if number and not authority and not is_oid(number):
        number = ""
    return str(
        XON(
            organization_name=name,
            organization_identifier=number,
            assigning_authority=authority if number else "",
        )
    )
