"""What a flavour says (its TOML is read by :mod:`xds.messaging.flavours.reading`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from xds.messaging.model import MessageEnvelope, MessageOrganisation
from xds.messaging.verdicts import AcknowledgementReading
from xds.metadata.objects import Code
from xds.security.node import Node

IMPOSTOR: Final = "the connection has shown no certificate of this sender"
"""What a sender is told where :meth:`Flavour.may_come_from` is False."""
_RANKS: Final = {"N": 1, "R": 2, "V": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How messages of one sender are read, judged and acknowledged."""

    name: str
    authority: str = ""
    """The issuing authority of report numbers that name none, such as an ODS code."""
    authority_oid: str = ""
    placer_authority: str = ""
    """That of order numbers that name none."""
    number_authorities: Mapping[str, str] = field(default_factory=dict)
    """Authorities of numbers as written (EI.2), to OIDs."""
    source_id: str = ""
    """SubmissionSet.sourceId, an OID."""
    domains: Mapping[str, str] = field(default_factory=dict)
    """CX.4 or HD as written, to the OID of the domain; on top of the table of all senders."""
    national_domains: Sequence[str] = ()
    """OIDs of the domains of NHS, CHI, and Health and Care numbers, which have a check digit. The
    first one is that of numbers which stand in PID-2 or PID-19 without an authority."""
    default_domain: str = ""
    """OID of the domain of PID-3 identifiers that name no authority."""
    id_types: Mapping[str, str] = field(default_factory=dict)
    """CX.5 to the OID of a domain, where CX.4 is empty."""
    national_number_fields: Sequence[str] = ("PID-3", "PID-2", "PID-19")
    report_number: Sequence[str] = ("OBR-3", "ORC-3")
    """Fields that have the number of a report, in order of preference."""
    filler_fields: Sequence[str] = ()
    """Further fields that have accession numbers: ``OBR-20``."""
    encounter_fields: Sequence[str] = ("PV1-19",)
    """Fields that have the number of the visit."""
    chunks: Literal["auto", "join", "separate"] = "auto"
    """Whether ED values with the same OBX-3 and OBX-4 are pieces of one document."""
    render: Literal["pdf", "cda", "fhir", "text", "none"] = "pdf"
    """What is made of a report without a document."""
    pointers: Literal["record", "refuse"] = "record"
    """What becomes of an RP, which is never fetched."""
    type_code: Code | None = None
    """That of the sender's reports, where the message has none of ``known_types``."""
    default_type_code: Code | None = None
    """That of a report of which nothing else tells it."""
    class_code: Code | None = None
    class_fields: Sequence[str] = ()
    """Fields that have the class, such as ``TXA-24``."""
    order_type_code: Code | None = None
    order_class_code: Code | None = None
    known_types: Sequence[Code] = ()
    """Codes that are types of documents: the code of an OBX that carries one is its type."""
    test_notes: str = ""
    """Coding system of tests that notes (NTE-3) name, where OBR-4 has none that is known:
    ``R1.2=PANEL: R1.2 - Name``."""
    test_types: Mapping[str, Code] = field(default_factory=dict)
    """Codes of tests (OBR-4.1) to typeCode."""
    department_types: Mapping[str, Code] = field(default_factory=dict)
    """OBR-24, of HL7 table 0074, to typeCode."""
    practice_setting: Code | None = None
    facility_type: Code | None = None
    confidentiality: Code | None = None
    confidentialities: Mapping[str, Code] = field(default_factory=dict)
    """TXA-18, of HL7 table 0272, and OBX-13, to confidentialityCode."""
    restricted_tests: Sequence[str] = ()
    """Codes of tests (OBR-4.1) of which reports are restricted."""
    language: str = "en-GB"
    codes: Mapping[str, Code] = field(default_factory=dict)
    """Translations: ``system|code`` as written, to a code of the affinity domain."""
    coding_systems: Mapping[str, str] = field(default_factory=dict)
    """Coding systems as written, to OIDs or URIs; on top of the table of all senders."""
    document_types: Mapping[str, Code] = field(default_factory=dict)
    """TXA-2 of HL7 table 0270 to typeCode."""
    organisations: Mapping[str, str] = field(default_factory=dict)
    """ODS code to name, where a message has the code alone."""
    organisation_authorities: Mapping[str, str] = field(default_factory=dict)
    """XON.6 or XON.9 as written, to the OID of the codes of organisations."""
    laboratory: str = ""
    """ODS code of the sender, where the message names no laboratory."""
    title_prefixes: Sequence[str] = ()
    """Cut off at the beginning of titles: ``PANEL:``."""
    person_authorities: Mapping[str, str] = field(default_factory=dict)
    """XCN.9 as written, to an OID."""
    display_names: Literal["whole", "given-family"] = "whole"
    """What a person is whom FHIR names by a text alone: a family name, or given names and one."""
    interpreter_signs: bool = False
    """Whether the interpreter of a final report (OBR-32) is its legalAuthenticator."""
    certificates: Sequence[str] = ()
    """Names of which the client's certificate has one, by MLLP and by HTTP: a subject, a part of it
    (``CN=engine``) or a subjectAltName (``DNS:engine.example``), with ``*`` and ``?``. Empty: any
    connection may bring these messages."""
    acknowledge: Literal["auto", "original", "enhanced"] = "auto"
    """``auto``: MSH-15 and MSH-16 decide."""
    acknowledge_to: str = ""
    """Where application acknowledgements go that MSH-16 asks for: ``mllp://host:port``,
    ``mllps://host:port``, or an http(s) URL. Empty: to the connection of the message."""
    acknowledge_to_asks: Literal["AL", "NE"] = "AL"
    """MSH-15 of these: whether its receiver acknowledges that it has one."""
    reading: AcknowledgementReading = "nhs"
    error_segment: Literal["v25", "version", "none"] = "v25"
    """``version``: ERR as the sender's version defines it."""
    warnings: Literal["err", "none"] = "err"
    """Whether AA comes with ERR segments of severity W."""
    charset: str = "auto"
    """A name of MSH-18 that counts whatever a message declares; ``auto``: as it declares."""
    zone: str = "Europe/London"
    """Of times without offset, where MSH-7 has none."""
    processing_ids: Sequence[str] = ("P", "")
    """Values of MSH-11 that are taken."""
    preliminary: Literal["file", "index"] = "file"
    unverified: Literal["file", "index"] = "index"
    """What becomes of results that are not verified (OBR-25 R)."""
    late: Literal["ignore", "file-deprecated", "replace"] = "ignore"
    """What becomes of a version older than the one that is filed."""
    early_cancellation: Literal["refuse", "accept"] = "refuse"
    """A T11 of a document that is not here: it is kept in mind either way."""
    after_cancellation: Literal["file-deprecated", "refuse"] = "file-deprecated"
    """What becomes of a document that is older than the cancellation that came before it."""
    check_digits: Literal["refuse", "warn", "off"] = "refuse"
    demographics: Literal["off", "warn", "refuse"] = "warn"
    """Where name, birth date and sex contradict what is known of the patient."""
    unknown_patients: Literal["registry", "hold", "refuse"] = "registry"
    """``registry``: as the option unknown_patients says; ``hold``: wait for the patient feed."""
    unknown_parent: Literal["file", "refuse"] = "file"
    same_control_id: Literal["warn", "refuse"] = "warn"
    """A control id used again for other content."""
    wrong_patient: Literal["deprecate", "restrict"] = "restrict"
    broken_lines: Literal["refuse", "join"] = "refuse"
    """A line that is no segment: a line break within a field."""
    multiple_documents: bool = True
    """Whether a message may have several TXA."""
    most_documents: int = 100
    """That a message may carry."""
    most_segments: int = 20_000

    def may_come_from(self, node: Node) -> bool:
        """Tell whether a node may send as the senders of this flavour."""
        if not self.certificates:
            return True
        names = [one.casefold() for one in node.names]
        wanted = [one.casefold() for one in self.certificates]
        return any(fnmatchcase(name, one) for name in names for one in wanted)

    def issuer(self, envelope: MessageEnvelope) -> str:
        """Return who issues the numbers of reports that name nobody.

        It is the laboratory, so that a report has one identity whichever system sends it; else the
        facility that sends.
        """
        return self.authority or envelope.sending_facility or envelope.sending_application

    def title_of(self, text: str) -> str:
        """Return a text as the title of a document: without the prefixes of the sender."""
        for prefix in self.title_prefixes:
            if text.casefold().startswith(prefix.casefold()):
                text = text[len(prefix) :]
                break
        return " ".join(text.split())[:256]

    def translated(self, code: Code) -> Code:
        """Return a code of which the scheme is known as the affinity domain has it."""
        for name, known in self.codes.items():
            system, _, written = name.rpartition("|")
            scheme = self.coding_systems.get(system, system)
            if (written, scheme) == (code.code, code.coding_scheme):
                return known
        return code

    def restricts(self, tests: Iterable[str]) -> bool:
        """Tell whether the report of some tests is restricted for what they are."""
        return "R" in self.confidentialities and not set(tests).isdisjoint(self.restricted_tests)

    def strictest(self, written: Iterable[str], tests: Iterable[str]) -> Code | None:
        """Return the strictest of what is written, of what the tests are, and of the default."""
        known = self.confidentialities
        found = [known[code] for code in written if code in known]
        if self.restricts(tests):
            found.append(known["R"])
        if self.confidentiality:
            found.append(self.confidentiality)
        return max(found, key=lambda code: _RANKS.get(code.code, 0), default=None)

    def organisation(
        self, name: str, code: str, oid: str = "", display: str = ""
    ) -> MessageOrganisation | None:
        """Return an organisation by its name, its code, or both.

        Without a name it has that of ``organisations``, else what it is shown as, else the code.
        """
        known = self.organisations.get(code, "")
        if code and known and not oid:
            oid = self.organisation_authorities.get("ODS", "")
        name = name or known or display or code
        return MessageOrganisation(name=name, code=code, oid=oid) if name else None
