"""Times of subscriptions: xs:dateTime and xs:duration to milliseconds since 1970, and back."""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_DURATION: Final = re.compile(
    r"(-)?P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?"
    r"(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_MOST_DIGITS: Final = 9
"""Of a number in a duration: more is longer than any calendar."""
LATEST: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1000
"""What is later than this is taken as this."""


def date_time(moment: int) -> str:
    """Return a moment, in milliseconds since 1970, as xs:dateTime in UTC."""
    whole, fraction = divmod(moment, 1000)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:03}Z" if fraction else f"{text}Z"


def moment_of(text: str, now: int) -> int:
    """Return the moment that an xs:dateTime is or an xs:duration from ``now`` leads to.

    Both are in milliseconds since 1970. A time without a zone is in UTC. ValueError for what is
    neither.
    """
    text = text.strip()
    if text.lstrip("-").startswith("P"):
        return min(_after(text, now), LATEST)
    return min(_read_date_time(text), LATEST)


def _read_date_time(text: str) -> int:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError("neither an xs:dateTime nor an xs:duration")
    *parts, fraction, zone = found.groups(default="")
    read = datetime(*map(int, parts), tzinfo=_zone(zone))  # type: ignore[misc,arg-type]
    return int(read.timestamp()) * 1000 + int(fraction[:3].ljust(3, "0"))


def _zone(text: str) -> timezone:
    if text in ("", "Z"):
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:]))
    return timezone(-offset if text[0] == "-" else offset)


def _after(text: str, now: int) -> int:
    """Add a duration: years and months first, by the calendar (XML Schema part 2, E)."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("neither an xs:dateTime nor an xs:duration")
    sign = -1 if found[1] else 1
    years, months, days, hours, minutes = (int(found[i] or 0) for i in range(2, 7))
    if max(map(len, re.findall(r"\d+", text)), default=0) > _MOST_DIGITS:
        return now if sign < 0 else LATEST
    seconds = ((days * 24 + hours) * 60 + minutes) * 60
    try:
        moved = _months_later(now, sign * (years * 12 + months))
    except (OverflowError, ValueError):
        return now - 1 if sign < 0 else LATEST
    return moved + sign * (seconds * 1000 + round(float(found[7] or 0) * 1000))


def _months_later(now: int, months: int) -> int:
    whole, milliseconds = divmod(now, 1000)
    start = datetime.fromtimestamp(whole, UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    moved = start.replace(year=year, month=month + 1, day=day)
    return int(moved.timestamp()) * 1000 + milliseconds
