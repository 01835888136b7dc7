"""How values of metadata are shown: names of the TF, displays of codes, ids as people have them."""

import calendar
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xds.metadata import vocabulary as v
from xds.metadata.attributes import Author, Code
from xds.metadata.datatypes import CX
from xds.metadata.objects import MetadataObject
from xds.registry.patient_links import KnownDetails

NHS_NUMBER: Final = "2.16.840.1.113883.2.1.4.1"
_STATUSES: Final = {v.APPROVED: "Approved", v.DEPRECATED: "Deprecated"}
_MONTHS: Final = tuple(calendar.month_abbr)[1:]
_SEXES: Final = {"F": "Female", "M": "Male", "O": "Other", "U": "Unknown"}


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One value of an attribute."""

    text: str
    code: str = ""
    """``code^^codingScheme``, where it is a code whose display is the text."""


@dataclass(frozen=True, slots=True)
class ShownAttribute:
    """One attribute by its name in the TF."""

    name: str
    values: tuple[ShownValue, ...]


def attributes(thing: MetadataObject) -> list[ShownAttribute]:
    """Return what an object says of itself, in the order of the declarations."""
    found = []
    for name, declared in thing.attributes().items():
        if values := tuple(_values(getattr(thing, name))):
            found.append(ShownAttribute(declared.tf_name, values))
    return found


def _values(value: Any) -> Iterator[ShownValue]:
    match value:
        case None | "" | False:
            return
        case True:
            yield ShownValue("yes")
        case Code():
            yield ShownValue(value.display_name or value.code, str(value))
        case Author():
            for part in ("person", "institution", "role", "specialty", "telecommunication"):
                for text in getattr(value, part):
                    yield ShownValue(f"{part}: {text}")
        case str():
            yield ShownValue(_STATUSES.get(value, value))
        case Iterable():
            for one in value:
                yield from _values(one)
        case _:
            yield ShownValue(str(value))


def status(text: str | None) -> str:
    """Return an availabilityStatus as people say it."""
    return _STATUSES.get(text or "", text or "Unknown")


def code(value: Code | None) -> str:
    """Return the display of a code, else the code."""
    return "Unknown" if value is None else value.display_name or value.code


def institutions(authors: Sequence[Author]) -> list[str]:
    """Return the names of the organisations of authors."""
    texts = (text.partition("^")[0] for one in authors for text in one.institution)
    return list(dict.fromkeys(filter(None, texts)))


# --- patients ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownIdentifier:
    """An id of a patient."""

    text: str
    domain: str
    """The name of who assigned it, else its OID."""
    cx: str
    oid: str = ""
    """Of who assigned it."""


def identifier(cx: str) -> ShownIdentifier:
    """Return an id of a patient (CX) as people write it: an NHS number in groups."""
    try:
        parsed = CX.parse(cx)
    except ValueError:
        return ShownIdentifier(cx, "", cx)
    oid = parsed.assigning_authority
    if oid == NHS_NUMBER:
        number = re.sub(r"^(\d{3})(\d{3})(\d{4})$", r"\1 \2 \3", parsed.id_number)
        return ShownIdentifier(number, "NHS number", cx, oid)
    return ShownIdentifier(parsed.id_number, oid, cx, oid)


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """Who a patient is, for the banner; what is not known says so."""

    name: str
    born: str
    sex: str


def person(known: KnownDetails | None) -> ShownPerson:
    """Return who a patient is: SURNAME, Given; born dd-Mmm-yyyy; as in the NHS's banners."""
    if known is None:
        return ShownPerson("", "", "")
    names = [known.family.upper(), known.given]
    return ShownPerson(
        ", ".join(filter(None, names)) or "Name not known",
        _date(known.birth_date) or "Unknown",
        _SEXES.get(known.sex.upper(), known.sex or "Unknown"),
    )


def _date(text: str) -> str:
    found = re.fullmatch(r"(\d{4})(\d\d)?(\d\d)?", text)
    if found is None:
        return text
    year, month, day = found.groups()
    if not (month and 1 <= int(month) <= 12):
        return str(year)
    return "-".join(filter(None, (day, _MONTHS[int(month) - 1], year)))


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    """Return a text as records can keep it: without control characters."""
    return _CONTROL.sub(" ", text)
