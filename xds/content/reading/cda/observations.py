"""The structured results of a CDA: XD-LAB (PaLM TF-3), C-CDA and PCC results and vital signs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.parties import party
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.cda.specimens import collected, of_observation
from xds.content.reading.cda.value import interpretation, reference_range, values
from xds.content.reading.model import (
    ContentObservation,
    ObservationSpecimen,
    ObservationValue,
)
from xds.metadata.objects import Code

_RESULTS: Final = frozenset(
    {
        "1.3.6.1.4.1.19376.1.3.1.6",  # Laboratory Observation
        "1.3.6.1.4.1.19376.1.5.3.1.4.13.2",  # Vital Signs Observation (PCC)
        "2.16.840.1.113883.10.20.1.31",  # Result Observation (CCD)
        "2.16.840.1.113883.10.20.22.4.2",  # Result Observation (C-CDA)
        "2.16.840.1.113883.10.20.22.4.27",  # Vital Sign Observation (C-CDA)
    }
)
_SPECIALTY: Final = "1.3.6.1.4.1.19376.1.3.3.2.1"
_ISOLATE: Final = "1.3.6.1.4.1.19376.1.3.1.5"
_COMMENTS: Final = frozenset({"1.3.6.1.4.1.19376.1.5.3.1.4.2", "2.16.840.1.113883.10.20.22.4.64"})
_STATEMENTS: Final = frozenset(
    f"{{{NS}}}{name}"
    for name in (
        "act",
        "encounter",
        "observation",
        "organizer",
        "procedure",
        "substanceAdministration",
        "supply",
    )
)
_LINKS: Final = (f"{{{NS}}}entryRelationship", f"{{{NS}}}component")
_OBSERVATION: Final = f"{{{NS}}}observation"
_ORGANIZER: Final = f"{{{NS}}}organizer"

STATUSES: Final[Mapping[str, str]] = {
    "aborted": "cancelled",
    "active": "preliminary",
    "cancelled": "cancelled",
    "completed": "final",
    "held": "registered",
    "new": "registered",
    "nullified": "entered-in-error",
    "obsolete": "entered-in-error",
    "suspended": "registered",
}
"""ActStatus to ObservationStatus of FHIR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What stands round an observation and is true of it."""

    category: Code | None = None
    specimens: tuple[ObservationSpecimen, ...] = ()
    isolate: ObservationSpecimen | None = None
    group: str = ""
    time: str = ""
    performer: str = ""
    status: str = ""
    is_earlier: bool = False
    is_of_result: bool = False
    """Whether it is part of a result, so that it needs no template of its own."""


def observations(source: CdaSource) -> Iterator[ContentObservation]:
    """Yield the results in the order of the document, those that it only cites as well."""
    path = f"{{{NS}}}component/{{{NS}}}structuredBody"
    for structured in source.root.iterfind(path):
        yield from _of_sections(source, structured, _Around())


def _of_sections(
    source: CdaSource, parent: Element, around: _Around
) -> Iterator[ContentObservation]:
    for section in parent.iterfind(f"{{{NS}}}component/{{{NS}}}section"):
        category = around.category
        if category is None or not _has(section, {_SPECIALTY}):
            category = category or source.code(section.find(f"{{{NS}}}code"))
        within = replace(around, category=category)
        for entry in section.iterchildren(f"{{{NS}}}entry"):
            refers = entry.get("typeCode") == "REFR"
            yield from _of_link(source, entry, replace(within, is_earlier=refers))
        yield from _of_sections(source, section, within)


def plain_observation(
    source: CdaSource, statement: Element, category: Code | None
) -> ContentObservation:
    """Return an observation that has none of the templates of results."""
    return _observation(source, statement, _Around(category=category))


def is_result(statement: Element) -> bool:
    """Tell whether a statement, or one within it, is a result by its templates."""
    return any(_has(one, _RESULTS) for one in statement.iter(_OBSERVATION))


def _has(element: Element, templates: frozenset[str] | set[str]) -> bool:
    return any(one.get("root") in templates for one in element.iterchildren(f"{{{NS}}}templateId"))


def _of_link(source: CdaSource, link: Element, around: _Around) -> Iterator[ContentObservation]:
    for statement in link.iterchildren():
        if statement.tag in _STATEMENTS and (statement.get("moodCode") or "EVN") == "EVN":
            yield from _of_statement(source, statement, around)


def _of_statement(
    source: CdaSource, statement: Element, around: _Around
) -> Iterator[ContentObservation]:
    within = _within(source, statement, around)
    is_result = statement.tag == _OBSERVATION and (around.is_of_result or _has(statement, _RESULTS))
    if is_result:
        found = _observation(source, statement, within)
        yield found
        within = replace(
            within, is_of_result=True, group=_joined(within.group, found.name), time=found.time
        )
    for link in statement.iterchildren(_LINKS):
        if link.get("typeCode") == "REFR":
            yield from _of_link(source, link, _cited(within, around.group))
        else:
            # of what else hangs on a result only what is a result itself
            yield from _of_link(source, link, replace(within, is_of_result=False))


def _cited(around: _Around, group: str) -> _Around:
    """Return what is true of a result that is only cited: it was found in another specimen."""
    return replace(
        around, specimens=(), isolate=None, group=group, time="", performer="", is_earlier=True
    )


def _within(source: CdaSource, statement: Element, around: _Around) -> _Around:
    """Return what is true of all that stands within a statement."""
    if statement.tag == _OBSERVATION:
        return around
    specimens = tuple(collected(source, statement))
    isolate, group = around.isolate, around.group
    if statement.tag == _ORGANIZER:
        said = source.words(statement.find(f"{{{NS}}}code"))
        own = of_observation(source, statement)
        if own is not None and _has(statement, {_ISOLATE}):
            isolate, said = own, own.text or said
        elif own is not None:
            specimens = specimens or (own,)
        group = _joined(group, said)
    return replace(
        around,
        specimens=specimens or around.specimens,
        isolate=isolate,
        group=group,
        time=_time(source, statement) or around.time,
        performer=_performer(source, statement) or around.performer,
        status=_status(statement) or around.status,
    )


def _joined(group: str, said: str) -> str:
    said = said.replace("/", "\N{FRACTION SLASH}")
    return f"{group}/{said}" if group and said else group or said


def _time(source: CdaSource, statement: Element) -> str:
    return source.time_of(hl7.first(statement, "effectiveTime"), "low", "high", "center")


def _status(statement: Element) -> str:
    found = hl7.first(statement, "statusCode")
    return STATUSES.get(found.get("code") or "", "") if found is not None else ""


def _performer(source: CdaSource, statement: Element) -> str:
    for role in hl7.each(statement, "performer/assignedEntity"):
        who = party(role)
        if who.name or who.organisation:
            return who.name or who.organisation
    return ""


def _observation(source: CdaSource, statement: Element, around: _Around) -> ContentObservation:
    code = statement.find(f"{{{NS}}}code")
    specimen = _specimen(source, statement, around)
    time = _time(source, statement) or around.time
    return ContentObservation(
        code=source.code(code),
        name=source.words(code) or source.text(statement.find(f"{{{NS}}}text")),
        values=_values(source, statement),
        status=_status(statement) or around.status or "unknown",
        time=time or (specimen.collected if specimen is not None else ""),
        interpretation=interpretation(source, statement),
        reference_range=reference_range(source, statement),
        specimen=specimen,
        category=around.category,
        group=around.group,
        translations=tuple(source.translations(code)),
        performer=_performer(source, statement) or around.performer,
        notes=tuple(_notes(source, statement)),
        is_earlier=around.is_earlier,
        place=source.places.of(statement),
    )


def _specimen(source: CdaSource, statement: Element, around: _Around) -> ObservationSpecimen | None:
    own = of_observation(source, statement)
    only = around.specimens[0] if len(around.specimens) == 1 else None
    if around.isolate is not None:
        return _with_times(own or around.isolate, only)
    if own is None:
        return only
    ids = set(own.identifiers)
    same = next((one for one in around.specimens if ids & set(one.identifiers)), None)
    return _with_times(own, same or only)


def _with_times(
    specimen: ObservationSpecimen, of: ObservationSpecimen | None
) -> ObservationSpecimen:
    """Return a specimen with the times of the sample that it is, or that it was grown from."""
    if of is None:
        return specimen
    return replace(
        specimen,
        type=specimen.type or of.type,
        text=specimen.text or of.text,
        collected=specimen.collected or of.collected,
        received=specimen.received or of.received,
    )


def _values(source: CdaSource, statement: Element) -> tuple[ObservationValue, ...]:
    found = values(source, statement)
    if statement.get("negationInd") == "true":
        # nobody may take what was not found for a finding
        return tuple(ObservationValue(kind="text", text=f"not: {one.text}") for one in found)
    return found


def _notes(source: CdaSource, statement: Element) -> Iterator[str]:
    for link in statement.iterchildren(f"{{{NS}}}entryRelationship"):
        for act in link.iterchildren(f"{{{NS}}}act"):
            if _has(act, _COMMENTS) and (said := source.text(act.find(f"{{{NS}}}text"))):
                yield said
