"""How readers see what metadata have as codes: times, sexes, identifiers, sizes."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from xds.metadata import hl7_escapes

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DTM: Final = re.compile(r"([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?")
_SEXES: Final[Mapping[str, str]] = {
    "M": "Male",
    "F": "Female",
    "O": "Other",
    "U": "Unknown",
    "A": "Ambiguous",
    "N": "Not applicable",
}
"""HL7 table 0001."""
_LARGE: Final = 1024
_TIME: Final = "Time"
"""The column of tables that are made of entries which has DTMs."""


def shown_time(dtm: str) -> str:
    """Return a DTM, which is UTC, as a date that is read in one way: ``3 May 2024, 14:05 UTC``."""
    found = _DTM.fullmatch(dtm)
    if found is None:
        return dtm
    year, month, day, hour, minute, _ = found.groups()
    if month is None or not 1 <= int(month) <= 12:
        return dtm if month else year
    date = f"{_MONTHS[int(month) - 1]} {year}"
    if day is None:
        return date
    date = f"{int(day)} {date}"
    return f"{date}, {hour}:{minute or '00'} UTC" if hour else date


def shown_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the rows of a table that is made of entries, its times as readers see them."""
    return [
        [
            shown_time(cell) if name == _TIME else cell
            for name, cell in zip(columns, row, strict=True)
        ]
        for row in rows
    ]


def shown_sex(code: str) -> str:
    """Return a code of HL7 table 0001 in words; any other as it is."""
    return _SEXES.get(code.strip().upper(), code)


def shown_identifier(cx: str) -> tuple[str, str]:
    """Return the number of an identifier in the form of a CX, and who has assigned it."""
    number, _, authority = cx.partition("^^^")
    parts = authority.split("&")
    return hl7_escapes.unescape(number), next(filter(None, (*parts[1:2], *parts[:1])), "")


def shown_size(size: int) -> str:
    """Return a number of bytes as readers see it."""
    number, unit = float(size), "bytes"
    for larger in ("KB", "MB", "GB"):
        if number < _LARGE:
            break
        number, unit = number / _LARGE, larger
    return f"{number:.0f} {unit}" if unit == "bytes" or number >= 10 else f"{number:.1f} {unit}"
