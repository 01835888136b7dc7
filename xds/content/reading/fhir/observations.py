"""The structured results of a FHIR document: each Observation, its components and members (R4)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from xds.content.reading.fhir.header import party
from xds.content.reading.fhir.source import (
    BundleEntry,
    FhirSource,
    dtm,
    part,
    parts,
    text,
    time_of,
    words,
)
from xds.content.reading.fhir.value import interpretation, reference_range, values
from xds.content.reading.model import ContentObservation, ObservationSpecimen
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code

_GENERAL: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_MOST_LEVELS: Final = 8
"""Of panels within panels."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """What an Observation is part of."""

    group: str = ""
    specimen: ObservationSpecimen | None = None
    category: Code | None = None
    time: str = ""


def observations(source: FhirSource) -> Iterator[ContentObservation]:
    """Yield the results, the members of a panel after it."""
    entries = [one for one in source.entries if one.type == "Observation"]
    panels = _panels(source, entries)
    earlier = _earlier(source, entries)
    for entry in entries:
        panel = panels.get(entry.place, _Panel())
        for found in _of_entry(source, entry, panel):
            yield replace(found, is_earlier=entry.place in earlier)


def _panels(source: FhirSource, entries: list[BundleEntry]) -> dict[str, _Panel]:
    """Return what each Observation is part of: a report, or another Observation."""
    found: dict[str, _Panel] = {}
    for report in source.entries:
        if report.type != "DiagnosticReport":
            continue
        specimens = list(source.followed(report.resource, "specimen", report))
        specimen = _specimen(source, specimens[0]) if len(specimens) == 1 else None
        category = _category(source, report.resource)
        time = time_of(report.resource, "effective")
        for member in source.followed(report.resource, "result", report):
            found.setdefault(member.place, _Panel("", specimen, category, time))
    parents = {
        member.place: entry
        for entry in entries
        for member in source.followed(entry.resource, "hasMember", entry)
    }
    for place in parents:
        above = _above(parents, place)
        names = [words(part(one.resource, "code")).replace("/", "\u2044") for one in above]
        top = found.get(above[0].place, _Panel())
        own = found.get(place, top)
        found[place] = replace(
            own,
            group="/".join(filter(None, names)),
            specimen=own.specimen or top.specimen,
            category=own.category or top.category,
        )
    return found


def _above(parents: dict[str, BundleEntry], place: str) -> list[BundleEntry]:
    """Return the Observations that one is a member of, the outermost first; rings are cut."""
    found: list[BundleEntry] = []
    while (parent := parents.get(place)) is not None and len(found) < _MOST_LEVELS:
        if parent in found:
            break
        found.append(parent)
        place = parent.place
    return found[::-1]


_SEQUEL_TO: Final = "http://hl7.org/fhir/StructureDefinition/observation-sequelTo"


def _earlier(source: FhirSource, entries: list[BundleEntry]) -> set[str]:
    """Return the Observations that are only there because a later one followed them.

    What a report or a section has is a result of the document, whatever else refers to it.
    """
    cited: set[str] = set()
    for entry in entries:
        for extension in parts(entry.resource, "extension"):
            if text(extension, "url") == _SEQUEL_TO:
                found = source.follow(part(extension, "valueReference"), entry)
                cited.update([found.place] if found is not None else [])
    return cited - _reported(source) if cited else cited


def _reported(source: FhirSource) -> set[str]:
    found: set[str] = set()
    for entry in source.entries:
        for name in ("result", "hasMember"):
            found.update(one.place for one in source.followed(entry.resource, name, entry))
    sections = parts(source.composition.resource, "section")
    while sections:
        section = sections.pop()
        entries = source.followed(section, "entry", source.composition)
        found.update(one.place for one in entries)
        sections += parts(section, "section")
    return found


def _category(source: FhirSource, resource: Resource) -> Code | None:
    """Return the specialty; ``laboratory`` alone only where nothing is more exact."""
    found = [code for one in parts(resource, "category") for code in source.codes(one)]
    general = source.systems.scheme(_GENERAL)
    exact = (code for code in found if code.coding_scheme != general)
    return next(exact, found[0] if found else None)


def _of_entry(
    source: FhirSource, entry: BundleEntry, panel: _Panel
) -> Iterator[ContentObservation]:
    resource = entry.resource
    codes = tuple(source.codes(part(resource, "code")))
    specimens = [_specimen(source, one) for one in source.followed(resource, "specimen", entry)]
    specimen = specimens[0] if specimens else panel.specimen
    time = time_of(resource, "effective") or panel.time
    name = words(part(resource, "code"))
    components = parts(resource, "component")
    own = ContentObservation(
        code=codes[0] if codes else None,
        name=name,
        values=values(source, resource),
        status=text(resource, "status"),
        time=time or (specimen.collected if specimen is not None else ""),
        interpretation=interpretation(source, resource),
        reference_range=reference_range(resource),
        specimen=specimen,
        category=panel.category or _category(source, resource),
        group=panel.group,
        translations=codes[1:],
        performer=_performer(source, entry),
        notes=tuple(filter(None, (text(one, "text") for one in parts(resource, "note")))),
        place=entry.place,
    )
    if own.values or not (components or parts(resource, "hasMember")):
        yield own
    group = "/".join(filter(None, (panel.group, name.replace("/", "\u2044"))))
    for i, component in enumerate(components):
        codes = tuple(source.codes(part(component, "code")))
        yield replace(
            own,
            code=codes[0] if codes else None,
            name=words(part(component, "code")),
            values=values(source, component),
            interpretation=interpretation(source, component),
            reference_range=reference_range(component),
            group=group,
            translations=codes[1:],
            notes=(),
            place=f"{entry.place}.component[{i}]",
        )


def _performer(source: FhirSource, entry: BundleEntry) -> str:
    for reference in parts(entry.resource, "performer"):
        found = source.follow(reference, entry)
        who = party(source, found) if found is not None else None
        if who is not None and (who.name or who.organisation):
            return who.name or who.organisation
        if said := text(reference, "display"):
            return said
    return ""


def _specimen(source: FhirSource, entry: BundleEntry) -> ObservationSpecimen:
    resource = entry.resource
    found = [source.identifier(one) for one in parts(resource, "identifier")]
    accession = source.identifier(part(resource, "accessionIdentifier"))
    return ObservationSpecimen(
        type=source.code(part(resource, "type")),
        text=words(part(resource, "type")),
        identifiers=tuple(filter(None, (*found, accession))),
        collected=time_of(part(resource, "collection"), "collected"),
        received=dtm(resource.get("receivedTime")),
    )
