"""Medicines, immunizations, procedures and devices (C-CDA 2.1, PCC TF-2 6.3.4)."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.parties import cx
from xds.content.reading.cda.statement_parts import (
    PLANNED,
    CodedName,
    StatementReader,
    code_of,
    is_negated,
    is_of,
    is_usable,
    mood,
    related,
    status_code,
    text_of,
)
from xds.content.reading.cda.value import values
from xds.content.reading.codes_of_statements import (
    NONE_KNOWN,
    OF_MEDICATION,
    OF_PROCEDURE,
)
from xds.content.reading.model import (
    ContentStatement,
    ObservationValue,
    StatementKind,
)
from xds.content.reading.rendered import value_with_unit

_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_DOSE_NUMBER: Final = "30973-2"
_UDI: Final = "2.16.840.1.113883.3.3719"
"""The FDA, whose extensions are Unique Device Identifiers."""
_ACT: Final = f"{{{NS}}}act"
_SUBSTANCE: Final = f"{{{NS}}}substanceAdministration"
Statements = Iterator[ContentStatement]


def medications(reader: StatementReader, statement: Element) -> Statements:
    """Yield a medicine that is taken, was given, or is prescribed."""
    if statement.tag != _SUBSTANCE or not is_usable(statement):
        return
    found = _product(reader, statement)
    if found is None:
        found = _none_of_codes(reader, "medication", statement)
    if found is None or (is_negated(statement) and found[1] is None):
        return
    name, code, translations = found
    periods = hl7.each(statement, "effectiveTime")
    yield reader.statement(
        "medication",
        statement,
        name=name,
        code=code,
        translations=translations,
        is_none_known=reader.is_none("medication", statement, code),
        status=_of_medication(reader, statement),
        dose=_dose(reader, statement),
        dosage=", ".join(filter(None, map(partial(_frequency, reader), periods))),
        route=reader.code(statement, "routeCode"),
        site=reader.code(statement, "approachSiteCode"),
        reason=reader.reason(statement),
    )


def _of_medication(reader: StatementReader, statement: Element) -> str:
    said = status_code(statement)
    if is_negated(statement):
        return "not-taken"
    if said == "completed" and mood(statement) in PLANNED:
        return "intended"
    if said == "completed":
        # in PCC all have this status: what is over has an end that has passed
        stop = reader.times(statement)[1]
        written = reader.source.time(hl7.first(reader.source.root, "effectiveTime"))
        is_over = stop and written and stop[:8] <= written[:8]
        return "completed" if is_over else "unknown"
    return OF_MEDICATION.get(said, "unknown")


def immunizations(reader: StatementReader, statement: Element) -> Statements:
    """Yield an immunization that was given, or was not."""
    if statement.tag != _SUBSTANCE or mood(statement) != "EVN" or not is_usable(statement):
        return
    found = _product(reader, statement) or _none_of_codes(reader, "immunization", statement)
    if found is None or (is_negated(statement) and found[1] is None):
        return
    name, code, translations = found
    product = hl7.first(statement, "consumable/manufacturedProduct")
    is_given = status_code(statement) not in ("aborted", "cancelled")
    yield reader.statement(
        "immunization",
        statement,
        name=name,
        code=code,
        translations=translations,
        is_none_known=reader.is_none("immunization", statement, code),
        status="not-done" if is_negated(statement) or not is_given else "completed",
        dose=_dose(reader, statement),
        route=reader.code(statement, "routeCode"),
        site=reader.code(statement, "approachSiteCode"),
        reason=reader.reason(statement),
        lot=text_of(product, "manufacturedMaterial/lotNumberText"),
        maker=text_of(product, "manufacturerOrganization/name"),
        sequence=_sequence(reader, statement),
    )


def _product(reader: StatementReader, statement: Element) -> CodedName | None:
    for material in hl7.each(
        statement, "consumable/manufacturedProduct/manufacturedMaterial"
    ) or hl7.each(statement, "consumable/manufacturedProduct/manufacturedLabeledDrug"):
        named = reader.named(material.find(f"{{{NS}}}code"))
        said = hl7.text(hl7.first(material, "name"))
        if named is not None:
            return named
        if said:
            return said, None, ()
    return None


def _none_of_codes(
    reader: StatementReader, kind: StatementKind, statement: Element
) -> CodedName | None:
    """Return what the code of an act says where it is that nothing is known."""
    code = reader.source.code(statement.find(f"{{{NS}}}code"))
    if code is None or code.code not in NONE_KNOWN[kind]:
        return None
    return code.display_name, code, ()


def _dose(reader: StatementReader, statement: Element) -> ObservationValue | None:
    for element in hl7.each(statement, "doseQuantity"):
        low, high = hl7.first(element, "low"), hl7.first(element, "high")
        if low is None and high is None:
            number, unit = element.get("value") or "", element.get("unit") or ""
            if number:
                return ObservationValue(kind="quantity", text=number, number=number, unit=unit)
            continue
        bounds = [one.get("value") or "" if one is not None else "" for one in (low, high)]
        units = [one.get("unit") or "" for one in (low, high) if one is not None]
        said = " - ".join(filter(None, bounds))
        if said:
            unit = next(filter(None, units), "")
            return ObservationValue(
                kind="range", text=said, low=bounds[0], high=bounds[1], unit=unit
            )
    return None


def _frequency(reader: StatementReader, element: Element) -> str:
    """Return how often something is taken, in words (PIVL_TS and EIVL_TS)."""
    kind = (element.get(_TYPE) or "").rpartition(":")[2]
    if kind == "PIVL_TS" and (period := hl7.first(element, "period")) is not None:
        value, unit = period.get("value") or "", period.get("unit") or ""
        return f"every {value} {unit}".strip() if value else ""
    if kind == "EIVL_TS" and (event := hl7.first(element, "event")) is not None:
        said = event.get("displayName") or code_of(event)
        return f"at {said}" if said else ""
    return ""


def _sequence(reader: StatementReader, statement: Element) -> str:
    for _, one in related(statement, "observation"):
        if is_of(one, _DOSE_NUMBER):
            for value in values(reader.source, one):
                return value.number if value.number.isdecimal() else ""
    return ""


def procedures(reader: StatementReader, statement: Element) -> Statements:
    """Yield a procedure that was done, or was not."""
    if mood(statement) != "EVN" or not is_usable(statement):
        return
    named = reader.named(statement.find(f"{{{NS}}}code"))
    # an act without a code may stand for anything, such as words
    needs_code = is_negated(statement) or statement.tag == _ACT
    if named is None or (needs_code and named[1] is None):
        return
    name, code, translations = named
    status = OF_PROCEDURE.get(status_code(statement), "unknown")
    said = [value_with_unit(one) for one in values(reader.source, statement) if one.text]
    yield reader.statement(
        "procedure",
        statement,
        name=name,
        code=code,
        translations=translations,
        is_none_known=reader.is_none("procedure", statement, code),
        status="not-done" if is_negated(statement) else status,
        site=reader.code(statement, "targetSiteCode"),
        reason=reader.reason(statement),
        notes=tuple(said),
    )


def devices(reader: StatementReader, statement: Element) -> Statements:
    """Yield a device that somebody has, or used."""
    if not is_usable(statement):
        return
    for role in _devices(statement):
        device = hl7.first(role, "playingDevice")
        element = device if device is not None else hl7.first(role, "manufacturedMaterial")
        if element is None:
            continue
        named = reader.named(element.find(f"{{{NS}}}code"))
        model = text_of(element, "manufacturerModelName") or text_of(element, "name")
        if named is None and model:
            named = (model, None, ())
        if named is None or is_negated(statement):
            continue
        name, code, translations = named
        yield reader.statement(
            "device",
            statement,
            name=name,
            code=code,
            translations=translations,
            is_none_known=reader.is_none("device", statement, code),
            status=_of_device(reader, statement),
            site=reader.code(statement, "targetSiteCode"),
            maker=text_of(role, "scopingEntity/desc"),
            identifiers=tuple(one for one in cx(role) if one != _UDI),
        )


def _of_device(reader: StatementReader, statement: Element) -> str:
    if mood(statement) in PLANNED:
        return "intended"
    stop = reader.times(statement)[1]
    written = reader.source.time(hl7.first(reader.source.root, "effectiveTime"))
    return "completed" if stop and written and stop[:8] <= written[:8] else "active"


def _devices(statement: Element) -> Iterator[Element]:
    for participant in hl7.each(statement, "participant"):
        if participant.get("typeCode") in ("DEV", "PRD"):
            yield from hl7.each(participant, "participantRole")
    yield from hl7.each(statement, "product/manufacturedProduct")
    for inner in hl7.each(statement, "component/supply") + hl7.each(
        statement, "component/procedure"
    ):
        yield from _devices(inner)
