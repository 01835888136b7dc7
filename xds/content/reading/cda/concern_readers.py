"""Problems and allergies: observations within a concern, or by themselves (C-CDA 2.1, PCC TF-2)."""

from collections.abc import Iterator
from typing import Final, Literal

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.statement_parts import (
    CodedName,
    StatementReader,
    code_of,
    is_negated,
    is_of,
    is_usable,
    mood,
    related,
    status_code,
)
from xds.content.reading.codes_of_statements import (
    ALLERGY_TYPES,
    CATEGORIES,
    CLINICAL,
    CRITICALITIES,
    KINDS_OF_ALLERGY,
    OF_CONCERN,
)
from xds.content.reading.model import (
    AllergyReaction,
    ContentStatement,
)
from xds.metadata.objects import Code

_STATUS: Final = "33999-4"
_CRITICALITY: Final = "82606-5"
_OBSERVATION: Final = f"{{{NS}}}observation"
Statements = Iterator[ContentStatement]


def conditions(reader: StatementReader, statement: Element) -> Statements:
    """Yield the problems of a concern, or one that stands by itself."""
    for concern, one in _of_concern(statement):
        found = reader.values(one)
        if found is None or not is_usable(one):
            continue
        name, code, translations = found
        is_none = reader.is_none("condition", one, code)
        if is_negated(one) and code is None:
            continue
        yield reader.statement(
            "condition",
            one,
            name=name,
            code=code,
            translations=translations,
            is_none_known=is_none,
            status=_clinical(reader, concern, one),
            severity=_severity(reader, one),
        )


def allergies(reader: StatementReader, statement: Element) -> Statements:
    """Yield the allergies of a concern, or one that stands by itself."""
    for concern, one in _of_concern(statement):
        kind = hl7.first(one, "value")
        type_code = code_of(kind) or code_of(one.find(f"{{{NS}}}code"))
        substance = _substance(reader, one)
        is_kind = code_of(kind) in KINDS_OF_ALLERGY
        found = substance or (None if is_kind and not is_negated(one) else reader.values(one))
        if found is None or not is_usable(one):
            continue
        name, code, translations = found
        is_generic = substance is None and is_kind
        is_none = reader.is_none("allergy", one, code, is_generic=is_generic)
        if is_negated(one) and code is None:
            continue
        yield reader.statement(
            "allergy",
            one,
            name=name,
            code=code,
            translations=translations,
            is_none_known=is_none,
            status=_clinical(reader, concern, one) or "active",
            category=CATEGORIES.get(type_code, ""),
            allergy_type=ALLERGY_TYPES.get(type_code, ""),
            criticality=_criticality(reader, one),
            severity=_severity(reader, one),
            reactions=tuple(_reactions(reader, one)),
        )


def _substance(reader: StatementReader, one: Element) -> CodedName | None:
    for participant in hl7.each(one, "participant"):
        if participant.get("typeCode") != "CSM":
            continue
        for entity in hl7.each(participant, "participantRole/playingEntity"):
            named = reader.named(entity.find(f"{{{NS}}}code"))
            said = hl7.text(hl7.first(entity, "name"))
            if named is not None:
                return named
            if said:
                return said, None, ()
    return None


def _clinical(reader: StatementReader, concern: Element | None, one: Element) -> str:
    for _, status in related(one, "observation"):
        if is_of(status, _STATUS):
            for value in hl7.each(status, "value"):
                if found := CLINICAL.get(code_of(value)):
                    return found
    said = OF_CONCERN.get(status_code(concern), "") if concern is not None else ""
    if reader.times(one)[1]:
        return "resolved"
    high = one.find(f"{{{NS}}}effectiveTime/{{{NS}}}high")
    # an end that is unknown is an end (C-CDA 2.1, 3.78), but some write so of what goes on
    if high is not None and high.get("nullFlavor") == "UNK" and said != "active":
        return "resolved"
    return said


def _severity(reader: StatementReader, statement: Element) -> Code | None:
    for _, one in related(statement, "observation"):
        if is_of(one, "SEV") and (value := hl7.first(one, "value")) is not None:
            return reader.source.code(value)
    return None


def _criticality(
    reader: StatementReader, one: Element
) -> Literal["", "low", "high", "unable-to-assess"]:
    for _, found in related(one, "observation"):
        if is_of(found, _CRITICALITY):
            return CRITICALITIES.get(code_of(hl7.first(found, "value")), "")
    return ""


def _reactions(reader: StatementReader, one: Element) -> Iterator[AllergyReaction]:
    for link, found in related(one, "observation"):
        is_reaction = link.get("typeCode") == "MFST" or is_of(found, "ASSERTION")
        value = reader.values(found) if is_reaction else None
        if value is not None:
            name, code, _ = value
            yield AllergyReaction(name=name, code=code, severity=_severity(reader, found))


def _of_concern(statement: Element) -> Iterator[tuple[Element | None, Element]]:
    """Yield the observations of a concern with it, or the observation that stands alone."""
    if mood(statement) != "EVN" or not is_usable(statement):
        return
    if statement.tag == _OBSERVATION:
        yield None, statement
        return
    if is_negated(statement):
        return
    for link in statement.iterchildren(f"{{{NS}}}entryRelationship", f"{{{NS}}}component"):
        for one in link.iterchildren(_OBSERVATION):
            if mood(one) == "EVN" and link.get("typeCode", "SUBJ") in ("SUBJ", "COMP"):
                yield statement, one
