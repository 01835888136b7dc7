"""The values of FHIR's primitive types: what each may look like in JSON (R4, 2.24.0.1)."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, NamedTuple

from xds.fhir.r4.characters import sayable
from xds.fhir.r4.json import Decimal

LONGEST_STRING: Final = 1024 * 1024
"""Characters of a string (R4, 2.24.0.1)."""
_CHUNK: Final = 1 << 20


class Wrong(NamedTuple):
    """What is wrong with a value: a code of the value set IssueType, and the rest of a sentence."""

    code: str
    told: str


Check = Callable[[object], Wrong | None]

_NOT_TEXT: Final = Wrong("structure", "is to be a string")
_EMPTY: Final = Wrong("structure", "is empty")
_UNSAYABLE: Final = Wrong("value", "has a character that no FHIR string may have")
_TOO_LONG: Final = Wrong("too-long", f"is longer than {LONGEST_STRING} characters")


def base64(text: str) -> bool:
    """Tell whether a text is base64, which may have white space; quick for long ones too."""
    if not text.isascii():
        return False
    spaces = sum(text.count(space) for space in _SPACES)
    last = text[-_TAIL:].translate(_WITHOUT_SPACES) if spaces else text[-4:]
    filled = text.count("=")
    if (len(text) - spaces) % 4 or filled > 2 or not last.endswith("=" * filled):
        return False
    return _has_only(text, _OF_BASE64 + _SPACES.encode())


def plain(text: str) -> bool:
    """Tell whether a text has no character but those of base64; quick for long ones too."""
    return text.isascii() and _has_only(text, _OF_BASE64)


def _has_only(text: str, characters: bytes) -> bool:
    chunks = (text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK))
    return not any(chunk.encode("ascii").translate(None, characters) for chunk in chunks)


_SPACES: Final = " \t\r\n"
_WITHOUT_SPACES: Final = str.maketrans("", "", _SPACES)
_TAIL: Final = 1000
_OF_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


def _text_problem(value: object) -> Wrong | None:
    """Return why a value is no text at all, as every string of FHIR has to be."""
    if not isinstance(value, str) or isinstance(value, Decimal):
        return _NOT_TEXT
    if not value:
        return _EMPTY
    return None if sayable(value) else _UNSAYABLE


def _string(value: object) -> Wrong | None:
    if type(value) is str and value.isprintable() and 0 < len(value) <= LONGEST_STRING:
        return None
    wrong = _text_problem(value)
    if wrong is None and isinstance(value, str) and len(value) > LONGEST_STRING:
        return _TOO_LONG
    return wrong


def _base64_binary(value: object) -> Wrong | None:
    if not isinstance(value, str) or isinstance(value, Decimal):
        return _NOT_TEXT
    if not value:
        return _EMPTY
    return None if base64(value) else Wrong("value", "is no base64")


def _boolean(value: object) -> Wrong | None:
    return None if isinstance(value, bool) else Wrong("structure", "is to be true or false")


def _decimal(value: object) -> Wrong | None:
    if isinstance(value, Decimal):
        return None if DECIMAL.fullmatch(value) else Wrong("value", "is no number")
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return None if good else Wrong("structure", "is to be a number")


DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _whole(least: int) -> Check:
    most = (1 << 31) - 1
    wrong = Wrong("value", f"is to be a whole number from {least} to {most}")
    no_number = Wrong("structure", "is to be a number without a fraction")

    def check(value: object) -> Wrong | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return wrong if isinstance(value, Decimal) else no_number
        return None if least <= value <= most else wrong

    return check


def _pattern(pattern: str, told: str) -> Check:
    fits = re.compile(pattern, re.ASCII).fullmatch
    wrong = Wrong("value", told)

    def check(value: object) -> Wrong | None:
        if type(value) is str and fits(value):
            return None
        return _text_problem(value) or wrong

    return check


def _dated(pattern: str, told: str) -> Check:
    """Check the form, and that a whole date is a day of the calendar."""
    of_form = _pattern(pattern, told)

    def check(value: object) -> Wrong | None:
        wrong = of_form(value)
        if wrong is None and isinstance(value, str) and len(value) >= len("2020-01-01"):
            try:
                date.fromisoformat(value[:10])
            except ValueError:
                return Wrong("value", "is no day of the calendar")
        return wrong

    return check


def _sayable_pattern(pattern: str, told: str) -> Check:
    """Check the form, where it allows characters that are not in ASCII."""
    fits = re.compile(pattern).fullmatch
    wrong = Wrong("value", told)

    def check(value: object) -> Wrong | None:
        fitting = isinstance(value, str) and fits(value)
        if fitting and type(value) is str and value.isprintable():
            return None
        return _text_problem(value) or (None if fitting else wrong)

    return check


_YEAR: Final = r"(?!0000)[0-9]{4}"
_MONTH: Final = r"-(?:0[1-9]|1[0-2])"
_DAY: Final = r"-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_HEX: Final = "[0-9a-f]"

_uri: Final = _sayable_pattern(r"\S+", "is no URI, since it has white space")

_FITTING: Final = {
    **dict.fromkeys(("string", "markdown"), r".{1,1000}"),
    **dict.fromkeys(("uri", "url", "canonical"), r"\S+"),
    "code": r"\S+",
    "id": r"[A-Za-z0-9.-]{1,64}",
}
FITTING: Final[Mapping[str, Callable[[str], object]]] = {
    name: re.compile(pattern).fullmatch for name, pattern in _FITTING.items()
}
"""What most values of some types are like: a printable text that fits needs no check."""

CHECKS: Final[Mapping[str, Check]] = {
    "string": _string,
    "markdown": _string,
    "xhtml": _text_problem,
    "base64Binary": _base64_binary,
    "boolean": _boolean,
    "decimal": _decimal,
    "integer": _whole(-(1 << 31)),
    "unsignedInt": _whole(0),
    "positiveInt": _whole(1),
    "uri": _uri,
    "url": _uri,
    "canonical": _uri,
    "code": _sayable_pattern(
        r"\S+(?:\s\S+)*", "is no code, which has single spaces inside and none around it"
    ),
    "id": _pattern(r"[A-Za-z0-9.-]{1,64}", "is no id of up to 64 letters, digits, '-' and '.'"),
    "oid": _pattern(
        r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", "is no OID, which begins with urn:oid:"
    ),
    "uuid": _pattern(
        f"urn:uuid:{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
        "is no UUID in lower case, which begins with urn:uuid:",
    ),
    "time": _pattern(_CLOCK, "is no time, such as 14:05:00"),
    "date": _dated(
        f"{_YEAR}(?:{_MONTH}(?:{_DAY})?)?", "is no date, such as 2020, 2020-02 or 2020-02-29"
    ),
    "dateTime": _dated(
        f"{_YEAR}(?:{_MONTH}(?:{_DAY}(?:T{_CLOCK}{_ZONE})?)?)?",
        "is no date and time, such as 2020-02-29 or 2020-02-29T14:05:00Z",
    ),
    "instant": _dated(
        f"{_YEAR}{_MONTH}{_DAY}T{_CLOCK}{_ZONE}", "is no instant, such as 2020-02-29T14:05:00Z"
    ),
}
"""The check of each primitive type; that narrative is XHTML is checked where XML is known."""
