"""Reads the documents of a patient for what a summary has of them.

A document counts as a whole or not at all: one that cannot be read, is too large, was withdrawn or
may be of another patient says nothing, and the summary names it and the reason. Of two that
contradict each other the newer one counts.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from xds.content.forms.blocks import Block, ParagraphBlock, blocks
from xds.content.forms.people import authors_of, patient_of
from xds.content.forms.reading import document_of, is_structured
from xds.content.forms.results import results_of
from xds.content.reading.fhir.source import BundleEntry, FhirSource, part, parts, text
from xds.content.reading.fhir.statements import is_whole, statement_of
from xds.content.reading.fhir.tables import tables
from xds.content.reading.model import (
    ContentObservation,
    ContentPatient,
    ContentSection,
    ContentStatement,
    ReadDocument,
    SectionStatements,
)
from xds.content.reading.patient_comparison import (
    is_of_another,
    patient_findings,
    patient_said,
)
from xds.content.reading.rules import ReadingRules
from xds.content.summary import sections
from xds.content.summary.model import (
    PatientSummary,
    SummaryNarrative,
    SummaryResource,
    SummaryResult,
    SummarySource,
    SummaryStatement,
)
from xds.content.summary.sections import SummarySectionRow
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code
from xds.on_demand.forms import FormRequest, FormSource, NotConvertible

_MOST_BYTES: Final = 16 << 20
"""Of all documents that are read for one summary; older ones are named and not read."""
_MOST_RESULTS: Final = 5_000
"""And other structured statements."""
_HEADING: Final = 4
_WITHDRAWN: Final = frozenset({"entered in error", "entered-in-error"})
_LABORATORY: Final = "11502-2"
_OF_RESULTS: Final = frozenset({"Observation"})


def gathered(request: FormRequest, rules: ReadingRules) -> PatientSummary:
    """Return what the documents of a request say."""
    summary = PatientSummary(
        patient_id=request.patient_id,
        sources=[_described(at, one) for at, one in enumerate(request.sources, 1)],
        left_out=request.left_out,
        others=request.others,
    )
    reader = _SummaryReader(summary)
    size = 0
    for one in summary.sources:
        said = one.entry.size or ""
        size += int(said) if said.isdecimal() else 0
        if size > _MOST_BYTES:
            one.not_used = "it is not read, for there is too much that is newer"
        else:
            _look(one, rules)
            if one.document is not None and _is_of_another_than(summary.used, one.document):
                one.document, one.fhir = None, None
                one.not_used = "it names another patient than a newer document"
        if not one.not_used:
            reader.take(one)
        if one.document is not None:
            # all that is needed was taken, and its markup is many times the document
            one.document = ReadDocument(
                kind=one.document.kind,
                media_type=one.document.media_type,
                header=one.document.header,
            )
    summary.patient = _patient(summary.used, request.patient_id)
    return summary


def _patient(used: Sequence[SummarySource], patient_id: str) -> ContentPatient:
    """Return what the newest document says that names the patient."""
    said = [who for one in used if one.document is not None for who in one.document.header.patients]
    said += [patient_of(one.entry) for one in used]
    named = (one for one in said if one.family or one.name)
    return next(named, ContentPatient(identifiers=(patient_id,)))


# --- documents -----------------------------------------------------------------------------------


def _described(number: int, source: FormSource) -> SummarySource:
    entry = source.entry
    author = next(iter(authors_of(entry)), None)
    kind = entry.type_code.display_name if entry.type_code else ""
    return SummarySource(
        number=number,
        source=source,
        title=entry.title or kind or "Document",
        time=entry.creation_time or "",
        author=(author.name or author.organisation) if author is not None else "",
        organisation=author.organisation if author is not None else "",
    )


def _look(one: SummarySource, rules: ReadingRules) -> None:
    """Read a document, and say of it what it says of itself."""
    if not is_structured(one.entry):
        return
    try:
        document = document_of(one.source, rules)
    except NotConvertible as reason:
        one.not_used = str(reason)
        return
    header = document.header
    if document.kind not in ("cda", "fhir"):
        one.not_used = "it is no CDA and no FHIR document"
    elif header.status.lower() in _WITHDRAWN:
        one.not_used = "it was withdrawn by its author"
    elif _is_of_another(one, document):
        one.not_used = "it may be of another patient"
    else:
        one.document = document
        one.title = header.title or one.title
        one.time = header.created or one.time
        for author in header.authors[:1]:
            one.author = author.name or author.organisation or one.author
            one.organisation = author.organisation or one.organisation
        if header.custodian is not None:
            keeper = header.custodian
            one.organisation = one.organisation or keeper.organisation or keeper.name
        if document.attachments:
            one.others.append("embedded files")
        if document.kind == "fhir":
            one.fhir = FhirSource(dict(document.bundle), rules.systems)


def _is_of_another(one: SummarySource, document: ReadDocument) -> bool:
    entry = one.entry
    registered = [entry.patient_id or "", entry.source_patient_id or ""]
    said = patient_said(entry.source_patient_info)
    return is_of_another(patient_findings(document.header.patients, registered, said))


def _is_of_another_than(used: Sequence[SummarySource], document: ReadDocument) -> bool:
    """Tell whether a document contradicts one that is used already of whom they are about.

    Each may agree with its entry, which often says nothing of the patient.
    """
    said = (who for one in used if one.document is not None for who in one.document.header.patients)
    named = next((who for who in said if who.family or who.name), None)
    if named is None:
        return False
    return is_of_another(patient_findings(document.header.patients, named.identifiers, named))


# --- statements ----------------------------------------------------------------------------------


class _SummaryReader:
    """Puts what documents say into the sections of one summary."""

    def __init__(self, summary: PatientSummary) -> None:
        self._summary = summary
        self._results: dict[tuple[object, ...], SummaryResult] = {}
        self._statements: dict[tuple[object, ...], SummaryStatement] = {}
        self._resources: dict[tuple[object, ...], SummaryResource] = {}
        self._count = 0

    def take(self, one: SummarySource) -> None:
        """Take what a document says, all of it or nothing."""
        results = [*results_of(one.source, one.document)]
        stated = [*one.document.statements()] if one.document is not None else []
        results += [found for each in stated for found in each.observations]
        try:
            placed = self._narratives(one, _ToldSections.of(results, stated))
        except NotConvertible as reason:
            one.not_used = str(reason)
            self._forget(one)
            return
        is_all = self._take_results(one, results, placed)
        if not self._take_statements(one, stated) or not is_all:
            one.others.append("more entries than a summary takes")

    def _forget(self, one: SummarySource) -> None:
        """Take back what a document was found to say in words."""
        for section in self._summary.sections.values():
            for said in section.narratives:
                said.sources = [other for other in said.sources if other is not one]
            section.narratives = [said for said in section.narratives if said.sources]
        for resource in self._resources.values():
            resource.sources = [other for other in resource.sources if other is not one]
        for statement in self._statements.values():
            statement.sources = [other for other in statement.sources if other is not one]
        self._resources = {key: one for key, one in self._resources.items() if one.sources}

    def _narratives(
        self, one: SummarySource, told: "_ToldSections"
    ) -> dict[str, SummarySectionRow]:
        """Take what a document says in words; returns the sections of resources by their places."""
        if one.document is None:
            return {}
        if one.fhir is not None:
            return self._of_fhir(one, one.fhir)
        self._of_cda(one, one.document.sections, told)
        return {}

    # results

    def _take_results(
        self,
        one: SummarySource,
        results: Sequence[ContentObservation],
        placed: dict[str, SummarySectionRow],
    ) -> bool:
        """Take the results of a document, each once; tells whether there was room for all."""
        for place, found in enumerate(results):
            if found.status == "entered-in-error":
                continue
            if self._count == _MOST_RESULTS:
                return False
            row = placed.get(found.place.partition(".component[")[0])
            row = row or sections.row_of_result(found)
            key = (row.name, *_identity(found))
            known = self._results.get(key) if found.time and found.values else None
            if known is not None and one not in known.sources:
                known.sources.append(one)
                continue
            result = SummaryResult(sources=[one], found=found, place=place)
            self._results.setdefault(key, result)
            self._summary.sections[row.name].results.append(result)
            self._count += 1
        return True

    # other statements

    def _take_statements(self, one: SummarySource, stated: Sequence[SectionStatements]) -> bool:
        """Take other statements, each once; tells whether there was room for all."""
        every = ((group.code, found) for group in stated for found in group.statements)
        for place, (code, found) in enumerate(every):
            if self._count == _MOST_RESULTS:
                return False
            row = sections.row_of_statement(found, code)
            key = (row.name, *_identity_of(found))
            known = self._statements.get(key)
            if known is not None and one not in known.sources:
                known.sources.append(one)
                known.found = _with_words_of(known.found, found)
                continue
            statement = SummaryStatement(sources=[one], found=found, place=place)
            self._statements.setdefault(key, statement)
            self._summary.sections[row.name].statements.append(statement)
            self._count += 1
        return True

    # CDA

    def _of_cda(
        self, one: SummarySource, found: Iterable[ContentSection], told: "_ToldSections"
    ) -> None:
        is_laboratory = _is_laboratory(one)
        for section in found:
            row = sections.row_of(section.code)
            if row is None and is_laboratory:
                row = sections.RESULTS
            if row is None:
                self._of_cda(one, section.sections, told)
                if section.content:
                    one.others.append(_titled(section))
            else:
                has_results = row in (sections.RESULTS, sections.VITAL_SIGNS)
                places = told.of_results if has_results else told.of_statements
                self._say(one, row, _titled(section), tuple(_blocks(section, told=places)))

    def _say(
        self,
        one: SummarySource,
        row: SummarySectionRow,
        title: str,
        said: Sequence[Block],
        resources: Sequence[SummaryResource] = (),
    ) -> None:
        if not (said or resources):
            return
        narratives = self._summary.sections[row.name].narratives
        for other in narratives:
            if not (resources or other.resources) and other.blocks == said and said:
                if one not in other.sources:
                    other.sources.append(one)
                return
        narratives.append(
            SummaryNarrative(sources=[one], title=title, blocks=said, resources=resources)
        )

    # FHIR

    def _of_fhir(self, one: SummarySource, fhir: FhirSource) -> dict[str, SummarySectionRow]:
        assert one.document is not None, "it was read"
        by_place = {section.place: section for section in _flat(one.document.sections)}
        placed: dict[str, SummarySectionRow] = {}
        for section, place in _sections(fhir.composition.resource, fhir.composition.place):
            if place in by_place:
                entries = list(fhir.followed(section, "entry", fhir.composition))
                is_generated = text(part(section, "text"), "status") == "generated"
                told = by_place[place]
                self._of_section(one, told, entries, placed, is_generated=is_generated)
        return placed

    def _of_section(
        self,
        one: SummarySource,
        section: ContentSection,
        entries: Sequence[BundleEntry],
        placed: dict[str, SummarySectionRow],
        *,
        is_generated: bool,
    ) -> None:
        row = sections.row_of(section.code)
        rows: dict[str, list[BundleEntry]] = {}
        is_told = False
        for entry in entries:
            if entry.type in _OF_RESULTS:
                is_told = True
                if row is not None:
                    placed.setdefault(entry.place, row)
                continue
            own = row if row is not None and sections.takes(row, entry.type) else None
            own = own or sections.BY_TYPE.get(entry.type)
            if own is not None and not _is_in_error(entry.resource):
                rows.setdefault(own.name, []).append(entry)
        content = tuple(_blocks(section, deep=False))
        for name, taken in rows.items():
            own_row = self._summary.sections[name].row
            found = (self._resource(one, name, entry) for entry in taken)
            resources = [one for one in found if one is not None]
            if is_generated and not resources:
                continue  # its words are of what others have stated
            said = content if row is own_row or len(rows) == 1 else _of_resources(one, taken)
            self._say(one, own_row, _titled(section), said, resources)
        if row is not None and row.name not in rows and not is_told:
            self._say(one, row, _titled(section), content)
        elif row is None and not rows and not is_told and content:
            one.others.append(_titled(section))

    def _resource(
        self, one: SummarySource, name: str, entry: BundleEntry
    ) -> SummaryResource | None:
        """Return a resource; None where another document has stated all that it says."""
        assert one.fhir is not None, "only FHIR documents have resources"
        resource = SummaryResource(sources=[one], entry=entry)
        found = statement_of(one.fhir, entry)
        if found is None or not is_whole(one.fhir, entry):
            return resource
        key = (name, *_identity_of(found))
        stated = self._statements.get(key)
        if stated is not None and not _has_all_of(stated.found, found):
            stated = None
        key = (*key, tuple(found.translations), tuple(found.notes))
        known = stated or self._resources.setdefault(key, resource)
        if known is resource or one in known.sources:
            return resource
        known.sources.append(one)
        return None


def _has_all_of(found: ContentStatement, other: ContentStatement) -> bool:
    """Tell whether a statement has the further codes and the notes of another one like it."""
    return {*other.translations} <= {*found.translations} and {*other.notes} <= {*found.notes}


def _identity(found: ContentObservation) -> tuple[object, ...]:
    """Return what tells one result from others, in whichever document it stands."""
    code = found.code
    name = (code.code, code.coding_scheme) if code is not None else (found.name.casefold(), "")
    specimen = found.specimen
    return (
        *name,
        found.time,
        found.group.casefold() if code is None else "",
        # CDA has a value with one bound as a range, FHIR as a quantity
        tuple((one.text, one.comparator, one.unit, _code_of(one.code)) for one in found.values),
        specimen.text.casefold() if specimen is not None else "",
    )


def _code_of(code: Code | None) -> tuple[str, str]:
    return (code.code, code.coding_scheme) if code is not None else ("", "")


def _identity_of(found: ContentStatement) -> tuple[object, ...]:
    """Return what tells one statement from others: all that it says, but who wrote it down."""
    code = found.code
    name = (code.code, code.coding_scheme) if code is not None else (found.name.casefold(), "")
    codes = (found.severity, found.route, found.site)
    return (
        found.kind,
        *name,
        *(found.is_negated, found.is_none_known, found.status, found.start, found.stop),
        *(one.code or one.display_name.casefold() if one is not None else "" for one in codes),
        tuple(
            (one.code.code if one.code is not None else one.name.casefold())
            for one in found.reactions
        ),
        (found.dose.text, found.dose.unit) if found.dose is not None else (),
        *(found.dosage, found.reason, found.lot, found.sequence, found.criticality),
        *(found.category, found.allergy_type, found.maker),
        tuple(found.identifiers),
    )


def _with_words_of(found: ContentStatement, other: ContentStatement) -> ContentStatement:
    """Return a statement with the further codes and the words of another document about it."""
    return replace(
        found,
        translations=tuple(dict.fromkeys((*found.translations, *other.translations))),
        notes=tuple(dict.fromkeys((*found.notes, *other.notes))),
    )


@dataclass(frozen=True, slots=True)
class _ToldSections:
    """The places of the sections of a CDA of which the words need not be shown as well."""

    of_statements: frozenset[str]
    """All that they say is in their entries."""
    of_results: frozenset[str]
    """There are results in them, of which a table says what they say."""

    @classmethod
    def of(
        cls, results: Iterable[ContentObservation], stated: Iterable[SectionStatements]
    ) -> "_ToldSections":
        """Return them for the results and the other statements of a document."""
        places: set[str] = set()
        for found in results:
            steps = found.place.split("/")
            ends = [at for at, step in enumerate(steps, 1) if step.startswith("section")]
            places.update("/".join(steps[:at]) for at in ends)
        return cls(frozenset(one.place for one in stated if one.is_all), frozenset(places))


def _is_laboratory(one: SummarySource) -> bool:
    code = one.document.header.type_code if one.document is not None else None
    return code is not None and code.code == _LABORATORY


def _titled(section: ContentSection) -> str:
    said = section.code.display_name if section.code is not None else ""
    return section.title or said or "Section without a title"


def _blocks(
    section: ContentSection, *, deep: bool = True, told: Container[str] = ()
) -> Iterator[Block]:
    """Yield what a section says, and those within it, but for those at the places ``told``."""
    for content in section.content if section.place not in told else ():
        yield from blocks(content)
    for inner in section.sections if deep else ():
        if said := [*_blocks(inner, told=told)]:
            yield ParagraphBlock(_titled(inner), level=_HEADING)
            yield from said


def _of_resources(one: SummarySource, taken: Sequence[BundleEntry]) -> tuple[Block, ...]:
    """Return resources as tables."""
    if one.fhir is None:
        return ()
    return tuple(block for table in tables(one.fhir, taken) for block in blocks(table))


def _flat(found: Iterable[ContentSection]) -> Iterator[ContentSection]:
    for one in found:
        yield one
        yield from _flat(one.sections)


def _sections(thing: Resource, place: str) -> Iterator[tuple[Resource, str]]:
    """Yield the sections of a Composition with their places, as the reader names them."""
    for i, one in enumerate(parts(thing, "section")):
        yield one, f"{place}.section[{i}]"
        yield from _sections(one, f"{place}.section[{i}]")


def _is_in_error(resource: Resource) -> bool:
    codes = [text(one, "code") for one in parts(part(resource, "verificationStatus"), "coding")]
    return "entered-in-error" in (text(resource, "status"), *codes)
