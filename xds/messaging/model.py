"""What a message says, whichever syntax it came in: reports, documents and orders of one patient.

The readers of HL7 v2 (:mod:`xds.messaging.v2`) and of FHIR messages make these values; what files
them reads nothing else. Times are DTM of XDS (ITI TF-3 4.2.3.1.7): UTC, as precise as was said.
Codes are in the coding schemes of the affinity domain, translated already. An absent text is empty,
an absent value None.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from xds.messaging.verdicts import MessageFinding
from xds.metadata import datatypes
from xds.metadata.objects import Code

ReportAction = Literal[
    "announce", "file", "replace", "append", "status", "cancel", "edited", "replaced"
]
"""What a message asks to be done with a document.

``announce``: it exists, its content is to come (MDM T01, T05). ``file``: here it is; what is known
under the same number is replaced if it differs (ORU, T02, T04, T08). ``replace``: it takes the
place of its parent (T10). ``append``: it is an addendum to its parent (T06). ``status``: only its
status has changed (T03). ``cancel``: it is withdrawn (T11; OBR-25 X; OBX-11 D). ``edited`` and
``replaced``: what is known is stale, and the new content does not come (T07, T09).
"""

ReportStatus = Literal["preliminary", "unverified", "final", "corrected", "cancelled", "incomplete"]
"""``unverified`` is OBR-25 R; ``incomplete`` has no content yet (OBR-25 O, I, S; TXA-17 DI)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityNumber:
    """A number that an organisation gives to an order, a report, a specimen or a visit (HL7 EI)."""

    value: str
    authority: str = ""
    """What the sender calls the organisation, such as an ODS code; empty where nothing says it."""
    oid: str = ""
    """The OID of the authority, as it is sent or as a flavour maps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentifier:
    """A patient's id that can be used: its domain is known, and its check digit holds."""

    value: str
    domain: str
    """OID of the assigning authority."""
    is_national: bool = False
    """Whether it is an NHS, CHI or Health and Care number."""
    location: str = ""
    """Where in the message it stands."""

    @property
    def cx(self) -> str:
        """The id as metadata write it (ITI TF-3, table 4.2.3.1.7-2)."""
        return f"{self.value}^^^&{self.domain}&ISO"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePatient:
    """Whom a message is about."""

    identifiers: Sequence[PatientIdentifier]
    """National numbers first, then local ones in the order of the message."""
    family: str = ""
    given: str = ""
    birth_date: str = ""
    """YYYYMMDD, or less."""
    sex: str = ""
    """Of HL7 table 0001: M, F, O, U."""
    postcode: str = ""
    practice: str = ""
    """ODS code of the general practice (PD1-4)."""
    source_info: Sequence[str] = ()
    """Values of sourcePatientInfo: ``PID-5|Jones^Ann``."""
    location: str = ""
    """Where a finding about the patient's ids points to: ``PID^1^3``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOrganisation:
    """A laboratory, a requester, an institution."""

    name: str
    code: str = ""
    """Such as an ODS code."""
    oid: str = ""
    """OID of the authority that gives the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePerson:
    """An author, an interpreter, a requester (HL7 XCN)."""

    family: str
    given: str = ""
    prefix: str = ""
    id: str = ""
    oid: str = ""
    """OID of the authority that gives the id."""
    role: str = ""
    time: str = ""
    """When the person signed, of a legal authenticator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedContent:
    """A document that a message carries, to be kept byte for byte."""

    chunks: Callable[[], Iterator[bytes]]
    """Yields the decoded bytes, from the beginning at each call. ContentRefused (CORRUPT) where
    they are no strict base64; white space in it is allowed."""
    mime_type: str
    """As the message declares it; empty where it does not. The bytes are looked at when filed."""
    location: str
    text: Callable[[], Sequence[tuple[int, int]]] = tuple
    """Returns where in the message its base64 stands, piece by piece in their order, from one place
    to another; nothing where that is not known. There may be white space in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One observation of a structured report."""

    test: str
    value: str
    unit: str = ""
    range: str = ""
    flag: str = ""
    """In words: ``high``."""
    status: str = ""
    """In words, where it is not the report's own: ``corrected``."""
    time: str = ""
    """DTM in UTC, where it is not that of the report; what is no time, as it was sent."""
    code: Code | None = None
    group: str = ""
    """OBX-4: rows of a group belong together, and its dots are levels."""
    is_text: bool = False
    """Whether the value is running text over the whole width."""
    notes: Sequence[str] = ()
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """A part of a report that has to be rendered: lines of text, rows of results, or both."""

    heading: str = ""
    lines: Sequence[str] = ()
    """Monospaced, as they came: leading spaces and columns have a meaning. No line ends."""
    rows: Sequence[ResultRow] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedContent:
    """A report without a document of its own: one is rendered from it."""

    sections: Sequence[ReportSection]
    other: Sequence[str] = ()
    """What else the message says of the report, so that nothing that was sent is lost."""
    location: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it has lines of text only."""
        return not any(section.rows for section in self.sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDocument:
    """One document of a report."""

    content: CarriedContent | RenderedContent
    slot: str = ""
    """Tells the documents of one report number apart; empty where there is one."""
    type_code: Code | None = None
    title: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReport:
    """One report or document of a message, and what is to be done with it."""

    action: ReportAction
    number: EntityNumber | None
    """Its identity, with the issuing authority; None where the message gives none."""
    status: ReportStatus = "final"
    is_wrong_patient: bool = False
    """Whether a cancellation says that it is another patient's (OBX-11 W)."""
    is_available: bool = True
    """False where the sender does not offer it for care yet, or no more (TXA-19 UN, OB)."""
    documents: Sequence[MessageDocument] = ()
    parent: EntityNumber | None = None
    """The number of the document that this replaces or adds to (TXA-13)."""
    version_time: str = ""
    """When this version was made: what is older does not replace what is newer."""

    class_code: Code | None = None
    type_code: Code | None = None
    practice_setting: Code | None = None
    facility_type: Code | None = None
    event_codes: Sequence[Code] = ()
    confidentiality: Code | None = None
    language: str = ""
    title: str = ""
    comments: str = ""
    created: str = ""
    service_start: str = ""
    service_stop: str = ""
    reported: str = ""
    authors: Sequence[MessagePerson] = ()
    authenticator: MessagePerson | None = None
    laboratory: MessageOrganisation | None = None
    requester: MessagePerson | None = None
    requesting_organisation: MessageOrganisation | None = None
    specimen: str = ""
    placer_numbers: Sequence[EntityNumber] = ()
    """Of orders."""
    filler_numbers: Sequence[EntityNumber] = ()
    """Accession numbers, of reports and specimens."""
    encounter_numbers: Sequence[EntityNumber] = ()
    studies: Sequence[str] = ()
    """Study instance UIDs."""
    unique_ids: Sequence[str] = ()
    """OIDs that the sender gives to the document, for its uniqueId or to refer to."""
    location: str = ""

    def __post_init__(self) -> None:
        """Leave out an end before the beginning: the two may come of different fields."""
        stop = datatypes.end_of(self.service_start, self.service_stop) or ""
        object.__setattr__(self, "service_stop", stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOrder:
    """One order of a message, kept so that reports can be matched to it."""

    control: str
    """ORC-1, of HL7 table 0119."""
    placer: EntityNumber | None
    filler: EntityNumber | None = None
    group: EntityNumber | None = None
    status: str = ""
    test: Code | None = None
    ordered: str = ""
    requester: MessagePerson | None = None
    organisation: MessageOrganisation | None = None
    documents: Sequence[MessageDocument] = ()
    """Forms that come with it."""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEnvelope:
    """What the header of a message says."""

    code: str
    """MSH-9 component 1, or that of the FHIR event: ``ORU``."""
    trigger: str
    control_id: str
    """MSH-10, or the id of a MessageHeader; whole."""
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    sent: str = ""
    """DTM, UTC."""
    processing_id: str = ""
    version: str = ""
    """Of HL7 v2, or the version of FHIR."""

    @property
    def sender(self) -> str:
        """Application and facility, as flavours and records name a sender: ``IGENE|MFT``."""
        return f"{self.sending_application}|{self.sending_facility}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContent:
    """A whole message, read and translated, before anything is looked up."""

    envelope: MessageEnvelope
    patient: MessagePatient | None
    reports: Sequence[MessageReport] = ()
    orders: Sequence[MessageOrder] = ()
    findings: Sequence[MessageFinding] = ()
    """Warnings: what was read in spite of it."""
    decisions: Sequence[str] = ()
    """What a flavour decided, for the record: ``PID-3 EPI is R0A by flavour igene``. No value of a
    patient."""
