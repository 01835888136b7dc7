"""The value of a CDA observation by its HL7 v3 data type, its range and its interpretation."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.model import ObservationValue
from xds.content.reading.rendered import interval, value_with_unit
from xds.metadata.objects import Code

_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
NULLS: Final[Mapping[str, str]] = {
    "ASKU": "asked but unknown",
    "MSK": "masked",
    "NA": "not applicable",
    "NASK": "not asked",
    "NAV": "temporarily unavailable",
    "NI": "no information",
    "NINF": "negative infinity",
    "OTH": "other",
    "PINF": "positive infinity",
    "TRC": "trace",
    "UNC": "unencoded",
    "UNK": "unknown",
}
"""NullFlavor in words."""
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?|[+-]?\.[0-9]+")
"""What a database and a program take for a number alike."""


def values(source: CdaSource, statement: Element) -> tuple[ObservationValue, ...]:
    """Return the values of an observation; what has none has no value."""
    return tuple(_value(source, one) for one in statement.iterchildren(f"{{{NS}}}value"))


def _value(source: CdaSource, element: Element) -> ObservationValue:
    kind = (element.get(_TYPE) or "").rpartition(":")[2]
    read = _READERS.get(kind, _unknown)
    found = read(source, element)
    if found is not None:
        return found
    null = element.get("nullFlavor") or ""
    said = source.words(element) or source.text(element) or NULLS.get(null, null)
    return ObservationValue(kind="absent", text=said)


def _attribute(element: Element | None, name: str) -> str:
    return (element.get(name) or "").strip() if element is not None else ""


def _quantity(source: CdaSource, element: Element) -> ObservationValue | None:
    """Read a PQ, REAL, INT or MO; one without a value may be told by a translation."""
    said = _attribute(element, "value")
    if not said:
        for one in element.iterchildren(f"{{{NS}}}translation"):
            if said := _attribute(one, "value"):
                unit = _attribute(one, "displayName") or _attribute(one, "code")
                return ObservationValue(kind="quantity", text=said, number=_number(said), unit=unit)
        return None
    unit = _attribute(element, "unit") or _attribute(element, "currency")
    return ObservationValue(kind="quantity", text=said, number=_number(said), unit=unit)


def _number(said: str) -> str:
    """Return a number as it was written, empty where it is none."""
    return said if _PLAIN_NUMBER.fullmatch(said) else ""


def _range(source: CdaSource, element: Element) -> ObservationValue | None:
    """Read an IVL_PQ, IVL_REAL or IVL_INT; one bound alone is a comparison."""
    low, high = hl7.first(element, "low"), hl7.first(element, "high")
    lower, upper = _attribute(low, "value"), _attribute(high, "value")
    if not (lower or upper):
        middle = hl7.first(element, "center")
        return _quantity(source, middle if middle is not None else element)
    unit = _attribute(low, "unit") or _attribute(high, "unit")
    sign = _comparator(low, high)
    said = f"{sign} {lower or upper}" if sign else interval(lower, upper)
    return ObservationValue(
        kind="range", text=said, comparator=sign, low=lower, high=upper, unit=unit
    )


def _comparator(low: Element | None, high: Element | None) -> Literal["", "<", "<=", ">", ">="]:
    """Return how a value stands to the one bound that there is; nothing where there are two."""
    if not _attribute(high, "value"):
        return ">" if _attribute(low, "inclusive") == "false" else ">="
    if not _attribute(low, "value"):
        return "<" if _attribute(high, "inclusive") == "false" else "<="
    return ""


def _coded(source: CdaSource, element: Element) -> ObservationValue | None:
    code = source.code(element) or next(source.translations(element), None)
    if code is not None:
        said = source.words(element) or code.display_name
        return ObservationValue(kind="code", text=said, code=code)
    said = source.text(element.find(f"{{{NS}}}originalText")) or source.words(element)
    return ObservationValue(kind="text", text=said) if said else None


def _text(source: CdaSource, element: Element) -> ObservationValue | None:
    said = source.text(element)
    return ObservationValue(kind="text", text=said) if said else None


def _ratio(source: CdaSource, element: Element) -> ObservationValue | None:
    over, under = hl7.first(element, "numerator"), hl7.first(element, "denominator")
    low, high = _attribute(over, "value"), _attribute(under, "value")
    if not (low or high):
        return None
    unit = _attribute(over, "unit")
    under_unit = _attribute(under, "unit")
    unit = f"{unit}/{under_unit}" if under_unit not in ("", "1") else unit
    return ObservationValue(kind="ratio", text=f"{low}:{high}", low=low, high=high, unit=unit)


def _boolean(source: CdaSource, element: Element) -> ObservationValue | None:
    said = _attribute(element, "value").lower()
    return ObservationValue(kind="boolean", text=said) if said in ("true", "false") else None


def _time(source: CdaSource, element: Element) -> ObservationValue | None:
    said = source.time(element)
    return ObservationValue(kind="time", text=said) if said else None


def _period(source: CdaSource, element: Element) -> ObservationValue | None:
    low, high = source.time(hl7.first(element, "low")), source.time(hl7.first(element, "high"))
    if not (low or high):
        return _time(source, element)
    return ObservationValue(kind="time", text=interval(low, high), low=low, high=high)


def _unknown(source: CdaSource, element: Element) -> ObservationValue | None:
    """Read what has a data type that is not known here, or none, by what it has."""
    for read in (_range, _coded, _text):
        if (found := read(source, element)) is not None:
            return found
    return None


_READERS: Final[Mapping[str, Callable[[CdaSource, Element], ObservationValue | None]]] = {
    "PQ": _quantity,
    "REAL": _quantity,
    "INT": _quantity,
    "MO": _quantity,
    "IVL_PQ": _range,
    "IVL_REAL": _range,
    "IVL_INT": _range,
    "CD": _coded,
    "CE": _coded,
    "CV": _coded,
    "CO": _coded,
    "CS": _coded,
    "ST": _text,
    "ED": _text,
    "RTO": _ratio,
    "RTO_PQ_PQ": _ratio,
    "RTO_QTY_QTY": _ratio,
    "BL": _boolean,
    "TS": _time,
    "IVL_TS": _period,
}
"""How a value is read by its xsi:type."""


# What belongs to a value


def interpretation(source: CdaSource, statement: Element) -> tuple[Code, ...]:
    """Return the interpretations of an observation; those that are only a text have no system."""
    return tuple(_interpretations(source, statement))


def _interpretations(source: CdaSource, statement: Element) -> Iterator[Code]:
    for element in hl7.each(statement, "interpretationCode"):
        code = source.code(element)
        if code is not None:
            yield code
        elif said := source.words(element):
            yield Code(_attribute(element, "code") or said, _attribute(element, "codeSystem"), said)


def reference_range(source: CdaSource, statement: Element) -> str:
    """Return the reference ranges of an observation as readers see them."""
    found = (
        _reference_range(source, one)
        for one in hl7.each(statement, "referenceRange/observationRange")
    )
    return "; ".join(said for said in found if said)


def _reference_range(source: CdaSource, element: Element) -> str:
    said = [value_with_unit(one) for one in values(source, element) if one.text]
    return ", ".join(said) or source.text(element.find(f"{{{NS}}}text"))
