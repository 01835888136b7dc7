"""Times: a DTM of XDS is in UTC and of any precision, a dateTime of FHIR has seconds and a zone."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.exact import put, text_of
from xds.fhir.r4 import json
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import check_dtm

_DATE_TIME: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)
_REASON: Final = "not a date, or a date with a time, of FHIR"


@lru_cache(CACHED)
def date_time(dtm: str) -> str | None:
    """Return a DTM as date or dateTime, zero-filled to the second; None for what is no DTM."""
    try:
        check_dtm(dtm)
    except ValueError:
        return None
    date = "-".join(part for part in (dtm[:4], dtm[4:6], dtm[6:8]) if part)
    if len(dtm) <= 8:
        return date
    time = dtm[8:].ljust(6, "0")
    return f"{date}T{time[:2]}:{time[2:4]}:{time[4:]}Z"


def instant(dtm: str) -> str:
    """Return a DTM of 14 digits as an instant."""
    return f"{dtm[:4]}-{dtm[4:6]}-{dtm[6:8]}T{dtm[8:10]}:{dtm[10:12]}:{dtm[12:]}Z"


def dtm(text: str) -> str:
    """Return a date, dateTime or instant as DTM: in UTC, without fraction; ValueError.

    A time without a zone, which FHIR does not allow, is taken as UTC.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(_REASON)
    *parts, zone = match.groups(default="")
    if parts[5] == "60":  # a leap second, which a DTM cannot say
        parts[5] = "59"
    found = "".join(parts)
    check_dtm(found)
    return found if zone in ("", "Z") else _in_utc(found, zone)


def _in_utc(local: str, zone: str) -> str:
    try:
        at = datetime.fromisoformat(f"{local[:8]}T{local[8:].ljust(6, '0')}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_REASON) from None
    # strftime does not fill the year of four digits on every platform
    return f"{at.year:04}{at:%m%d%H%M%S}"[: len(local)]


@lru_cache(CACHED)
def _canonical(text: str) -> str | None:
    written = date_time(text)
    return None if written is None else dtm(written)


def write(element: Resource, name: str, text: str | None) -> None:
    """Set a time, with its DTM beside it where that has no seconds."""
    if text:
        put(element, name, text, date_time(text), _canonical(text))


@lru_cache(CACHED)
def texts(name: str, text: str) -> Mapping[str, str]:
    """Return the JSON of what ``write`` sets, by its names: nobody changes it."""
    element: Resource = {}
    write(element, name, text)
    return {one: json.text(value) for one, value in element.items()}


def read(element: Resource, name: str) -> str | None:
    """Return the DTM of a time, None where there is none; ValueError."""
    value = element.get(name)
    return text_of(element, name, None if value is None else dtm(value), _canonical)
