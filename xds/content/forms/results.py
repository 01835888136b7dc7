"""The structured results of a registered document: those within it, else those stored beside it."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.content.observations import stored
from xds.content.reading.model import ContentObservation, ObservationValue, ReadDocument
from xds.content.reading.rendered import value_with_unit
from xds.on_demand.forms import FormSource


def results_of(source: FormSource, document: ReadDocument | None) -> Sequence[ContentObservation]:
    """Return the current results of a document: not those that it only cites."""
    within = list(document.observations()) if document is not None else []
    found = within or [stored.read(one) for one in source.results()]
    return [one for one in found if not one.is_earlier]


VITAL_SIGNS: Final = "8716-3"
"""The LOINC code of their section."""
HEADS: Final = ("Test", "Result", "Reference range", "Interpretation", "Specimen", "Time", "Status")
"""Of the columns of a table of results."""


def is_vital_sign(found: ContentObservation) -> bool:
    """Tell whether a result is no laboratory's."""
    return found.category is not None and found.category.code == VITAL_SIGNS


def row_of(found: ContentObservation) -> Sequence[str]:
    """Return a result as the texts of a row."""
    name = found.name or (found.code.display_name or found.code.code if found.code else "")
    inner = found.group.partition("/")[2].replace("/", ": ")
    return (
        f"{inner}: {name}" if inner else name,
        "; ".join(filter(None, map(_value, found.values))),
        found.reference_range,
        ", ".join(one.display_name or one.code for one in found.interpretation),
        found.specimen.text or _type(found) if found.specimen else "",
        found.time,
        found.status,
    )


def _value(value: ObservationValue) -> str:
    said = value_with_unit(value)
    return f"({said or 'no value'})" if value.kind == "absent" else said


def _type(found: ContentObservation) -> str:
    specimen = found.specimen
    return specimen.type.display_name if specimen is not None and specimen.type else ""


def groups(
    found: Sequence[ContentObservation],
) -> Iterator[tuple[str, Sequence[ContentObservation]]]:
    """Yield results by their outermost group, in the order in which groups begin."""
    by_name: dict[str, list[ContentObservation]] = {}
    for one in found:
        name = one.group.partition("/")[0] or (one.category.display_name if one.category else "")
        by_name.setdefault(name, []).append(one)
    yield from by_name.items()
