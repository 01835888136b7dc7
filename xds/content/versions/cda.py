"""The versions of a CDA document: setId, versionNumber, relatedDocument (CDA R2 4.2.1, 4.2.3)."""

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import Element
from xds.fhir.r4.outcome import Refused
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.submission import StatedRelation, StatedVersion
from xds.metadata.unique_ids import normal

_RELATIONSHIPS: Final[Mapping[str, str]] = {"RPLC": v.RPLC, "APND": v.APND, "XFRM": v.XFRM}
"""By relatedDocument/@typeCode."""
_MOST_DIGITS: Final = 18


def stated(root: Element, zone: tzinfo) -> StatedVersion:
    """Read them of a ClinicalDocument element; ``zone`` is that of times that state none."""
    faults: list[str] = []
    return StatedVersion(
        set_id=_set_id(root, faults, "setId"),
        version=_version(root, faults),
        moment=_moment(root, zone),
        names=tuple(normal(str(one)) for one in hl7.identifiers(hl7.each(root, "id"))),
        related=tuple(_related(root, faults)),
        faults=tuple(dict.fromkeys(faults)),
    )


def _set_id(element: Element, faults: list[str], name: str) -> str:
    found = hl7.first(element, "setId")
    if found is None:
        return ""
    set_id = "".join(map(str, hl7.identifiers([found])))
    if not set_id:
        faults.append(f"the root of {name} is neither an OID nor a UUID")
        return ""
    try:
        datatypes.check_identifier(set_id)
    except ValueError as reason:
        faults.append(f"{name}: {reason}")
        return ""
    return normal(set_id)


def _version(root: Element, faults: list[str]) -> int | None:
    found = hl7.first(root, "versionNumber")
    if found is None:
        return None
    said = (found.get("value") or "").strip()
    if said.isascii() and said.isdecimal() and len(said) <= _MOST_DIGITS:
        return int(said)
    faults.append("versionNumber is not a whole number")
    return None


def _moment(root: Element, zone: tzinfo) -> str:
    try:
        said = hl7.time(hl7.first(root, "effectiveTime"), zone)
    except Refused:
        return ""
    return datatypes.earliest(said) if said else ""


def _related(root: Element, faults: list[str]) -> Iterator[StatedRelation]:
    for element in hl7.each(root, "relatedDocument"):
        kind = _RELATIONSHIPS.get(element.get("typeCode") or "")
        for parent in hl7.each(element, "parentDocument") if kind else ():
            ids = tuple(map(str, hl7.identifiers(hl7.each(parent, "id"))))
            set_id = _set_id(parent, faults, "parentDocument/setId")
            if kind and (ids or set_id):
                yield StatedRelation(association_type=kind, unique_ids=ids, set_id=set_id)
