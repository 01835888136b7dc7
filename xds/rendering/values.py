"""What CDA and FHIR need of a row of results beyond its words."""

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from xds.metadata.datatypes import check_dtm

LOINC: Final = "2.16.840.1.113883.6.1"
LABORATORY_REPORT: Final = ("11502-2", "Laboratory report")
LABORATORY_STUDIES: Final = ("26436-6", "Laboratory studies")

FLAGS: Final = {
    "low": "L",
    "high": "H",
    "critically low": "LL",
    "critically high": "HH",
    "abnormal": "A",
    "critically abnormal": "AA",
    "normal": "N",
    "susceptible": "S",
    "resistant": "R",
    "intermediate": "I",
    "positive": "POS",
    "negative": "NEG",
    "indeterminate": "IND",
    "below the scale": "<",
    "above the scale": ">",
    "significantly up": "U",
    "significantly down": "D",
    "better": "B",
    "worse": "W",
    "moderately susceptible": "MS",
    "very susceptible": "VS",
}
"""Flags in words to the codes of ObservationInterpretation."""
INTERPRETATIONS: Final = "2.16.840.1.113883.5.83"
"""OID of ObservationInterpretation."""

_NUMBER: Final = re.compile(r"(<=|>=|<|>)?\s*(-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?)")
_UNIT: Final = re.compile(r"\S+")
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class ResultQuantity:
    """A result that is a number."""

    comparator: Literal["", "<", "<=", ">=", ">"]
    """``<``, ``<=``, ``>=``, ``>`` or empty."""
    number: str
    """As it was sent."""
    unit: str


def quantity(value: str, unit: str) -> ResultQuantity | None:
    """Return a result as a number with its unit; None where it is none."""
    match = _NUMBER.fullmatch(value.strip())
    if match is None or (unit and not _UNIT.fullmatch(unit)):
        return None
    comparator = cast(Literal["", "<", "<=", ">=", ">"], match[1] or "")
    return ResultQuantity(comparator, match[2], unit)


def dtm(text: str) -> str:
    """Return a text that is a DTM; empty for any other."""
    try:
        check_dtm(text)
    except ValueError:
        return ""
    return text


def sayable(text: str) -> str:
    """Return a text with code points in place of characters that XML cannot have."""
    return _NO_XML.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)
