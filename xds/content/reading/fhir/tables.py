"""Tables made of resources that have no narrative."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.content.reading.fhir.source import (
    BundleEntry,
    FhirSource,
    as_text,
    choice,
    dtm,
    part,
    parts,
    text,
    time_of,
    words,
)
from xds.content.reading.fhir.value import interpretation, reference_range, values
from xds.content.reading.model import ContentTable
from xds.content.reading.rendered import value_with_unit
from xds.fhir.r4.resource import Resource

OF_HEADER: Final = frozenset(
    {
        "Composition",
        "Device",
        "Encounter",
        "Location",
        "Organization",
        "Patient",
        "Person",
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
    }
)
"""Resources that say who and where: the header has them, and no table does."""
_COLUMNS: Final = ("Name", "Value", "Reference range", "Interpretation", "Time", "Status")
_NAMES: Final = ("code", "vaccineCode", "medication", "type", "productCodeableConcept")
_TIMES: Final = ("effective", "occurrence", "performed", "onset", "recorded", "started")
_DATES: Final = ("authoredOn", "recordedDate", "date", "issued", "created")


def tables(source: FhirSource, entries: Sequence[BundleEntry]) -> Iterator[ContentTable]:
    """Yield a table for the resources of each type, in the order in which the types come."""
    by_type: dict[str, list[BundleEntry]] = {}
    for one in entries:
        if one.type not in OF_HEADER:
            by_type.setdefault(one.type, []).append(one)
    for kind, found in by_type.items():
        rows = [row for one in found for row in _rows(source, one)]
        if rows:
            yield _table(kind, rows)


def _table(caption: str, rows: list[tuple[str, ...]]) -> ContentTable:
    kept = [i for i in range(len(_COLUMNS)) if i < 2 or any(row[i] for row in rows)]
    return ContentTable(
        columns=tuple(_COLUMNS[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in rows),
        caption=caption,
    )


def _rows(source: FhirSource, entry: BundleEntry) -> Iterator[tuple[str, ...]]:
    resource = entry.resource
    row = _row(source, resource, _name(source, entry))
    if any(row[:4]):
        yield row
    for component in parts(resource, "component"):
        yield _row(source, component, f"\N{EN DASH} {words(part(component, 'code'))}")


def _row(source: FhirSource, resource: Resource, name: str) -> tuple[str, ...]:
    said = [value_with_unit(one) for one in values(source, resource)] + _details(resource)
    return (
        name,
        "; ".join(filter(None, said)),
        reference_range(resource),
        ", ".join(code.display_name for code in interpretation(source, resource)),
        _time(resource),
        text(resource, "status"),
    )


def _name(source: FhirSource, entry: BundleEntry) -> str:
    resource = entry.resource
    for name in _NAMES:
        found = part(resource, name) or part(resource, f"{name}CodeableConcept")
        if said := words(found):
            return said
    for one in source.followed(resource, "medicationReference", entry):
        if said := words(part(one.resource, "code")):
            return said
    return text(resource, "title") or text(resource, "description")


def _details(resource: Resource) -> list[str]:
    """Return what else a resource says in words."""
    found = [text(resource, "conclusion")]
    found += [text(one, "text") for one in parts(resource, "note")]
    for name in ("dosage", "dosageInstruction"):
        found += [text(one, "text") for one in parts(resource, name)]
    for name in ("clinicalStatus", "severity", "bodySite", "site", "route", "outcome"):
        found.append(words(part(resource, name)))
    for reaction in parts(resource, "reaction"):
        found += [words(one) for one in parts(reaction, "manifestation")]
    return [one for one in found if one]


def _time(resource: Resource) -> str:
    for name in _TIMES:
        kind, value = choice(resource, name)
        if found := time_of(resource, name) or (as_text(value) if kind == "String" else ""):
            return found
    return next(filter(None, (dtm(resource.get(name)) for name in _DATES)), "")
