"""Tables made of the entries of a CDA section, where it has no narrative of its own."""

from collections.abc import Iterator
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.cda.value import interpretation, reference_range, values
from xds.content.reading.model import ContentTable
from xds.content.reading.rendered import value_with_unit

COLUMNS: Final = ("Name", "Value", "Reference range", "Interpretation", "Time", "Status")
_STATEMENTS: Final = (
    "act",
    "encounter",
    "observation",
    "procedure",
    "regionOfInterest",
    "substanceAdministration",
    "supply",
)
_TAGS: Final = tuple(f"{{{NS}}}{name}" for name in _STATEMENTS)
_MATERIAL: Final = (
    "consumable/manufacturedProduct/manufacturedMaterial",
    "product/manufacturedProduct/manufacturedMaterial",
)


def tables(source: CdaSource, section: Element) -> Iterator[ContentTable]:
    """Yield the table of each entry of a section that says anything."""
    for entry in section.iterchildren(f"{{{NS}}}entry"):
        rows = [row for one in entry.iter(*_TAGS) if any((row := _row(source, one))[:4])]
        if rows:
            kept = [i for i in range(len(COLUMNS)) if i < 2 or any(row[i] for row in rows)]
            yield ContentTable(
                columns=tuple(COLUMNS[i] for i in kept),
                rows=tuple(tuple(row[i] for i in kept) for row in rows),
                caption=_caption(source, entry),
            )


def _caption(source: CdaSource, entry: Element) -> str:
    for organizer in entry.iter(f"{{{NS}}}organizer"):
        if said := source.words(organizer.find(f"{{{NS}}}code")):
            return said
    return ""


def _row(source: CdaSource, statement: Element) -> tuple[str, ...]:
    status = hl7.first(statement, "statusCode")
    return (
        _name(source, statement),
        "; ".join(value_with_unit(one) for one in values(source, statement)),
        reference_range(source, statement),
        ", ".join(code.display_name for code in interpretation(source, statement)),
        source.time_of(hl7.first(statement, "effectiveTime"), "low", "high", "center"),
        (status.get("code") or "") if status is not None else "",
    )


def _name(source: CdaSource, statement: Element) -> str:
    for path in _MATERIAL:
        if (material := hl7.first(statement, path)) is not None:
            code = material.find(f"{{{NS}}}code")
            if said := hl7.text(hl7.first(material, "name")) or source.words(code):
                return said
    said = source.words(statement.find(f"{{{NS}}}code"))
    return said or source.text(statement.find(f"{{{NS}}}text"))
