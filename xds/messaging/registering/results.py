"""The structured results of a message, in the model of those of documents.

They are stored in the commit that registers the document which is rendered of them, whatever form
that has: a PDF has no results that could be read again.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from xds.content.observations.stored import MOST_OBSERVATIONS, READER, stored
from xds.content.reading.model import (
    ContentObservation,
    ObservationSpecimen,
    ObservationValue,
)
from xds.messaging.model import MessageReport, RenderedContent, ReportSection, ResultRow
from xds.messaging.registering.plan import NewDocument
from xds.metadata.objects import Code
from xds.registry.storage.observations import ReadResults
from xds.rendering.values import FLAGS, INTERPRETATIONS, dtm, quantity

_REPORT_STATUSES: Final[Mapping[str, str]] = {
    "preliminary": "preliminary",
    "unverified": "preliminary",
    "final": "final",
    "corrected": "corrected",
    "cancelled": "cancelled",
    "incomplete": "registered",
}
_ROW_STATUSES: Final[Mapping[str, str]] = {
    "corrected": "corrected",
    "preliminary": "preliminary",
    "partial": "preliminary",
    "not verified": "preliminary",
    "not obtained": "cancelled",
    "not asked": "cancelled",
    "pending": "registered",
}
"""Words of HL7 table 0085 to ObservationStatus of FHIR; others are those of the report."""


def of_documents(documents: Iterable[NewDocument]) -> Iterator[ReadResults]:
    """Yield the results of the new documents that are rendered of them."""
    for one in documents:
        content = one.document.content
        if not isinstance(content, RenderedContent) or content.is_text:
            continue
        found = tuple(map(stored, observations(one.report, content)))
        yield ReadResults(
            logical_id=one.entry_uuid,
            outcome="message",
            reader=READER,
            observations=found[:MOST_OBSERVATIONS],
        )


def observations(report: MessageReport, content: RenderedContent) -> Iterator[ContentObservation]:
    """Yield the results of a report; running text is none."""
    for section in content.sections:
        for row in section.rows:
            if not row.is_text:
                yield _observation(report, section, row)


def _observation(
    report: MessageReport, section: ReportSection, row: ResultRow
) -> ContentObservation:
    own = _REPORT_STATUSES[report.status]
    specimen = ObservationSpecimen(text=report.specimen) if report.specimen else None
    return ContentObservation(
        code=row.code,
        name=row.test,
        values=(_value(row),),
        status=_ROW_STATUSES.get(row.status, own),
        time=dtm(row.time) or dtm(report.service_start) or dtm(report.service_stop),
        interpretation=tuple(_interpretation(flag) for flag in row.flag.split(", ") if flag),
        reference_range=row.range,
        specimen=specimen,
        category=report.type_code,
        group=section.heading.replace("/", "\N{FRACTION SLASH}"),
        performer=report.laboratory.name if report.laboratory is not None else "",
        notes=tuple(note for note in row.notes if note.strip()),
        place=row.location,
    )


def _value(row: ResultRow) -> ObservationValue:
    found = quantity(row.value, row.unit)
    if found is not None:
        said = f"{found.comparator} {found.number}".strip()
        return ObservationValue(
            kind="quantity",
            text=said,
            number=found.number,
            comparator=found.comparator,
            unit=found.unit,
        )
    if row.value.strip():
        return ObservationValue(kind="text", text=row.value, unit=row.unit)
    return ObservationValue(kind="absent", text=row.status or "no value was sent")


def _interpretation(flag: str) -> Code:
    known = FLAGS.get(flag)
    return Code(known, INTERPRETATIONS, flag) if known else Code(flag, "", flag)
