"""How the values of search parameters are written (FHIR R4 search; ITI TF-2 Appendix Z.2)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from xds.fhir.vocabulary import of_today

_UNIT: Final = re.compile(r"\\.|.", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([,|$\\])")


def split(text: str, separator: str) -> list[str]:
    """Cut at every separator that no backslash escapes; the escapes stay where they are."""
    if "\\" not in text:
        return text.split(separator)
    pieces = [""]
    for unit in _UNIT.findall(text):
        if unit == separator:
            pieces.append("")
        else:
            pieces[-1] += unit
    return pieces


def unescape(text: str) -> str:
    r"""Replace ``\,`` ``\|`` ``\$`` and ``\\`` by what they stand for."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


@dataclass(frozen=True, slots=True)
class Token:
    """A code or identifier: ``value``, ``system|value``, ``|value`` or ``system|``."""

    system: str | None
    """None where the value may be of any system, empty where it must have none."""
    value: str
    """Empty where anything of the system will do."""

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Read a token; ValueError where it says nothing."""
        system, *rest = (unescape(piece).strip() for piece in split(text, "|"))
        value = "|".join(rest) if rest else system
        if not value and not (rest and system):
            raise ValueError("neither a system nor a value")
        return cls(of_today(system) if rest else None, value)


# --- dates ---------------------------------------------------------------------------------------

_DATE: Final = re.compile(
    r"(?P<prefix>eq|ne|gt|ge|lt|le|sa|eb|ap)?"
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?"
    r"(?P<zone>Z|[ +-][0-9]{2}:?[0-9]{2})?)?)?)?"
)
_LAST: Final = datetime.max.replace(microsecond=0, tzinfo=UTC)
_APPROXIMATE: Final = 0.1
"""Of the time between then and now: how far ``ap`` reaches (FHIR R4 search, prefixes)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A date as a search compares it: from its first second until before another one, in UTC."""

    prefix: str
    first: str
    """DTM of 14 digits."""
    end: str
    """DTM of the first second that is no longer of the span."""

    @classmethod
    def parse(cls, text: str) -> "Span":
        """Read ``[prefix]date``; a time without a zone is UTC. Fractions of seconds do not count.

        ValueError where it is none.
        """
        match = _DATE.fullmatch(unescape(text).strip())
        if match is None:
            raise ValueError("not a date such as 2026, 2026-03-05 or ge2026-03-05T10:00:00Z")
        prefix = match["prefix"] or "eq"
        try:
            first, end = _bounds(match)
        except (ValueError, OverflowError):
            raise ValueError("there is no such date") from None
        if prefix == "ap":
            reach = abs(datetime.now(UTC) - first) * _APPROXIMATE
            first, end = _plus(first, -reach), _plus(end, reach)
        return cls(prefix, _dtm(first), _dtm(end))


def _bounds(match: re.Match[str]) -> tuple[datetime, datetime]:
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    if match["hour"] is None:
        first = datetime(year, month, day, tzinfo=UTC)
        if match["day"]:
            return first, _plus(first, timedelta(days=1))
        return first, _beginning(year, month + 1) if match["month"] else _beginning(year, 13)
    # a leap second counts as the one before it
    second = min(int(match["second"] or 0), 59)
    hour, minute = int(match["hour"]), int(match["minute"])
    local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    first = local - _offset(match["zone"])
    return first, _plus(first, timedelta(seconds=1 if match["second"] else 60))


def _beginning(year: int, month: int) -> datetime:
    if month > 12:
        year, month = year + 1, 1
    return datetime(year, month, 1, tzinfo=UTC) if year <= _LAST.year else _LAST


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone is ahead of UTC; a ``+`` may have arrived as a space."""
    if zone in (None, "Z"):
        return timedelta()
    assert zone is not None, "it is None or Z above"
    distance = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    if distance > timedelta(hours=14):
        raise ValueError("no zone is so far from UTC")
    return -distance if zone[0] == "-" else distance


def _plus(time: datetime, distance: timedelta) -> datetime:
    try:
        return time + distance
    except OverflowError:
        return _LAST if distance > timedelta() else datetime.min.replace(tzinfo=UTC)


def _dtm(time: datetime) -> str:
    # strftime does not pad years before 1000 everywhere
    return f"{time.year:04}{time:%m%d%H%M%S}"


# --- references ----------------------------------------------------------------------------------

_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")


def reference_id(text: str, resource_type: str, base: str) -> str | None:
    """Return the logical id in a reference: ``id``, ``Type/id`` or a URL of this server.

    None for a reference to something that is not of this server or type; ValueError for what is
    no reference.
    """
    reference = unescape(text).strip().partition("/_history/")[0]
    if "|" in reference or any(character.isspace() for character in reference):
        raise ValueError("not a reference; an identifier is searched by another parameter")
    local = reference.removeprefix(f"{base}/").removeprefix(f"{resource_type}/")
    return local if _ID.fullmatch(local) else None
