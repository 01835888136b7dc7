"""The versions of a FHIR document: Composition.identifier, relatesTo, dates (FHIR R4, 2.42).

R4 has no number of a version; an extension may say it. Else dates order the versions: that of the
Composition, then the time at which the Bundle was put together.
"""

from collections.abc import Iterator
from typing import Any, Final

from xds.fhir.datatypes import times
from xds.fhir.datatypes.identifiers import unique_id_of
from xds.fhir.datatypes.relations import read_relates_to
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import OID_URN, UUID_URN
from xds.metadata import datatypes
from xds.metadata.submission import StatedRelation, StatedVersion
from xds.metadata.systems import Systems
from xds.metadata.unique_ids import normal

_VERSION_NUMBERS: Final = (
    "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber",
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Composition.version",
)
_MOST_DIGITS: Final = 18
_NO_TIME: Final = "0" * 14


def stated(bundle: Resource, systems: Systems) -> StatedVersion:
    """Read them of a FHIR document whose structure is in order."""
    composition: Resource = bundle["entry"][0]["resource"]
    faults: list[str] = []
    name = _name(bundle.get("identifier") or {}, systems)
    return StatedVersion(
        set_id=_set_id(composition, systems, faults),
        version=_version(composition),
        moment=f"{_instant(composition.get('date'))} {_instant(bundle.get('timestamp'))}",
        names=(name,) if name else (),
        related=tuple(_related(composition, systems)),
        faults=tuple(faults),
    )


def _set_id(composition: Resource, systems: Systems, faults: list[str]) -> str:
    identifier = composition.get("identifier")
    if not identifier:
        return ""
    set_id = _name(identifier, systems)
    try:
        datatypes.check_identifier(set_id)
    except ValueError as reason:
        faults.append(f"Composition.identifier names no set of versions: {reason}")
        return ""
    return set_id


def _name(identifier: Resource, systems: Systems) -> str:
    """Return an Identifier as a uniqueId, or as system and value where it can be none."""
    try:
        return normal(unique_id_of(identifier, systems))
    except ValueError:
        system, value = identifier.get("system") or "", identifier.get("value") or ""
        return f"{system}|{value}" if system and value else ""


def _version(composition: Resource) -> int | None:
    for extension in composition.get("extension") or ():
        said: str = extension.get("valueString") or ""
        is_number = said.isascii() and said.isdecimal() and len(said) <= _MOST_DIGITS
        if is_number and extension.get("url") in _VERSION_NUMBERS:
            return int(said)
    return None


def _instant(said: Any) -> str:
    try:
        return datatypes.earliest(times.dtm(said)) if said else _NO_TIME
    except ValueError:
        return _NO_TIME


def _related(composition: Resource, systems: Systems) -> Iterator[StatedRelation]:
    relations = [
        {
            "code": one.get("code"),
            "target": one.get("targetReference") or {"identifier": one.get("targetIdentifier")},
        }
        for one in composition.get("relatesTo", ())
    ]
    for one in read_relates_to({"relatesTo": relations}, "Composition"):
        if found := _name_of_target(one.target, systems):
            yield StatedRelation(association_type=one.association_type, unique_ids=(found,))


def _name_of_target(target: Resource, systems: Systems) -> str:
    literal: str = target.get("reference") or ""
    if literal.startswith((OID_URN, UUID_URN)):
        return literal.removeprefix(OID_URN)
    return _name(target.get("identifier") or {}, systems)
