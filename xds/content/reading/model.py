"""What a document says, whatever its kind: header, sections, observations, attachments, findings.

The readers of this package make these values; the pages, the forms and the store of observations
read nothing else of a document. An absent text is empty, an absent value None. Times are DTM of
XDS (ITI TF-3 4.2.3.1.7): UTC, as precise as was said.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lxml import etree

from xds.metadata.objects import Code

DocumentKind = Literal["cda", "fhir", "pdf", "text", "html", "image", "other"]
"""``cda`` is a ClinicalDocument, ``fhir`` a Bundle of the type document; the others are told by
their bytes, not by what their sender calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFinding:
    """Something in a document that its reader should know; it refuses nothing."""

    code: str
    """Such as ``schema-invalid``, ``patient-mismatch``, ``active-content``, ``unreadable``."""
    message: str
    """In plain English, without a value of the document."""
    place: str = ""
    """An XPath, a FHIRPath, or a place in a PDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentParty:
    """A person, an organisation or a device, as readers see it."""

    name: str = ""
    organisation: str = ""
    role: str = ""
    time: str = ""
    """When it wrote or signed."""
    identifiers: Sequence[str] = ()
    """In the form of a CX: ``ID^^^&OID&ISO``."""
    address: str = ""
    telecoms: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFact:
    """One thing that a header says."""

    name: str
    """What it is, as readers call it."""
    text: str
    time: str = ""
    """Where it is a time that can be read, as DTM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentParticipation:
    """What a header says of a person, an organisation or an event that has a part in a document."""

    part: str
    """As readers call it: ``Informant``, ``Next of kin``."""
    facts: Sequence[ContentFact]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPatient:
    """Whom a document is about."""

    family: str = ""
    given: str = ""
    name: str = ""
    """As readers see it, with prefix and suffix."""
    birth_date: str = ""
    """YYYYMMDD, or less."""
    sex: str = ""
    """Of HL7 table 0001: M, F, O, U."""
    identifiers: Sequence[str] = ()
    """In the form of a CX."""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentHeader:
    """What a document says of itself."""

    unique_id: str = ""
    set_id: str = ""
    """What all versions of it share: setId of a CDA, Composition.identifier of a FHIR document, in
    the form of a uniqueId; empty where it has none."""
    version: int | None = None
    """versionNumber of a CDA."""
    title: str = ""
    type_code: Code | None = None
    status: str = ""
    """In words: ``final``, ``preliminary``, ``corrected``."""
    language: str = ""
    """RFC 5646."""
    created: str = ""
    confidentiality: Code | None = None
    patients: Sequence[ContentPatient] = ()
    """One, as a rule."""
    authors: Sequence[ContentParty] = ()
    custodian: ContentParty | None = None
    authenticators: Sequence[ContentParty] = ()
    """The legal authenticator first."""
    recipients: Sequence[ContentParty] = ()
    service_start: str = ""
    service_stop: str = ""
    orders: Sequence[str] = ()
    """Numbers of the orders that it fulfils."""
    templates: Sequence[str] = ()
    """The templates or profiles that it says it follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaNarrative:
    """``section/text`` of a CDA: markup of the CDA R2 narrative block, not yet made safe."""

    text: etree._Element


@dataclass(frozen=True, slots=True, kw_only=True)
class XhtmlNarrative:
    """``Narrative.div`` of a FHIR resource: XHTML, not yet made safe."""

    div: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentTable:
    """A table made of entries, where a section or a resource has no narrative."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


SectionContent: TypeAlias = CdaNarrative | XhtmlNarrative | ContentTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSection:
    """A part of a document, and the parts in it, in the order of the document."""

    title: str = ""
    code: Code | None = None
    language: str = ""
    content: Sequence[SectionContent] = ()
    """Narrative first; tables of entries only where there is no narrative."""
    sections: Sequence["ContentSection"] = ()
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentAttachment:
    """A document within a document: the body of an unstructured one, an image, a PDF, a file."""

    id: str
    """Told apart by it within the document: a number, or the XML ID of an observationMedia."""
    media_type: str
    """As it is declared; the bytes are looked at before they are shown."""
    data: Callable[[], bytes] | None
    """Returns its bytes; ContentUnreadable where they are no base64. None: it is elsewhere."""
    title: str = ""
    reference: str = ""
    """Where it is, if it is not in the document; never fetched."""
    is_body: bool = False
    """Whether it is all that the document has to say (nonXMLBody)."""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationValue:
    """The value of an observation, by its kind."""

    kind: Literal["quantity", "range", "ratio", "code", "text", "boolean", "time", "absent"]
    text: str = ""
    """As readers see it, without the unit."""
    number: str = ""
    """Of a quantity: the decimal number as it was written."""
    comparator: Literal["", "<", "<=", ">", ">="] = ""
    low: str = ""
    high: str = ""
    """Of a range, and numerator and denominator of a ratio."""
    unit: str = ""
    """UCUM where the document says so."""
    code: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSpecimen:
    """What was examined."""

    type: Code | None = None
    text: str = ""
    identifiers: Sequence[str] = ()
    """In the form of a CX."""
    collected: str = ""
    received: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentObservation:
    """One structured result, in one model for XD-LAB, FHIR documents and ORU messages."""

    code: Code | None
    """None where the document gives no code; ``name`` then says what it is."""
    name: str
    values: Sequence[ObservationValue]
    """One, as a rule."""
    status: str
    """Of FHIR ObservationStatus: ``final``, ``preliminary``, ``corrected``, ``cancelled``."""
    time: str = ""
    """The clinically relevant time."""
    interpretation: Sequence[Code] = ()
    reference_range: str = ""
    """As readers see it."""
    specimen: ObservationSpecimen | None = None
    category: Code | None = None
    """The specialty or the section."""
    group: str = ""
    """What belongs together: a battery, an isolate. Levels are separated by ``/``."""
    translations: Sequence[Code] = ()
    performer: str = ""
    notes: Sequence[str] = ()
    is_earlier: bool = False
    """Whether the document only cites it as a result of before: never a current result."""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllergyReaction:
    """What an allergy did."""

    name: str
    code: Code | None = None
    severity: Code | None = None


StatementKind: TypeAlias = Literal[
    "condition", "allergy", "medication", "immunization", "procedure", "device"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentStatement:
    """One structured statement about a patient that is no result: a problem, a medicine.

    What a kind has no use for is empty.
    """

    kind: StatementKind
    name: str
    """What it is about, as readers see it."""
    code: Code | None = None
    """None where the document gives no code."""
    translations: Sequence[Code] = ()
    is_negated: bool = False
    """Whether the document says that it is not so: refuted, not given, not done."""
    is_none_known: bool = False
    """Whether the document says that nothing of the kind is known: no known allergies. It then has
    the code of that, or none where the document negates what it calls the kind."""
    status: str = ""
    """Of the element of FHIR R4: clinicalStatus of a condition or allergy, else status."""
    start: str = ""
    """Onset, or when it was taken, given or done."""
    stop: str = ""
    recorded: str = ""
    category: Literal["", "food", "medication", "environment"] = ""
    """Of an allergy."""
    allergy_type: Literal["", "allergy", "intolerance"] = ""
    """Empty where the document does not tell them apart."""
    criticality: Literal["", "low", "high", "unable-to-assess"] = ""
    severity: Code | None = None
    reactions: Sequence[AllergyReaction] = ()
    dose: ObservationValue | None = None
    dosage: str = ""
    """How often, in words."""
    route: Code | None = None
    site: Code | None = None
    """Where in the body."""
    reason: str = ""
    """Why it was done, or why not."""
    lot: str = ""
    maker: str = ""
    sequence: str = ""
    """The number of a dose in a series of immunizations."""
    identifiers: Sequence[str] = ()
    """Of a device, in the form of a CX."""
    performer: str = ""
    notes: Sequence[str] = ()
    """Comments, and the words of the narrative that it refers to."""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionStatements:
    """What the entries of one section state."""

    place: str
    """Of the section."""
    code: Code | None = None
    """Of the section."""
    statements: Sequence[ContentStatement] = ()
    observations: Sequence[ContentObservation] = ()
    """Those that are no results by their templates: of habits, or of a pregnancy."""
    is_all: bool = False
    """Whether all that its narrative says is in them, so that it need not be shown beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """A document, read."""

    kind: DocumentKind
    media_type: str
    """What its bytes are."""
    header: ContentHeader
    sections: Sequence[ContentSection] = ()
    attachments: Sequence[ContentAttachment] = ()
    media: Mapping[str, str] = field(default_factory=dict)
    """The attachment id of each XML ID that a narrative refers to by renderMultiMedia."""
    participations: Callable[[], Iterator[ContentParticipation]] = lambda: iter(())
    """Reads all that the header says of people, organisations and events, for those who want more
    than its first lines."""
    observations: Callable[[], Iterator[ContentObservation]] = lambda: iter(())
    """Reads the structured results, when they are asked for."""
    statements: Callable[[], Iterator[SectionStatements]] = lambda: iter(())
    """Reads what the entries of its sections state, when it is asked for."""
    text: str = ""
    """Of a text document: all of it."""
    bundle: Mapping[str, Any] = field(default_factory=dict)
    """Of a FHIR document: all of it, by FHIR's names; of any shape."""
    findings: Sequence[ContentFinding] = ()
