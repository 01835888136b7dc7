"""Times of HL7 v2 (TS, DTM) as DTM of XDS: UTC, as precise as they were said."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from xds.metadata.datatypes import check_dtm

_TIME: Final = re.compile(r"(\d{4}(?:\d\d){0,5})(?:\.\d{1,4})?([+-]\d{4})?")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def offset_of(text: str) -> str:
    """Return the offset of a time, ``+0100``; empty where it has none."""
    found = _TIME.fullmatch(text)
    return (found[2] or "") if found else ""


def dtm(text: str, offset: str = "", zone: str = "UTC") -> str:
    """Return a time in UTC; ValueError for what is none.

    Without an offset of its own it is in the given one, else in the zone. A date stays what it is,
    and so does midnight without an offset, by which senders mean a date.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time of HL7 v2")
    digits, own = found.groups()
    check_dtm(digits)
    if len(digits) <= len("YYYYMMDD") or (not own and not digits[8:].strip("0")):
        return str(digits)
    return _in_utc(digits, own or offset, zone)


def _in_utc(digits: str, offset: str, zone: str) -> str:
    moment = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")
    if offset:
        span = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
        moment = moment.replace(tzinfo=timezone(-span if offset[0] == "-" else span))
    else:
        moment = moment.replace(tzinfo=_zone(zone))
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")[: max(len(digits), 12)]


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def shown(text: str) -> str:
    """Return a time as people read it, ``09-Mar-2018 15:00``; what is none as it is."""
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    digits = found[1]
    try:
        check_dtm(digits)
    except ValueError:
        return text
    parts = [digits[6:8], _MONTHS[int(digits[4:6]) - 1] if digits[4:6] else "", digits[:4]]
    clock = ":".join(digits[n : n + 2] for n in (8, 10, 12) if digits[n : n + 2])
    return " ".join(filter(None, ["-".join(filter(None, parts)), clock]))
