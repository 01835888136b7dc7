"""Structured results as observations of CDA (CDA R2 4.3.6; XD-LAB, PaLM TF-3 6.3.4)."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from xds.content.forms.fhir_bundle import part_of
from xds.content.reading.cda.value import NULLS
from xds.content.reading.model import ContentObservation, ObservationSpecimen, ObservationValue
from xds.content.reading.rendered import value_with_unit
from xds.metadata.datatypes import CX
from xds.metadata.objects import Code
from xds.rendering.cda_elements import Element, code, element, identifier, instance, template, time

_RESULT: Final = "1.3.6.1.4.1.19376.1.3.1.6"
_COMMENT: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.2"
_COMMENT_CODE: Final = Code("48767-8", "2.16.840.1.113883.6.1", "Annotation comment")
_STATUSES: Final = {
    "cancelled": "aborted",
    "preliminary": "active",
    "registered": "active",
    "unknown": "active",
}
"""ObservationStatus to ActStatus; all others are completed."""
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")
_NULL_FLAVORS: Final = {said: code for code, said in NULLS.items()}
_UNIT: Final = re.compile(r"\S+")


def observation(found: ContentObservation, unique_ids: Sequence[str]) -> Element:
    """Return a result as an observation, with references to the documents that it is of."""
    return element(
        "observation",
        *template(_RESULT),
        _named(found),
        element("statusCode", code=_STATUSES.get(found.status, "completed")),
        time("effectiveTime", found.time),
        *map(value, found.values),
        *(code("interpretationCode", one, one.display_name) for one in found.interpretation),
        _specimen(found.specimen) if found.specimen is not None else None,
        performer(found.performer) if found.performer else None,
        *(
            element("entryRelationship", note(one), typeCode="SUBJ", inversionInd="true")
            for one in (*part_of(found), *found.notes)
            if one.strip()
        ),
        *map(excerpt, unique_ids),
        _range(found.reference_range) if found.reference_range else None,
        classCode="OBS",
        moodCode="EVN",
    )


def excerpt(unique_id: str) -> Element:
    """Return the relation of a statement to the document that it is of."""
    document = element(
        "externalDocument", identifier("id", unique_id), classCode="DOC", moodCode="EVN"
    )
    return element("reference", document, typeCode="XCRPT")


def _named(found: ContentObservation) -> Element:
    made = code("code", found.code, found.name)
    for one in found.translations:
        made.append(code("translation", one, one.display_name))
    return made


def value(value: ObservationValue) -> Element:
    """Return a value of an observation, by its kind, else as text."""
    return next(chain(_structured(value), _text(value)))


def _text(value: ObservationValue) -> Iterator[Element]:
    said = value_with_unit(value)
    if value.kind != "absent":
        yield element("value", said, type_="ST")
    elif said and said not in _NULL_FLAVORS:
        yield element("value", f"({said})", type_="ST")
    else:
        yield element("value", type_="ST", nullFlavor=_NULL_FLAVORS.get(said, "NI"))


def _structured(value: ObservationValue) -> Iterator[Element]:
    """Yield a value of its kind; nothing where CDA cannot have it so."""
    unit = value.unit or "1"
    match value.kind:
        case "quantity" if _is_quantity(value.number, unit):
            if not value.comparator:
                yield element("value", type_="PQ", value=value.number, unit=value.unit or None)
            else:
                yield _bounded(value.comparator, value.number, unit)
        case "range" if value.comparator and _is_quantity(value.low or value.high, unit):
            yield _bounded(value.comparator, value.low or value.high, unit)
        case "range" if _is_quantity(value.low, unit) and _is_quantity(value.high, unit):
            bounds = ("low", value.low), ("high", value.high)
            yield element(
                "value",
                *(element(name, value=number, unit=unit) for name, number in bounds),
                type_="IVL_PQ",
            )
        case "code" if value.code is not None:
            made = code("value", value.code, value.text)
            made.set("{http://www.w3.org/2001/XMLSchema-instance}type", "CD")
            yield made
        case "boolean":
            yield element("value", type_="BL", value=value.text)
        case "time" if not (value.low or value.high):
            made = time("value", value.text)
            made.set("{http://www.w3.org/2001/XMLSchema-instance}type", "TS")
            yield made


def _is_quantity(number: str, unit: str) -> bool:
    return bool(_NUMBER.fullmatch(number) and _UNIT.fullmatch(unit))


def _bounded(comparator: str, number: str, unit: str) -> Element:
    name = "high" if comparator.startswith("<") else "low"
    inclusive = "true" if comparator.endswith("=") else "false"
    bound = element(name, value=number, unit=unit, inclusive=inclusive)
    return element("value", bound, type_="IVL_PQ")


def _specimen(found: ObservationSpecimen) -> Element:
    entity = element("specimenPlayingEntity", code("code", found.type, found.text))
    role = element("specimenRole", *map(number, found.identifiers), entity)
    return element("specimen", role, typeCode="SPC")


def number(said: str) -> Element:
    """Return an identifier in the form of a CX as II."""
    try:
        found = CX.parse(said)
    except ValueError:
        return identifier("id", said)
    if found.assigning_authority:
        return instance("id", found.assigning_authority, found.id_number)
    return identifier("id", said)


def performer(name: str) -> Element:
    """Return who did something, by name."""
    person = element("assignedPerson", element("name", name))
    return element("performer", element("assignedEntity", element("id", nullFlavor="UNK"), person))


def _range(said: str) -> Element:
    return element("referenceRange", element("observationRange", element("text", said)))


def note(said: str) -> Element:
    """Return a comment."""
    return element(
        "act",
        *template(_COMMENT),
        code("code", _COMMENT_CODE),
        element("text", said),
        element("statusCode", code="completed"),
        classCode="ACT",
        moodCode="EVN",
    )
