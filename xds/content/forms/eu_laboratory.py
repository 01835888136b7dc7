"""A laboratory report as FHIR document, in the shape of the EU laboratory report (R4).

Made of the structured results of an XD-LAB CDA, or of those that messages brought beside a report.
Composition and DiagnosticReport lead to one another, and agree in identifier, type, category and
subject, as the guide demands (hl7.fhir.eu.laboratory 2.0.0, invariants of Bundle-eu-lab).
"""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from xds.content.forms import marks
from xds.content.forms.blocks import Block, GridBlock, ParagraphBlock
from xds.content.forms.fhir_bundle import LOINC, BundleMaker
from xds.content.forms.people import authors_of, patient_of
from xds.content.forms.reading import document_of, is_structured
from xds.content.forms.results import HEADS, groups, is_vital_sign, results_of, row_of
from xds.content.pages.shown import shown_time
from xds.content.reading.model import (
    ContentHeader,
    ContentObservation,
    ContentParty,
    ReadDocument,
)
from xds.content.reading.rules import ReadingRules
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code, DocumentEntry
from xds.on_demand.forms import FormRequest, NotConvertible
from xds.rendering.pdf_grid import GridCell

COMPOSITION_TO_REPORT: Final = (
    "http://hl7.eu/fhir/extensions/StructureDefinition/composition-diagnosticReportReference"
)
REPORT_TO_COMPOSITION: Final = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.composition"
)
LABORATORY_REPORT: Final = Code("11502-2", LOINC, "Laboratory report")
STUDIES: Final = Code("26436-6", LOINC, "Laboratory studies (set)")
_COMMENT: Final = Code("48767-8", LOINC, "Annotation comment [Interpretation] Narrative")
_STATUSES: Final = {
    "final": "final",
    "preliminary": "preliminary",
    "corrected": "amended",
    "amended": "amended",
    "appended": "amended",
    "cancelled": "entered-in-error",
    "entered in error": "entered-in-error",
    "entered-in-error": "entered-in-error",
}
"""Of Composition and DiagnosticReport alike: the codes that both have."""
_LEVELS: Final = frozenset("ULMNRV")


def build(request: FormRequest, rules: ReadingRules) -> bytes:
    """Return the document in JSON; NotConvertible where there are no structured results."""
    (source,) = request.sources
    entry = source.entry
    document = document_of(source, rules) if is_structured(entry) else None
    found = [one for one in results_of(source, document) if not is_vital_sign(one)]
    if not found:
        raise NotConvertible("the document has no structured results")
    header = document.header if document is not None else ContentHeader()
    made = BundleMaker(request.unique_id, request.made, rules.systems)
    _Report(made, entry, header, found, is_cda=_is_cda(document)).add(request.patient_id)
    return made.render()


def _is_cda(document: ReadDocument | None) -> bool:
    return document is not None and document.kind == "cda"


class _Report:
    """Composition and DiagnosticReport of one report."""

    def __init__(
        self,
        made: BundleMaker,
        entry: DocumentEntry,
        header: ContentHeader,
        found: Sequence[ContentObservation],
        *,
        is_cda: bool,
    ) -> None:
        self._made = made
        self._entry = entry
        self._header = header
        self._found = list(groups(found))
        self._is_ucum = is_cda
        # the versions of the form of one document share it
        stable = uuid5(NAMESPACE_OID, f"{entry.unique_id} as a FHIR document")
        number = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{stable}"}
        status = _STATUSES.get(header.status.lower(), "preliminary" if header.status else "final")
        self._common: Resource = {
            "identifier": number,
            "status": status,
            "category": [made.concept((self._specialty(found),))],
            "subject": made.to("patient"),
        }

    @staticmethod
    def _specialty(found: Sequence[ContentObservation]) -> Code:
        """Return the specialty of all results, where it is one and LOINC has it."""
        known = {one.category for one in found}
        only = known.pop() if len(known) == 1 else None
        return only if only is not None and only.coding_scheme == LOINC else STUDIES

    def _type(self) -> Resource:
        own = self._header.type_code or self._entry.type_code
        return self._made.concept(
            (own if own and own.coding_scheme == LOINC else LABORATORY_REPORT,)
        )

    def add(self, patient_id: str) -> None:
        """Add all resources, the Composition first."""
        made, entry, header = self._made, self._entry, self._header
        authors = header.authors or authors_of(entry)
        keeper = header.custodian or next(iter(authors), ContentParty())
        performer = made.to(f"organisation/{keeper.organisation or keeper.name or 'not named'}")
        composition = made.add("Composition", "composition")
        composition_resource = made.resources[0]
        report = made.to("report")
        results = [self._results(group, performer) for group in self._found]
        level = header.confidentiality or next(iter(entry.confidentiality_code), None)
        composition_resource |= {
            "extension": [{"url": COMPOSITION_TO_REPORT, "valueReference": report}],
            **self._common,
            "type": self._type(),
            "date": made.date(made.made),
            "author": [*(made.party(one) for one in authors), made.device()],
            "title": header.title or entry.title or LABORATORY_REPORT.display_name,
            "confidentiality": level.code if level and level.code in _LEVELS else "N",
            "custodian": made.organisation(keeper.organisation or keeper.name),
            "relatesTo": [self._original()],
            "section": [*self._sections(results), self._about()],
        }
        if language := header.language or entry.language_code:
            composition_resource["language"] = language
        self._diagnostic_report(composition, [one for each in results for one in each], performer)
        known = header.patients[0] if header.patients else patient_of(entry)
        made.patient(known, patient_id)

    def _original(self) -> Resource:
        number = self._made.document_number(self._entry.unique_id or "")
        return {"code": "transforms", "targetIdentifier": number}

    def _results(
        self, group: tuple[str, Sequence[ContentObservation]], performer: Resource
    ) -> list[Resource]:
        name, found = group
        return [
            self._made.observation(f"{name}/result/{at}", one, performer, is_ucum=self._is_ucum)
            for at, one in enumerate(found)
        ]

    def _sections(self, results: Sequence[Sequence[Resource]]) -> Iterator[Resource]:
        """Yield one section with those of the groups in it, whose entries are the results."""
        inner = []
        for (name, found), entries in zip(self._found, results, strict=True):
            category = next((one.category for one in found if one.category), None)
            title = name or STUDIES.display_name
            code = category if category is not None and category.coding_scheme == LOINC else STUDIES
            inner.append(
                {
                    "title": title,
                    "code": self._made.concept((code,), title),
                    "text": self._made.narrative([result_table(found)]),
                    "entry": list(entries),
                }
            )
        yield {
            "title": STUDIES.display_name,
            "code": self._made.concept((STUDIES,)),
            "section": inner,
        }

    def _about(self) -> Resource:
        told = marks.converted(self._entry.unique_id or "", self._made.made)
        return {
            "title": "About this document",
            "code": self._made.concept((_COMMENT,)),
            "text": self._made.narrative([ParagraphBlock(told)]),
        }

    def _diagnostic_report(
        self, composition: Resource, results: list[Resource], performer: Resource
    ) -> None:
        made, header, entry = self._made, self._header, self._entry
        start = header.service_start or entry.service_start_time or ""
        stop = header.service_stop or entry.service_stop_time or ""
        period = made.period(start, stop)
        specimens = [one["specimen"] for one in made.resources if "specimen" in one]
        made.add(
            "DiagnosticReport",
            "report",
            extension=[{"url": REPORT_TO_COMPOSITION, "valueReference": composition}],
            **{**self._common, "identifier": [self._common["identifier"]]},
            code=self._type(),
            effectivePeriod=period if start != stop else {},
            effectiveDateTime=made.date(start) if start == stop else "",
            performer=[performer],
            specimen=[dict(one) for one in {tuple(one.items()): one for one in specimens}],
            result=results,
        )


def result_table(found: Sequence[ContentObservation], sources: Sequence[str] = ()) -> Block:
    """Return results as a table; with ``sources``, each says of what document it is."""
    heads = (*HEADS, "Document") if sources else HEADS
    rows = []
    for at, one in enumerate(found):
        row = list(row_of(one))
        row[5] = shown_time(row[5]) if row[5] else ""
        rows.append([GridCell(text) for text in (*row, *sources[at : at + 1])])
        rows += [[GridCell(note, columns=len(heads))] for note in one.notes if note.strip()]
    return GridBlock([[GridCell(head, is_head=True) for head in heads]], rows)
