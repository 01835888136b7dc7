"""What a summary says, before it is written in some form: statements, and of which documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xds.content.forms.blocks import Block
from xds.content.pages.shown import shown_time
from xds.content.reading.fhir.source import BundleEntry, FhirSource
from xds.content.reading.model import (
    ContentObservation,
    ContentPatient,
    ContentStatement,
    ReadDocument,
)
from xds.content.summary.sections import SECTIONS, SummarySectionRow
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import FormSource

_ORDER: Final = "ULMNRV"
"""Codes of confidentiality, the least first."""


@dataclass(slots=True, kw_only=True)
class SummarySource:
    """A document of which a summary is made."""

    number: int
    """By which statements name it, from 1: the newest document."""
    source: FormSource
    title: str
    time: str = ""
    """When it was written, a DTM."""
    author: str = ""
    organisation: str = ""
    document: ReadDocument | None = None
    """None where only results beside it are known."""
    fhir: FhirSource | None = None
    """Of a FHIR document: its resources."""
    not_used: str = ""
    """Why it says nothing here; empty where it does."""
    others: list[str] = field(default_factory=list)
    """Titles of sections that a summary has no place for."""

    @property
    def entry(self) -> DocumentEntry:
        """What is registered of it."""
        return self.source.entry

    @property
    def label(self) -> str:
        """How a statement names it: number, title, time and author."""
        said = (self.title, shown_time(self.time) if self.time else "", self.author)
        return f"[{self.number}] {', '.join(filter(None, said))}"

    @property
    def is_cda(self) -> bool:
        """Whether units are those of CDA, which are of UCUM."""
        return self.document is not None and self.document.kind == "cda"


@dataclass(slots=True, kw_only=True)
class SummaryResource:
    """A resource of a FHIR document, and the documents that state the same."""

    sources: list[SummarySource]
    """The document that it is of comes first."""
    entry: BundleEntry


@dataclass(slots=True, kw_only=True)
class SummaryNarrative:
    """What a section of a document says in words, and the resources that say the same."""

    sources: list[SummarySource]
    """The newest first; more than one where they say it in the same words."""
    title: str
    blocks: Sequence[Block]
    resources: Sequence[SummaryResource] = ()


@dataclass(slots=True, kw_only=True)
class SummaryResult:
    """One structured result."""

    sources: list[SummarySource]
    found: ContentObservation
    place: int
    """Its place among the results of its first document."""


@dataclass(slots=True, kw_only=True)
class SummaryStatement:
    """One structured statement that is no result."""

    sources: list[SummarySource]
    found: ContentStatement
    place: int
    """Its place among the statements of its first document."""


@dataclass(slots=True, kw_only=True)
class SummarySection:
    """One section of a summary."""

    row: SummarySectionRow
    narratives: list[SummaryNarrative] = field(default_factory=list)
    results: list[SummaryResult] = field(default_factory=list)
    statements: list[SummaryStatement] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return not (self.narratives or self.results or self.statements)


@dataclass(slots=True, kw_only=True)
class PatientSummary:
    """All that a summary says."""

    patient_id: str
    """CX."""
    patient: ContentPatient = field(default_factory=ContentPatient)
    sources: Sequence[SummarySource] = ()
    sections: Mapping[str, SummarySection] = field(
        default_factory=lambda: {row.name: SummarySection(row=row) for row in SECTIONS}
    )
    left_out: int = 0
    """How many older documents are not read, since there are so many."""
    others: int = 0
    """How many documents have no structure that could be read."""

    @property
    def shown(self) -> Sequence[SummarySection]:
        """The sections that it has: those with statements, and those that are required."""
        return [one for one in self.sections.values() if one.row.is_required or not one.is_empty]

    @property
    def used(self) -> Sequence[SummarySource]:
        """The documents that say something in it."""
        return [one for one in self.sources if not one.not_used]

    @property
    def confidentiality(self) -> str:
        """The highest confidentiality of its documents, of HL7's Confidentiality; N or higher."""
        codes = {code.code for one in self.used for code in one.entry.confidentiality_code}
        for one in self.used:
            said = one.document.header.confidentiality if one.document is not None else None
            codes.update([said.code] if said is not None else [])
        return max({"N", *codes.intersection(_ORDER)}, key=_ORDER.index)

    @property
    def period(self) -> tuple[str, str]:
        """From when to when its documents tell of, as DTM; empty where none says."""
        starts = [one.entry.service_start_time or one.time for one in self.used]
        stops = [one.entry.service_stop_time or one.time for one in self.used]
        return min(filter(None, starts), default=""), max(filter(None, stops), default="")
