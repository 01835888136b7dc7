"""How the values of search parameters are written (FHIR R4 search; ITI TF-2 Appendix Z.2)."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
    """A date or number as a search compares it: what is from one value until before another."""

    prefix: str
    first: str
    """A DTM of 14 digits in UTC, or an integer."""
    end: str
    """The first second, or the first integer, that is no longer of the span."""

    @classmethod
    def of_date(cls, text: str) -> "Span":
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


# --- numbers -------------------------------------------------------------------------------------

_NUMBER: Final = re.compile(
    r"(?P<prefix>eq|ne|gt|ge|lt|le|sa|eb|ap)?"
    r"(?P<number>[ +-]?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?)"
)
_MOST: Final = 2**63 - 1
"""What a database has no number beyond."""
_TENTH: Final = Decimal("0.1")


def number_span(text: str) -> Span:
    """Read ``[prefix]number`` as the span of integers that it stands for (FHIR R4 search, number).

    Without a prefix, or with ``ne``, a number is as precise as it is written, so that ``1.2e3``
    stands for 1150 up to 1249; ``ap`` reaches a tenth of it further. ValueError where it is none.
    """
    match = _NUMBER.fullmatch(unescape(text).strip())
    if match is None:
        raise ValueError("not a number such as 1024, gt1024 or le1e6")
    prefix, number = match["prefix"] or "eq", Decimal(match["number"].strip())
    if prefix not in ("eq", "ne", "ap"):
        return Span(prefix, _integer(math.ceil(number)), _integer(math.floor(number) + 1))
    reach = _half_of_last_digit(number)
    if prefix == "ap":
        reach = max(reach, abs(number) * _TENTH)
    first, end = math.ceil(number - reach), math.ceil(number + reach)
    return Span(prefix, _integer(first), _integer(end))


def _half_of_last_digit(number: Decimal) -> Decimal:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "the pattern admits no infinity"
    return Decimal(5).scaleb(exponent - 1)


def _integer(number: int) -> str:
    return str(max(-_MOST, min(number, _MOST)))


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
