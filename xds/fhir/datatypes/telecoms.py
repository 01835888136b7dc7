"""Telecommunication: XTN of XDS, ContactPoint of FHIR."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.exact import believed, keep
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import XTN

_TELEPHONE: Final = re.compile(
    r"\+(?P<country>[0-9]{1,3}) (?P<area>[0-9]{1,6}) (?P<number>[0-9]+(?:[ -][0-9]+)*)"
    r"(?: x(?P<extension>[0-9]+))?"
)
"""A number whose parts can be told apart; any other is one text, the local number."""

_SYSTEMS: Final[Mapping[str, str]] = {"PH": "phone", "CP": "phone", "FX": "fax", "BP": "pager"}
_EQUIPMENT: Final[Mapping[str, str]] = {"phone": "PH", "sms": "PH", "fax": "FX", "pager": "BP"}
_USES: Final[Mapping[str, str]] = {"PRN": "home", "WPN": "work"}
_USE_CODES: Final[Mapping[str, str]] = {use: code for code, use in _USES.items()}


def contact_point(text: str) -> Resource:
    """Return an XTN as ContactPoint."""
    element = dict(_written(text))
    if _canonical(text) != text:
        keep(element, text)
    return element


def contact_points(texts: Iterable[str]) -> list[Resource]:
    """Return XTNs as ContactPoints."""
    return [contact_point(text) for text in texts if text]


def read_contact_point(element: Resource) -> str | None:
    """Return a ContactPoint as XTN, None where it has no value."""
    return believed(element, _read(element), _canonical)


def read_contact_points(elements: Iterable[Resource]) -> tuple[str, ...]:
    """Return ContactPoints as XTNs; those without a value are passed over."""
    found = [read_contact_point(element) for element in elements]
    return tuple(text for text in found if text is not None)


@lru_cache(CACHED)
def _canonical(text: str) -> str | None:
    return _read(_written(text))


@lru_cache(CACHED)
def _written(text: str) -> Mapping[str, str]:
    try:
        parsed = XTN.parse(text)
    except ValueError:
        return {"system": "other", "value": text}
    if parsed.is_internet:
        kind = "url" if "://" in parsed.address else "email"
        return {"system": kind, "value": parsed.address}
    system = _SYSTEMS.get(parsed.equipment_type, "other")
    found = {"system": system, "value": _number(parsed)}
    if parsed.equipment_type == "CP":
        found["use"] = "mobile"
    elif parsed.use_code in _USES:
        found["use"] = _USES[parsed.use_code]
    return found


def _number(parsed: XTN) -> str:
    country = f"+{parsed.country_code}" if parsed.country_code else ""
    extension = f"x{parsed.extension}" if parsed.extension else ""
    return " ".join(part for part in (country, parsed.area_code, parsed.number, extension) if part)


def _read(element: Mapping[str, str]) -> str | None:
    value, system = element.get("value", ""), element.get("system", "")
    if not value.strip():
        return None
    if system in ("email", "url") or (system not in _EQUIPMENT and "@" in value):
        return str(XTN("NET", "Internet", value))
    use = element.get("use", "")
    equipment = "CP" if use == "mobile" and system != "fax" else _EQUIPMENT.get(system, "PH")
    code = _USE_CODES.get(use, "")
    match = _TELEPHONE.fullmatch(value)
    if match is None:
        return str(XTN(code, equipment, number=value))
    parts = match.groupdict(default="")
    return str(
        XTN(
            code,
            equipment,
            "",
            parts["country"],
            parts["area"],
            parts["number"],
            parts["extension"],
        )
    )
