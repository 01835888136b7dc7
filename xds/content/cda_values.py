"""The data types of a CDA header (HL7 v3, CDA R2) read as those of metadata (PCC TF-2 4.1.1).

An element with a nullFlavor counts as absent, as HL7 v3 means it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, TypeAlias
from urllib.parse import unquote

from lxml import etree

from xds.content.document_metadata import unreadable
from xds.metadata import datatypes, hl7_escapes
from xds.metadata.datatypes import CX, XCN, XON, XTN, is_oid
from xds.metadata.objects import Code

NS: Final = "urn:hl7-org:v3"
Element: TypeAlias = etree._Element

_is_uuid: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


# Finding elements


def each(element: Element, path: str) -> list[Element]:
    """Return the elements at a path of plain names, without what has a nullFlavor on the way."""
    found = [element]
    for step in path.split("/"):
        found = [
            child
            for one in found
            for child in one.iterchildren(f"{{{NS}}}{step}")
            if child.get("nullFlavor") is None
        ]
    return found


def first(element: Element, path: str) -> Element | None:
    """Return the first element at a path that has no nullFlavor."""
    if "/" in path:
        return next(iter(each(element, path)), None)
    for child in element.iterchildren(f"{{{NS}}}{path}"):
        if child.get("nullFlavor") is None:
            return child
    return None


def xpath(element: Element) -> str:
    """Return where an element stands, with plain names: ``/ClinicalDocument/author[2]/time``."""
    steps: list[str] = []
    here: Element | None = element
    while here is not None:
        parent = here.getparent()
        same = [here] if parent is None else list(parent.iterchildren(here.tag))
        name = etree.QName(here).localname
        steps.append(name if len(same) == 1 else f"{name}[{same.index(here) + 1}]")
        here = parent
    return "/" + "/".join(reversed(steps))


def text(element: Element | None) -> str:
    """Return the text of an element and what is in it, with single spaces."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


# II


@dataclass(frozen=True, slots=True)
class Identifier:
    """An instance identifier: a root, OID or UUID, and an extension within it."""

    root: str
    extension: str = ""

    def __str__(self) -> str:
        """Return ``root^extension``, or the root where it stands alone (PCC TF-2 4.1.1)."""
        if self.extension:
            return f"{self.root}^{self.extension}"
        return self.root if is_oid(self.root) else f"urn:uuid:{self.root.lower()}"

    @property
    def is_cx(self) -> bool:
        """Whether it can be said as a CX: an id within an OID."""
        return bool(self.extension and is_oid(self.root))


def identifiers(elements: Iterable[Element]) -> tuple[Identifier, ...]:
    """Read the ids whose root is an OID or a UUID; any other names nothing in the world."""
    return tuple(found for found in map(_identifier, elements) if found is not None)


def identifier(element: Element) -> Identifier:
    """Read an id that must be one; Refused where its root is neither OID nor UUID."""
    found = _identifier(element)
    if found is None:
        raise unreadable(f"{xpath(element)}/@root", "neither an OID nor a UUID")
    return found


def _identifier(element: Element) -> Identifier | None:
    root = (element.get("root") or "").strip()
    if not (is_oid(root) or _is_uuid(root)):
        return None
    return Identifier(root, (element.get("extension") or "").strip())


def cx(identifier: Identifier, where: str) -> str:
    """Write an id as ``ID^^^&OID&ISO``."""
    try:
        return str(CX(identifier.extension, identifier.root))
    except ValueError as reason:
        raise unreadable(where, str(reason)) from None


# CD


def code(element: Element | None) -> Code | None:
    """Read a code, or the first of its translations where it has none itself."""
    if element is None:
        return None
    for one in (element, *element.iterchildren(f"{{{NS}}}translation")):
        value, scheme = (one.get("code") or "").strip(), (one.get("codeSystem") or "").strip()
        if value and scheme:
            said = (one.get("displayName") or "").strip() or text(first(one, "originalText"))
            return Code(value, scheme, said or value)
    return None


def coded_string(element: Element | None) -> str:
    """Read a role or specialty: ``Code^^^&OID&ISO``, else its words, else nothing."""
    found = code(element)
    if found is None:
        return text(first(element, "originalText")) if element is not None else ""
    try:
        return str(datatypes.CodedString(found.code, found.coding_scheme))
    except ValueError:
        return found.display_name


# TS

_POINT: Final = re.compile(r"([0-9]{4}(?:[0-9]{2}){0,5})(?:\.[0-9]+)?([+-][0-9]{2}(?:[0-9]{2})?)?")


def time(element: Element | None, zone: tzinfo) -> str | None:
    """Read a point in time as a DTM, which is UTC; ``zone`` is that of times that state none."""
    if element is None or not (value := (element.get("value") or "").strip()):
        return None
    try:
        return dtm(value, zone)
    except (ValueError, OverflowError):
        where = f"{xpath(element)}/@value"
        raise unreadable(where, "not a time of the form YYYY[MM[DD[hh[mm[ss]]]]][±zzzz]") from None


def dtm(value: str, zone: tzinfo) -> str:
    """Turn a time of HL7 v3 into a DTM of the same precision; ValueError.

    A day has no zone: it stays the day that was written. An hour of a zone with odd minutes is
    said to the minute.
    """
    match = _POINT.fullmatch(value)
    if match is None:
        raise ValueError("not a time of HL7 v3")
    digits, offset = match[1], match[2]
    if len(digits) <= len("YYYYMMDD"):
        datatypes.check_dtm(digits)
        return digits
    there = datetime.strptime(f"{digits:0<14}", "%Y%m%d%H%M%S")
    here = there.replace(tzinfo=_offset(offset) if offset else zone).astimezone(UTC)
    precision = 12 if len(digits) == 10 and here.minute else len(digits)
    return f"{here:%Y%m%d%H%M%S}".zfill(14)[:precision]


def _offset(offset: str) -> tzinfo:
    minutes = int(offset[1:3]) * 60 + int(offset[3:] or "0")
    return timezone(timedelta(minutes=minutes if offset[0] == "+" else -minutes))


# PN, ON, AD, TEL


def _parts(element: Element, part: str) -> list[str]:
    return [said for one in each(element, part) if (said := text(one))]


def names(element: Element) -> list[Element]:
    """Return the names of a person, the legal one first."""
    return sorted(each(element, "name"), key=lambda name: "L" not in _uses(name))


def _uses(element: Element) -> list[str]:
    uses: str = element.get("use") or ""
    return uses.split()


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name in its parts; one that has none is a family name as a whole."""

    family: str
    given: tuple[str, ...]
    prefix: str
    suffix: str
    degree: str
    kind: str = ""
    """``L``: the legal name (HL7 v2 table 0200)."""

    @classmethod
    def read(cls, element: Element) -> "PersonName":
        """Read a name. Academic titles after the name are its degree."""
        suffixes = each(element, "suffix")
        degrees = [one for one in suffixes if "AC" in (one.get("qualifier") or "").split()]
        given, family = tuple(_parts(element, "given")), " ".join(_parts(element, "family"))
        return cls(
            family=family or ("" if given else text(element)),
            given=given,
            prefix=" ".join(_parts(element, "prefix")),
            suffix=" ".join(text(one) for one in suffixes if one not in degrees),
            degree=" ".join(map(text, degrees)),
            kind="L" if "L" in _uses(element) else "",
        )

    def xpn(self) -> str:
        """Write it as HL7 v2 does in PID-5."""
        given, *further = self.given or ("",)
        if not (self.family or given):
            return ""
        name = (self.family, given, " ".join(further), self.suffix, self.prefix, self.degree)
        return "^".join(map(hl7_escapes.escape, (*name, self.kind))).rstrip("^")


def xcn(ids: Iterable[Identifier], element: Element | None, called: str = "") -> str:
    """Write a person, given its ids and the element that has its names; empty if it has neither.

    ``called`` is the name of what has none in parts: a device.
    """
    number, authority = _number(ids)
    found = names(element) if element is not None else []
    name = PersonName.read(found[0]) if found else PersonName(called, (), "", "", "")
    given, *further = name.given or ("",)
    family = name.family
    if not (number or family):
        family, given = given, ""
    if not (number or family):
        return ""
    return str(
        XCN(
            id_number=number,
            family_name=family,
            given_name=given,
            further_given_names=" ".join(further),
            suffix=name.suffix,
            prefix=name.prefix,
            degree=name.degree,
            assigning_authority=authority,
        )
    )


def _number(ids: Iterable[Identifier]) -> tuple[str, str]:
    """Choose the id that XCN and XON can say: number and authority, or an OID by itself."""
    for one in ids:
        if is_oid(one.root):
            return (one.extension, one.root) if one.extension else (one.root, "")
    return "", ""


def xon(element: Element) -> str:
    """Write an organisation. One without a name goes by its number; empty if it has neither."""
    number, authority = _number(identifiers(each(element, "id")))
    name = next(iter(_parts(element, "name")), "") or number
    if not name:
        return ""
    return str(
        XON(
            organization_name=name,
            organization_identifier=number,
            assigning_authority=authority,
        )
    )


_USES: Final[Mapping[str, str]] = {
    "H": "PRN",
    "HP": "PRN",
    "HV": "VHN",
    "WP": "WPN",
    "DIR": "WPN",
    "PUB": "WPN",
    "EC": "EMR",
    "AS": "ASN",
}
"""TelecommunicationAddressUse to HL7 v2 table 0201."""
_EQUIPMENT: Final[Mapping[str, str]] = {"MC": "CP", "PG": "BP"}
"""The uses that are an equipment in HL7 v2 table 0202."""
_INTERNET: Final = frozenset({"http", "https", "ftp"})


def telecommunications(elements: Iterable[Element]) -> Iterator[str]:
    """Write every telephone and Internet address as an XTN."""
    for element in elements:
        if found := _telecommunication(element):
            yield str(found)


def _telecommunication(element: Element) -> XTN | None:
    value = (element.get("value") or "").strip()
    scheme, colon, rest = value.partition(":")
    if not colon:
        scheme, rest = "tel", value
    if not rest:
        return None
    scheme = scheme.lower()
    if scheme == "mailto" or scheme in _INTERNET:
        address = unquote(rest) if scheme == "mailto" else value
        return XTN("NET", "Internet", address)
    uses = _uses(element)
    equipment = next((_EQUIPMENT[use] for use in uses if use in _EQUIPMENT), "PH")
    return XTN(
        next((_USES[use] for use in uses if use in _USES), ""),
        "FX" if "fax" in scheme else equipment,
        number=unquote(rest),
    )


def xad(element: Element) -> str:
    """Write an address as HL7 v2 does in PID-11; one without parts is a line as a whole."""
    house = " ".join(said for part in _HOUSE for said in _parts(element, part))
    lines = [line for line in (*_parts(element, "streetAddressLine"), house) if line]
    place = [" ".join(_parts(element, part)) for part in _PLACE]
    if not (lines or any(place)):
        lines = [text(element)]
    street, *others = lines or [""]
    home = "H" if {"H", "HP"} & set(_uses(element)) else ""
    parts = (street, " ".join(others), *place)
    return "^".join(map(hl7_escapes.escape, (*parts, home))).rstrip("^") if any(parts) else ""


_HOUSE: Final = ("houseNumber", "houseNumberNumeric", "streetName", "streetNameBase")
_PLACE: Final = ("city", "state", "postalCode", "country")
