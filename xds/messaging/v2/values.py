"""What an OBX says, as people read it (HL7 v2.8.2 7.4.2)."""

from collections.abc import Callable
from typing import Final

from xds.hl7v2.message import Segment
from xds.messaging.v2 import times

_VALUE: Final = 5
TIMES: Final = frozenset({"DT", "TS", "DTM"})
_FLAGS: Final = {
    "L": "low",
    "H": "high",
    "LL": "critically low",
    "HH": "critically high",
    "<": "below the scale",
    ">": "above the scale",
    "N": "normal",
    "A": "abnormal",
    "AA": "critically abnormal",
    "U": "significantly up",
    "D": "significantly down",
    "B": "better",
    "W": "worse",
    "S": "susceptible",
    "R": "resistant",
    "I": "intermediate",
    "MS": "moderately susceptible",
    "VS": "very susceptible",
    "POS": "positive",
    "NEG": "negative",
    "IND": "indeterminate",
}
"""HL7 table 0078."""
STATUSES: Final = {
    "C": "corrected",
    "P": "preliminary",
    "S": "partial",
    "A": "partial",
    "R": "not verified",
    "B": "appended",
    "V": "verified, not final",
    "U": "final, sent before",
    "X": "not obtained",
    "N": "not asked",
    "I": "pending",
    "O": "order detail",
}
"""HL7 table 0085, but for F."""


def flag(obx: Segment) -> str:
    """Return OBX-8 in words."""
    codes = [obx.value(8, n + 1, 1) for n in range(obx.repetitions(8))]
    return ", ".join(_FLAGS.get(code, code) for code in codes if code)


def lines(obx: Segment, number: int = _VALUE) -> list[str]:
    """Return the lines of a text of type TX, FT or ST, as they came but for blanks at their ends.

    Repetitions, line ends and line breaks written as escape sequences part lines.
    """
    texts = [_text(obx.raw(number, n + 1)) for n in range(obx.repetitions(number))]
    shown = "\n".join(obx.encoding.formatted(text) for text in texts)
    shown = shown.replace("\r\n", "\n").replace("\r", "\n")
    return [line.rstrip() for line in shown.split("\n")] if shown.strip() else [""]


def _text(raw: str) -> str:
    return "" if raw.strip() == '""' else raw


def shown(obx: Segment) -> str:
    """Return the value of an OBX of any other type in one line; empty where it has none."""
    kind = obx.value(2, 1, 1)
    writer = _WRITERS.get(kind, _of_components)
    values = (writer(obx, n + 1) for n in range(obx.repetitions(_VALUE)))
    return ", ".join(filter(None, values))


def _parts(obx: Segment, repetition: int, most: int = 10) -> list[str]:
    return [obx.value(_VALUE, repetition, n + 1) for n in range(most)]


def _of_components(obx: Segment, repetition: int) -> str:
    return " ".join(filter(None, _parts(obx, repetition)))


def _whole(obx: Segment, repetition: int) -> str:
    return obx.value(_VALUE, repetition)


def _coded(obx: Segment, repetition: int) -> str:
    """Return the original text, else the text of a code; the code itself in brackets."""
    parts = _parts(obx, repetition)
    code, text = parts[0] or parts[3], parts[8] or parts[1] or parts[4]
    if not text:
        return code
    return f"{text} [{code}]" if code and code != text else text


def _structured_number(obx: Segment, repetition: int) -> str:
    return "".join(_parts(obx, repetition, 4))


def _range(obx: Segment, repetition: int) -> str:
    return " \N{EN DASH} ".join(filter(None, _parts(obx, repetition, 2)))


def _time(obx: Segment, repetition: int) -> str:
    return times.shown(obx.value(_VALUE, repetition, 1, 1))


def _person(obx: Segment, repetition: int) -> str:
    number, family, given, *_ = _parts(obx, repetition, 3)
    return " ".join(filter(None, (given, family, f"[{number}]" if number else "")))


def _quantity(obx: Segment, repetition: int) -> str:
    return " ".join(filter(None, _parts(obx, repetition, 2)))


_WRITERS: Final[dict[str, Callable[[Segment, int], str]]] = {
    "NM": _whole,
    "SI": _whole,
    "ID": _whole,
    "IS": _whole,
    "CE": _coded,
    "CWE": _coded,
    "CNE": _coded,
    "CF": _coded,
    "SN": _structured_number,
    "NR": _range,
    "XCN": _person,
    "CQ": _quantity,
    **dict.fromkeys(TIMES, _time),
}
