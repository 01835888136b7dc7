"""Structured statements as entries of CDA, as C-CDA, PCC and IPS arrange them (CDA R2 4.3.6).

They claim no template: these demand what documents do not always say. What is made here the reader
of statements reads again as it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from xds.content.reading.codes_of_statements import ALLERGY_CODES, CLINICAL_CODES
from xds.content.reading.model import AllergyReaction, ContentStatement, StatementKind
from xds.content.summary.cda_results import excerpt, note, number, performer, value
from xds.content.summary.fhir_statements import none_known
from xds.metadata.objects import Code
from xds.rendering.cda_elements import Element, code, element, time

_ACT_CODE: Final = "2.16.840.1.113883.5.4"
_ASSERTION: Final = Code("ASSERTION", _ACT_CODE, "Assertion")
_SEVERITY: Final = Code("SEV", _ACT_CODE, "Severity")
_CONCERN: Final = Code("CONC", "2.16.840.1.113883.5.6", "Concern")
_LOINC: Final = "2.16.840.1.113883.6.1"
_STATUS: Final = Code("33999-4", _LOINC, "Status")
_CRITICALITY: Final = Code("82606-5", _LOINC, "Criticality")
_DOSE_NUMBER: Final = Code("30973-2", _LOINC, "Dose number")
_CRITICALITIES: Final = {
    "low": Code("CRITL", "2.16.840.1.113883.5.1063", "low criticality"),
    "high": Code("CRITH", "2.16.840.1.113883.5.1063", "high criticality"),
    "unable-to-assess": Code("CRITU", "2.16.840.1.113883.5.1063", "unable to assess criticality"),
}
_SNOMED: Final = "2.16.840.1.113883.6.96"
_OF_CONCERN: Final = {"active": "active", "recurrence": "active"}
_STATUSES: Final = {
    "active": "active",
    "completed": "completed",
    "in-progress": "active",
    "on-hold": "suspended",
    "preparation": "new",
    "stopped": "aborted",
}
"""Of FHIR to ActStatus; all others are completed."""


def statement(found: ContentStatement, unique_ids: Sequence[str]) -> Element:
    """Return a statement as the content of an entry, with references to its documents."""
    return _MAKERS[found.kind](found, unique_ids)


# --- problems and allergies ----------------------------------------------------------------------


def _concern(found: ContentStatement, observation: Element) -> Element:
    return element(
        "act",
        code("code", _CONCERN),
        element("statusCode", code=_OF_CONCERN.get(found.status, "completed")),
        element("entryRelationship", observation, typeCode="SUBJ"),
        classCode="ACT",
        moodCode="EVN",
    )


def _condition(found: ContentStatement, unique_ids: Sequence[str]) -> Element:
    return _concern(
        found,
        element(
            "observation",
            code("code", _ASSERTION),
            element("statusCode", code="completed"),
            _interval(found),
            _coded("value", found, type_="CD"),
            *_author(found),
            *_related(
                ("REFR", _clinical_status(found)),
                ("SUBJ", _severity(found.severity)),
            ),
            *_notes(found),
            *map(excerpt, unique_ids),
            **_classes(found, "OBS"),
        ),
    )


def _allergy(found: ContentStatement, unique_ids: Sequence[str]) -> Element:
    kind = Code(*ALLERGY_CODES[found.category, found.allergy_type])
    is_known = found.is_none_known
    participant = element(
        "participant",
        element(
            "participantRole",
            element("playingEntity", _coded("code", found), classCode="MMAT"),
            classCode="MANU",
        ),
        typeCode="CSM",
    )
    return _concern(
        found,
        element(
            "observation",
            code("code", _ASSERTION),
            element("statusCode", code="completed"),
            _interval(found),
            _coded("value", found, type_="CD") if is_known else _typed(code("value", kind)),
            *_author(found),
            None if is_known else participant,
            *_related(
                ("REFR", _clinical_status(found)),
                ("SUBJ", _criticality(found)),
                ("SUBJ", _severity(found.severity)),
                *(("MFST", _reaction(one)) for one in found.reactions),
            ),
            *_notes(found),
            *map(excerpt, unique_ids),
            **_classes(found, "OBS"),
        ),
    )


def _reaction(found: AllergyReaction) -> Element:
    return element(
        "observation",
        code("code", _ASSERTION),
        element("statusCode", code="completed"),
        _typed(code("value", found.code, found.name)),
        *_related(("SUBJ", _severity(found.severity))),
        classCode="OBS",
        moodCode="EVN",
    )


def _clinical_status(found: ContentStatement) -> Element | None:
    known = CLINICAL_CODES.get(found.status)
    if known is None:
        return None
    return _observed(_STATUS, Code(known, _SNOMED, found.status))


def _severity(found: Code | None) -> Element | None:
    return _observed(_SEVERITY, found) if found is not None else None


def _criticality(found: ContentStatement) -> Element | None:
    known = _CRITICALITIES.get(found.criticality)
    return _observed(_CRITICALITY, known) if known is not None else None


def _observed(what: Code, found: Code) -> Element:
    return element(
        "observation",
        code("code", what),
        element("statusCode", code="completed"),
        _typed(code("value", found, found.display_name)),
        classCode="OBS",
        moodCode="EVN",
    )


# --- medicines -----------------------------------------------------------------------------------


def _substance(found: ContentStatement, unique_ids: Sequence[str]) -> Element:
    material = element(
        "manufacturedMaterial",
        _coded("code", found),
        element("lotNumberText", found.lot) if found.lot else None,
    )
    maker = element("manufacturerOrganization", element("name", found.maker))
    return element(
        "substanceAdministration",
        element("statusCode", code=_STATUSES.get(found.status, "completed")),
        _interval(found) if found.kind == "medication" else time("effectiveTime", found.start),
        code("routeCode", found.route, found.route.display_name) if found.route else None,
        code("approachSiteCode", found.site, found.site.display_name) if found.site else None,
        _dose(found),
        element(
            "consumable",
            element(
                "manufacturedProduct", material, maker if found.maker else None, classCode="MANU"
            ),
        ),
        performer(found.performer) if found.performer else None,
        *_author(found),
        *_related(("RSON", _reason(found)), ("SUBJ", _sequence(found))),
        *_notes(found, (found.dosage,)),
        *map(excerpt, unique_ids),
        **_classes(found, "SBADM", "INT" if found.status == "intended" else "EVN"),
    )


def _dose(found: ContentStatement) -> Element | None:
    dose = found.dose
    if dose is None:
        return None
    made = value(dose)
    if made.get(_TYPE) not in ("PQ", "IVL_PQ"):
        return None
    made.tag = element("doseQuantity").tag
    del made.attrib[_TYPE]
    return made


def _reason(found: ContentStatement) -> Element | None:
    if not found.reason:
        return None
    return _observed(_ASSERTION, Code("", "", found.reason))


def _sequence(found: ContentStatement) -> Element | None:
    if not found.sequence:
        return None
    return element(
        "observation",
        code("code", _DOSE_NUMBER),
        element("statusCode", code="completed"),
        element("value", type_="INT", value=found.sequence),
        classCode="OBS",
        moodCode="EVN",
    )


# --- what was done -------------------------------------------------------------------------------


def _procedure(found: ContentStatement, unique_ids: Sequence[str]) -> Element:
    return element(
        "procedure",
        _coded("code", found),
        element("statusCode", code=_STATUSES.get(found.status, "completed")),
        _interval(found) if found.stop else time("effectiveTime", found.start),
        code("targetSiteCode", found.site, found.site.display_name) if found.site else None,
        performer(found.performer) if found.performer else None,
        *_author(found),
        *_related(("RSON", _reason(found))),
        *_notes(found),
        *map(excerpt, unique_ids),
        **_classes(found, "PROC"),
    )


def _device(found: ContentStatement, unique_ids: Sequence[str]) -> Element:
    maker = element("scopingEntity", element("desc", found.maker))
    role = element(
        "participantRole",
        *map(number, found.identifiers),
        element("playingDevice", _coded("code", found)),
        maker if found.maker else None,
        classCode="MANU",
    )
    return element(
        "supply",
        element("statusCode", code=_STATUSES.get(found.status, "completed")),
        _interval(found),
        *_author(found),
        element("participant", role, typeCode="DEV"),
        *_notes(found, (f"Site: {found.site.display_name}",) if found.site is not None else ()),
        *map(excerpt, unique_ids),
        classCode="SPLY",
        moodCode="INT" if found.status == "intended" else "EVN",
    )


# --- what all have -------------------------------------------------------------------------------

_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"


def _typed(made: Element, kind: str = "CD") -> Element:
    made.set(_TYPE, kind)
    return made


def _coded(name: str, found: ContentStatement, *, type_: str = "") -> Element:
    """Return what a statement is about."""
    known = found.code
    if known is None and found.is_none_known:
        known = none_known(found)
    made = code(name, known, found.name)
    for one in found.translations:
        made.append(code("translation", one, one.display_name))
    return _typed(made, type_) if type_ else made


def _classes(found: ContentStatement, class_code: str, mood: str = "EVN") -> dict[str, str]:
    more = {"negationInd": "true"} if found.is_negated else {}
    return {"classCode": class_code, "moodCode": mood, **more}


def _interval(found: ContentStatement) -> Element:
    if not (found.start or found.stop):
        return element("effectiveTime", nullFlavor="UNK")
    made = element("effectiveTime", time("low", found.start))
    if found.stop:
        made.append(time("high", found.stop))
    made.set(_TYPE, "IVL_TS")
    return made


def _author(found: ContentStatement) -> Iterator[Element]:
    """Yield when it was written down; by whom the document says, to which it refers."""
    if found.recorded:
        yield element(
            "author",
            time("time", found.recorded),
            element("assignedAuthor", element("id", nullFlavor="UNK")),
        )


def _related(*found: tuple[str, Element | None]) -> Iterator[Element]:
    for type_code, one in found:
        if one is not None:
            inverted = "true" if type_code == "SUBJ" else None
            yield element("entryRelationship", one, typeCode=type_code, inversionInd=inverted)


def _notes(found: ContentStatement, more: Sequence[str] = ()) -> Iterator[Element]:
    for said in (*more, *found.notes):
        if said.strip():
            yield element("entryRelationship", note(said), typeCode="SUBJ", inversionInd="true")


_MAKERS: Final[Mapping[StatementKind, Callable[[ContentStatement, Sequence[str]], Element]]] = {
    "allergy": _allergy,
    "condition": _condition,
    "device": _device,
    "immunization": _substance,
    "medication": _substance,
    "procedure": _procedure,
}
