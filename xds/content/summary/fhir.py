"""A summary as FHIR document, in the shape of the International Patient Summary 2.0 (R4).

Composition-uv-ips: the three sections that are required are always there, each section has a text,
none has others within, and what is empty says so by emptyReason (ips-comp-1). A statement that a
document makes in words alone is an entry that refers to the document.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Final

from xds.content.forms.blocks import ParagraphBlock
from xds.content.forms.fhir_bundle import BundleMaker, without_empty
from xds.content.forms.settings import MakingOrganisation
from xds.content.reading.rules import ReadingRules
from xds.content.summary import narratives
from xds.content.summary.carrying import ResourceCarrier
from xds.content.summary.fhir_statements import ABSENT, StatementMaker
from xds.content.summary.gathering import gathered
from xds.content.summary.model import PatientSummary, SummarySection, SummarySource
from xds.content.summary.sections import COMMENT, PATIENT_SUMMARY
from xds.fhir.datatypes.times import instant
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import earliest
from xds.on_demand.forms import FormRequest

_CARE: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActClass",
    "code": "PCPR",
    "display": "care provision",
}
_EMPTY: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/list-empty-reason",
    "code": "unavailable",
    "display": "Unavailable",
}
_ASSEMBLER: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "code": "assembler",
    "display": "Assembler",
}
_CATEGORIES: Final = frozenset(
    {
        *("activity", "exam", "imaging", "laboratory", "procedure", "social-history", "survey"),
        *("therapy", "vital-signs"),
    }
)
"""Of FHIR's observation-category."""


def build(request: FormRequest, rules: ReadingRules, organisation: MakingOrganisation) -> bytes:
    """Return the summary in JSON; one of a patient of whom nothing is known says just that."""
    made = BundleMaker(request.unique_id, request.made, rules.systems)
    _SummaryWriter(made, gathered(request, rules), organisation).add()
    return made.render()


class _SummaryWriter:
    """The resources of one summary."""

    def __init__(
        self, made: BundleMaker, summary: PatientSummary, organisation: MakingOrganisation
    ) -> None:
        self._made = made
        self._summary = summary
        self._organisation = organisation
        self._said: dict[int, list[Resource]] = {one.number: [] for one in summary.used}
        """References to what is of each document."""
        self._carriers: dict[int, ResourceCarrier] = {}

    def add(self) -> None:
        """Add all resources, the Composition first."""
        made, summary = self._made, self._summary
        made.add("Composition", "composition")
        composition = made.resources[0]
        documents = [self._document(one) for one in summary.sources]
        self._results()
        sections = [self._section(one) for one in summary.shown]
        start, stop = summary.period
        event = {"code": [{"coding": [_CARE]}], "period": made.period(start, stop)}
        composition |= without_empty(
            {
                "text": made.narrative([ParagraphBlock(narratives.mark(summary, made.made))]),
                "identifier": {
                    "system": "urn:ietf:rfc:3986",
                    "value": f"urn:oid:{made.unique_id}",
                },
                "status": "final",
                "type": made.concept((PATIENT_SUMMARY,)),
                "subject": made.to("patient"),
                "date": made.date(made.made),
                "author": [made.device()],
                "title": narratives.TITLE,
                "confidentiality": summary.confidentiality,
                "custodian": self._custodian(),
                "relatesTo": [self._related(one) for one in summary.used],
                "event": [event] if event["period"] else [],
                "section": [*sections, self._about(documents)],
                "language": "en",
            }
        )
        self._patient()
        for one in summary.used:
            self._provenance(one)

    def _custodian(self) -> Resource:
        name = self._organisation.name
        return self._made.organisation(name) if name else {}

    def _related(self, one: SummarySource) -> Resource:
        number = self._made.document_number(one.entry.unique_id or "")
        return {"code": "transforms", "targetIdentifier": number}

    def _patient(self) -> None:
        made, summary = self._made, self._summary
        made.patient(summary.patient, summary.patient_id)
        patient = next(one for one in made.resources if one["id"] == made.id_of("patient"))
        # IPS demands both; what is not known has to say so
        patient.setdefault("name", [{"_text": ABSENT}])
        if "birthDate" not in patient:
            patient["_birthDate"] = ABSENT

    # --- sections --------------------------------------------------------------------------------

    def _section(self, section: SummarySection) -> Resource:
        made = self._made
        entries = [*self._entries(section)]
        unique = list({one["reference"]: one for one in entries}.values())
        return without_empty(
            {
                "title": section.row.code.display_name,
                "code": made.concept((section.row.code,)),
                "text": made.narrative(narratives.section_blocks(section)),
                "entry": unique,
                "emptyReason": {} if unique else {"coding": [_EMPTY]},
            }
        )

    def _entries(self, section: SummarySection) -> Iterator[Resource]:
        for result in section.results:
            yield self._made.to(_path(result.sources[0], result.place))
        for one in section.statements:
            source = one.sources[0]
            maker = StatementMaker(self._made, _origin(source))
            reference = maker.add(f"{_document(source)}/statement/{one.place}", one.found)
            yield self._said_by(one.sources, reference)
        for said in section.narratives:
            carried = [
                self._said_by(one.sources, self._carrier(said.sources[0]).carry(one.entry))
                for one in said.resources
            ]
            yield from filter(None, carried)
            if not all(carried) or not carried:
                yield from (self._made.to(_document(one)) for one in said.sources)

    def _said_by(self, sources: Sequence[SummarySource], reference: Resource) -> Resource:
        if reference:
            for one in sources:
                self._said[one.number].append(reference)
        return reference

    def _carrier(self, one: SummarySource) -> ResourceCarrier:
        assert one.fhir is not None, "only FHIR documents have resources"
        known = self._carriers.get(one.number)
        if known is None:
            results = {
                result.found.place.partition(".component[")[0]: _path(one, result.place)
                for section in self._summary.sections.values()
                for result in section.results
                if result.sources[0] is one
            }
            known = self._carriers[one.number] = ResourceCarrier(
                made=self._made,
                source=one.fhir,
                prefix=f"document/{one.number}",
                origin=_origin(one),
                results=results,
            )
        return known

    def _results(self) -> None:
        """Add the structured results."""
        for section in self._summary.sections.values():
            for result in section.results:
                one, found = result.sources[0], result.found
                category = found.category.code if found.category is not None else ""
                named = one.organisation or one.author
                reference = self._made.observation(
                    _path(one, result.place),
                    found,
                    {} if found.performer else self._made.organisation(named),
                    is_ucum=one.is_cda,
                    category=category if category in _CATEGORIES else section.row.category,
                    meta={"source": _origin(one)},
                )
                self._said_by(result.sources, reference)

    def _about(self, documents: list[Resource]) -> Resource:
        made = self._made
        return without_empty(
            {
                "title": narratives.ABOUT,
                "code": made.concept((COMMENT,)),
                "text": made.narrative(narratives.about(self._summary, made.made)),
                "entry": documents,
            }
        )

    # --- documents -------------------------------------------------------------------------------

    def _document(self, one: SummarySource) -> Resource:
        """Add the reference to a document of which the summary is made."""
        made, entry = self._made, one.entry
        attachment = {
            "contentType": (entry.mime_type or "").strip(),
            "title": one.title,
            "creation": made.date(one.time),
            "hash": _base64(entry.hash or ""),
        }
        written = entry.creation_time or ""
        return made.add(
            "DocumentReference",
            _document(one),
            masterIdentifier=made.document_number(entry.unique_id or ""),
            identifier=[{"system": "urn:ietf:rfc:3986", "value": _origin(one)}],
            status="current",
            type=made.concept((entry.type_code,)) if entry.type_code else {},
            subject=made.to("patient"),
            date=instant(earliest(written)) if written else "",
            author=[{"display": one.author}] if one.author else [],
            custodian={"display": one.organisation} if one.organisation else {},
            description=f"Not used: {one.not_used}" if one.not_used else "",
            content=[{"attachment": without_empty(attachment)}],
        )

    def _provenance(self, one: SummarySource) -> None:
        """Add which statements are of a document."""
        made = self._made
        found = {each["reference"]: each for each in self._said[one.number]}
        targets = [{"reference": url} for url in found] or [made.to("composition")]
        made.add(
            "Provenance",
            f"provenance/{one.number}",
            target=targets,
            recorded=instant(earliest(made.made)),
            agent=[{"type": {"coding": [_ASSEMBLER]}, "who": made.device()}],
            entity=[{"role": "source", "what": made.to(_document(one))}],
        )


def _path(one: SummarySource, place: int) -> str:
    return f"document/{one.number}/result/{place}"


def _document(one: SummarySource) -> str:
    return f"document/{one.number}"


def _origin(one: SummarySource) -> str:
    """Return the entry of a document as URI."""
    return one.entry.logical_id or one.entry.id


def _base64(sha1: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(sha1)).decode()
    except ValueError:
        return ""
