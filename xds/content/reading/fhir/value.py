"""The value of a FHIR Observation by its type, its range and its interpretation (R4)."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

from xds.content.reading.fhir.source import (
    FhirSource,
    as_text,
    choice,
    dtm,
    part,
    parts,
    text,
    words,
)
from xds.content.reading.model import ObservationValue
from xds.content.reading.rendered import interval
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code

_COMPARATORS: Final = ("<", "<=", ">", ">=")


def values(
    source: FhirSource, thing: Resource, name: str = "value"
) -> tuple[ObservationValue, ...]:
    """Return the value of an Observation or of a component of one."""
    kind, value = choice(thing, name)
    read = _READERS.get(kind)
    found = read(source, value) if read is not None else None
    if found is not None:
        return (found,)
    if said := words(part(thing, "dataAbsentReason")):
        return (ObservationValue(kind="absent", text=said),)
    return ()


def _quantity(source: FhirSource, value: Any) -> ObservationValue | None:
    number = text(value, "value")
    if not number:
        return None
    found = text(value, "comparator")
    comparator = cast(Literal["", "<", "<=", ">", ">="], found if found in _COMPARATORS else "")
    said = f"{comparator} {number}" if comparator else number
    return ObservationValue(
        kind="quantity", text=said, number=number, comparator=comparator, unit=_unit(value)
    )


def _unit(value: Any) -> str:
    """Return the UCUM code of a Quantity where it has one, else its unit in words."""
    is_ucum = text(value, "system") == "http://unitsofmeasure.org"
    code = text(value, "code") if is_ucum else ""
    return code or text(value, "unit") or text(value, "code")


def _range(source: FhirSource, value: Any) -> ObservationValue | None:
    low, high = part(value, "low"), part(value, "high")
    lower, upper = text(low, "value"), text(high, "value")
    if not (lower or upper):
        return None
    unit = _unit(low) or _unit(high)
    return ObservationValue(
        kind="range", text=interval(lower, upper), low=lower, high=upper, unit=unit
    )


def _ratio(source: FhirSource, value: Any) -> ObservationValue | None:
    over, under = part(value, "numerator"), part(value, "denominator")
    low, high = text(over, "value"), text(under, "value")
    if not (low or high):
        return None
    units = [one for one in (_unit(over), _unit(under)) if one not in ("", "1")]
    return ObservationValue(
        kind="ratio",
        text=f"{text(over, 'comparator')}{low}:{high}",
        low=low,
        high=high,
        unit="/".join(units),
    )


def _coded(source: FhirSource, value: Any) -> ObservationValue | None:
    said = words(value) if isinstance(value, dict) else ""
    code = source.code(value) if isinstance(value, dict) else None
    if code is None:
        return ObservationValue(kind="text", text=said) if said else None
    return ObservationValue(kind="code", text=said, code=code)


def _primitive(
    kind: Literal["text", "boolean"],
) -> Callable[[FhirSource, Any], ObservationValue | None]:
    def read(source: FhirSource, value: Any) -> ObservationValue | None:
        said = as_text(value)
        return ObservationValue(kind=kind, text=said) if said else None

    return read


def _integer(source: FhirSource, value: Any) -> ObservationValue | None:
    said = as_text(value)
    return ObservationValue(kind="quantity", text=said, number=said) if said else None


def _time(source: FhirSource, value: Any) -> ObservationValue | None:
    said = dtm(value) or as_text(value)
    return ObservationValue(kind="time", text=said) if said else None


def _period(source: FhirSource, value: Any) -> ObservationValue | None:
    low, high = dtm(text(value, "start")), dtm(text(value, "end"))
    if not (low or high):
        return None
    return ObservationValue(kind="time", text=interval(low, high), low=low, high=high)


_READERS: Final[Mapping[str, Callable[[FhirSource, Any], ObservationValue | None]]] = {
    "Quantity": _quantity,
    "Range": _range,
    "Ratio": _ratio,
    "CodeableConcept": _coded,
    "String": _primitive("text"),
    "Boolean": _primitive("boolean"),
    "Integer": _integer,
    "DateTime": _time,
    "Time": _time,
    "Period": _period,
}
"""How a value is read by its type; a SampledData has no words."""


def reference_range(thing: Resource) -> str:
    """Return the reference ranges of an Observation as readers see them."""
    return "; ".join(filter(None, map(_reference_range, parts(thing, "referenceRange"))))


def _reference_range(element: Resource) -> str:
    low, high = part(element, "low"), part(element, "high")
    unit = _unit(low) or _unit(high)
    said, means = interval(text(low, "value"), text(high, "value"), unit), text(element, "text")
    return f"{said} ({means})" if said and means else said or means


def interpretation(source: FhirSource, thing: Resource) -> tuple[Code, ...]:
    """Return the interpretations; those that are only a text have no system."""
    found = []
    for concept in parts(thing, "interpretation"):
        code = source.code(concept)
        said = words(concept)
        if code is not None:
            found.append(code)
        elif said:
            found.append(Code(said, "", said))
    return tuple(found)
