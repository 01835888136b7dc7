"""Identifiers: CX, CXi, uniqueId and entryUUID of XDS, Identifier of FHIR (ITI TF-2 Appendix E.3).

An OID or UUID alone is a URI of ``urn:ietf:rfc:3986``; an id of an assigning authority has the
authority's system, whose URI the table of :mod:`xds.metadata.systems` knows, else ``urn:oid:``.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.exact import believed, keep
from xds.fhir.r4 import json
from xds.fhir.r4.json import Lasting
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import CX, HD, CXi, check_uuid, is_oid
from xds.metadata.systems import Systems

is_uri: Final = re.compile(r"(?i:urn:[a-z0-9][a-z0-9-]*:|[a-z][a-z0-9+.-]*://)\S+").fullmatch
"""Whether a text is a URI for certain: an id such as ``A:1`` has the shape of one, and is none."""

_UUID: Final = re.compile(r"(?i:urn:uuid:)?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")


def resource_id(entry_uuid: str) -> str:
    """Return the logical id of the resource that stands for an object: its bare UUID."""
    return entry_uuid.removeprefix(f.UUID_URN)


# --- one id and its authority --------------------------------------------------------------------


def identifier(number: str, authority: str, systems: Systems) -> Resource:
    """Return an id and the OID of its authority, which is empty where it needs none."""
    if authority:
        return {"system": systems.uri(authority), "value": number}
    if is_oid(number):
        return {"system": f.URI_SYSTEM, "value": f.OID_URN + number}
    if is_uri(number):
        return {"system": f.URI_SYSTEM, "value": number}
    return {"value": number}


def number_and_authority(element: Resource, systems: Systems) -> tuple[str, str]:
    """Return an id and the OID of its authority; ValueError where that cannot be expressed."""
    system, value = element.get("system", ""), element.get("value", "")
    if not value:
        raise ValueError("the identifier has no value")
    if system == f.URI_SYSTEM or not system:
        oid = value.removeprefix(f.OID_URN)
        return (oid if is_oid(oid) else value), ""
    authority = systems.authority(system)
    if authority is None:
        raise ValueError(
            "the system of the identifier is no OID, nor does the option identifier_systems give it"
        )
    return value, authority


def identifier_of_patient(element: Resource, systems: Systems) -> str:
    """Return an Identifier as CX; ValueError where it cannot be one."""
    number, authority = number_and_authority(element, systems)
    if not authority:
        raise ValueError("the identifier of a patient needs a system")
    return str(CX(number, authority))


def identifier_in_use(element: Resource, systems: Systems) -> str:
    """Return an Identifier of a Patient as CX; ValueError also where it is not used any more."""
    if element.get("use") == _OLD:
        raise ValueError("the identifier is not used any more (use is old)")
    return identifier_of_patient(element, systems)


_OLD: Final = "old"


@lru_cache(CACHED)
def _cx(text: str) -> CX | None:
    try:
        return CX.parse(text)
    except ValueError:
        return None


@lru_cache(CACHED)
def patient_reference(text: str, number: int | None, systems: Systems) -> Lasting:
    """Return the Reference to a patient, a CX: by identifier, and by a known number as id.

    Nobody changes it.
    """
    found = Lasting() if number is None else Lasting(reference=f"Patient/{number}")
    found["type"] = "Patient"
    found["identifier"] = patient_identifier(text, systems)
    return found


def patient_identifier(text: str, systems: Systems) -> Resource:
    """Return a CX as Identifier."""
    parsed = _cx(text)
    if parsed is None:
        return {"value": text}
    return {"system": domain(parsed.assigning_authority, systems), "value": parsed.id_number}


@lru_cache(CACHED)
def domain(oid: str, systems: Systems) -> str:
    """Return the URI of a patient identifier domain.

    It leads back to this very OID, for a patient is known by it: an OID that is an alias in the
    table stays as it is.
    """
    uri = systems.uri(oid)
    return uri if systems.authority(uri) == oid else f.OID_URN + oid


# --- uniqueId and entryUUID ----------------------------------------------------------------------

_USE: Final = {f.ENTRY_UUID: "official", f.UNIQUE_ID: "usual"}
"""How MHD before 4.2.4 told the two apart; both ways are written."""


def _marked(element: Resource, kind: str) -> Resource:
    system = f.OWN_IDENTIFIER_TYPES if kind == f.LOGICAL_ID else f.IDENTIFIER_TYPES
    found: Resource = {"use": _USE[kind]} if kind in _USE else {}
    found["type"] = {"coding": [{"system": system, "code": kind}]}
    found.update(element)
    return found


def uuid_identifier(uuid: str, kind: str = f.ENTRY_UUID) -> Resource:
    """Return an entryUUID, or a logicalID, as Identifier."""
    return _marked({"system": f.URI_SYSTEM, "value": uuid}, kind)


def uuid_identifier_text(uuid: str, kind: str = f.ENTRY_UUID) -> str:
    """Return the JSON of ``uuid_identifier``."""
    before, after = _around_value(f.URI_SYSTEM, kind)
    return f"{before}{json.text(uuid)}{after}"


def unique_identifier_text(text: str, systems: Systems) -> str:
    """Return the JSON of ``unique_identifier``."""
    if is_oid(text):
        before, after = _around_value(f.URI_SYSTEM, f.UNIQUE_ID)
        return f'{before}"{f.OID_URN}{text}"{after}'
    return json.text(unique_identifier(text, systems))


@cache
def _around_value(system: str, kind: str) -> tuple[str, str]:
    """Return the JSON of an Identifier of an object, before and behind its value."""
    before, _, after = json.text(_marked({"system": system, "value": ""}, kind)).rpartition('""')
    return before, after


def unique_identifier(text: str, systems: Systems) -> Resource:
    """Return a uniqueId as Identifier, which always has a system (MHD UniqueIdIdentifier)."""
    element = _unique(text, systems)
    if _unique_id(element, systems) != text:
        keep(element, text)
    return _marked(element, f.UNIQUE_ID)


def _unique(text: str, systems: Systems) -> Resource:
    root, separator, number = text.partition("^")
    if separator and number and is_oid(root):
        return {"system": systems.uri(root), "value": number}
    found = identifier(text, "", systems)
    return found if "system" in found else {"system": f.OWN_UNIQUE_IDS, "value": text}


def unique_id_of(element: Resource, systems: Systems) -> str:
    """Return an Identifier as uniqueId; ValueError where it cannot be one."""
    found = believed(
        element, _unique_id(element, systems), lambda t: _unique_id(_unique(t, systems), systems)
    )
    if found is None:
        raise ValueError("neither a URI nor an identifier whose system is an OID")
    return found


def _unique_id(element: Resource, systems: Systems) -> str | None:
    if element.get("system") == f.OWN_UNIQUE_IDS:
        return element.get("value") or None
    try:
        number, authority = number_and_authority(element, systems)
    except ValueError:
        return None
    return f"{authority}^{number}" if authority else _lower_uuid(number)


def _lower_uuid(text: str) -> str:
    """Write a UUID in lower case, as URIs of UUIDs are (ITI TF-3 4.2.3.1.7)."""
    match = _UUID.fullmatch(text) if text[:9].lower() == f.UUID_URN else None
    return f.UUID_URN + match[1].lower() if match else text


def package_unique_id(element: Resource, systems: Systems) -> str:
    """Return the uniqueId of a SubmissionSet or Folder, an OID; ValueError.

    A UUID has an OID of its own, 2.25 and the number that it is (ITU-T X.667).
    """
    found = unique_id_of(element, systems)
    match = _UUID.fullmatch(found)
    if match:
        return f"2.25.{UUID(match[1]).int}"
    if not is_oid(found):
        raise ValueError("the uniqueId of a SubmissionSet or Folder is an OID")
    return found


def kind_of(element: Resource) -> tuple[str, bool]:
    """Tell which identifier of an object this is, and whether its type says so outright.

    By type (MHD 4.2.4), else by use (before), else by value; an empty kind is of neither.
    """
    for one in (element.get("type") or {}).get("coding", ()):
        if one.get("system") in (f.IDENTIFIER_TYPES, f.OWN_IDENTIFIER_TYPES):
            return one.get("code", ""), True
    if "type" in element or element.get("system", f.URI_SYSTEM) != f.URI_SYSTEM:
        return "", False
    is_uuid = element.get("value", "").startswith(f.UUID_URN)
    if element.get("use") == _USE[f.UNIQUE_ID]:
        return f.UNIQUE_ID, False
    return (f.ENTRY_UUID if is_uuid else f.UNIQUE_ID), False


def of_kind(elements: Sequence[Resource], kind: str) -> list[tuple[int, Resource]]:
    """Return the identifiers of a kind with their places, those that say it outright first."""
    found = [(i, one, kind_of(one)) for i, one in enumerate(elements)]
    found.sort(key=lambda row: not row[2][1])
    return [(i, one) for i, one, (its_kind, _) in found if its_kind == kind]


def uuid_of(element: Resource) -> str:
    """Return the value of an entryUUID or logicalID; ValueError."""
    found = _lower_uuid(element.get("value", ""))
    check_uuid(found)
    return found


# --- referenceIdList -----------------------------------------------------------------------------

_REFERENCES: Final = 1_000
"""How many ids are kept as they were written: the documents of one case have the same."""
_TYPES_OF_V2: Final = {"ACSN": v.REFERENCE_ACCESSION, "PLAC": v.REFERENCE_ORDER}
"""Codes of HL7 v2 table 0203 that mean what a type code of IHE means."""


@lru_cache(_REFERENCES)
def reference_by_identifier(text: str, systems: Systems) -> Lasting:
    """Return a CXi as Reference by its Identifier, which nobody changes."""
    return Lasting(identifier=reference_identifier(text, systems))


def reference_identifier(text: str, systems: Systems) -> Resource:
    """Return a CXi as Identifier, whose type is the type code (ITI TF-3 4.2.3.1.7)."""
    element = _reference(text, systems)
    if _canonical_reference(text, systems) != text:
        keep(element, text)
    return element


@lru_cache(CACHED)
def _cxi(text: str) -> CXi | None:
    try:
        return CXi.parse(text)
    except ValueError:
        return None


def reference_type(text: str) -> str:
    """Return the type code of a CXi."""
    parsed = _cxi(text)
    return parsed.type_code if parsed is not None else ""


def _reference(text: str, systems: Systems) -> Resource:
    parsed = _cxi(text)
    if parsed is None:
        return {"value": text}
    authority = parsed.assigning_authority
    if authority is None:
        found = identifier(parsed.id_number, "", systems)
    else:
        found = {"value": parsed.id_number}
        oid = authority.universal_id or systems.oid_of_namespace(authority.namespace_id)
        if oid or is_uri(authority.namespace_id):
            found["system"] = systems.uri(oid) if oid else authority.namespace_id
    code = " ".join(parsed.type_code.split())
    if code:
        system = f.URI_SYSTEM if is_uri(code) else f.V2_IDENTIFIER_TYPES
        found["type"] = {"coding": [{"system": system, "code": code}]}
    return found


@lru_cache(CACHED)
def _canonical_reference(text: str, systems: Systems) -> str | None:
    element = _reference(text, systems)
    return _reference_text(element, systems, v.REFERENCE_UNIQUE_ID)


def reference_id(element: Resource, systems: Systems, type_code: str) -> str:
    """Return an Identifier as CXi; ``type_code`` is for one without a type. ValueError.

    A system that is no OID stands as the namespace of the authority, which may be any text.
    """
    plain = _reference_text(element, systems, type_code)
    found = believed(element, plain, lambda text: _canonical_reference(text, systems))
    if found is None:
        raise ValueError("the identifier has no value")
    return found


def _reference_text(element: Resource, systems: Systems, type_code: str) -> str | None:
    if not element.get("value"):
        return None
    try:
        number, oid = number_and_authority(element, systems)
        authority = HD(universal_id=oid) if oid else None
    except ValueError:
        number, authority = element["value"], HD(element["system"])
    code = _type_code(element) or type_code
    try:
        return str(CXi(number, code, authority))
    except ValueError:
        return str(CXi(number, code))


def _type_code(element: Resource) -> str | None:
    codings = (element.get("type") or {}).get("coding", ())
    codes = [one["code"] for one in codings if one.get("code")]
    of_ihe = [code for code in codes if code.startswith("urn:")]
    of_v2 = [_TYPES_OF_V2[code] for code in codes if code in _TYPES_OF_V2]
    return next(iter((*of_ihe, *of_v2, *codes)), None)
