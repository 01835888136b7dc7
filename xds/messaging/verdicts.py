"""What is wrong with a message: one list for HL7 v2 and FHIR, and how each tells it.

HL7 v2 and the Welsh messages read AE and AR the other way round: by HL7 (2.9.2, ITI TF-2x C.2.3) AE
refuses the content and AR asks for another attempt; in the NHS reading AR refuses for good and AE
asks for another attempt. So a verdict is one word here, and the code follows by the reading that a
sender's flavour names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from xds.errors import Explanation, RequestRefused, Violation

AcknowledgementReading = Literal["hl7", "nhs"]
"""How a sender understands AE and AR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageVerdict:
    """One row of VERDICTS: a kind of fault, and its code in each protocol."""

    name: str
    """Stands in ERR-5, in records and in metrics."""
    error_code: str
    """Of HL7 table 0357, in ERR-3."""
    hl7: str
    """MSA-1 in original mode, as HL7 reads it: AE or AR."""
    nhs: str
    """MSA-1 in original mode, in the NHS reading."""
    commit: str
    """MSA-1 of an accept acknowledgement: CE or CR."""
    issue: str
    """The code of an OperationOutcome's issue (FHIR R4, issue-type)."""
    is_transient: bool = False
    """Whether the same message may succeed later; then FHIR's response code is transient-error."""

    def code(self, reading: AcknowledgementReading) -> str:
        """Return MSA-1 in original mode."""
        return self.hl7 if reading == "hl7" else self.nhs


def _content(name: str, error_code: str, issue: str) -> MessageVerdict:
    """Make a verdict on content: the message has to change before it is sent again."""
    return MessageVerdict(
        name=name, error_code=error_code, hl7="AE", nhs="AR", commit="CE", issue=issue
    )


def _header(name: str, error_code: str, issue: str) -> MessageVerdict:
    """Make a verdict on a header: such messages are not answered here."""
    return MessageVerdict(
        name=name, error_code=error_code, hl7="AR", nhs="AR", commit="CR", issue=issue
    )


def _later(name: str, error_code: str, issue: str) -> MessageVerdict:
    """Make a verdict that asks for another attempt."""
    return MessageVerdict(
        name=name,
        error_code=error_code,
        hl7="AR",
        nhs="AE",
        commit="CE",
        issue=issue,
        is_transient=True,
    )


UNREADABLE: Final = _content("unreadable", "100", "structure")
TYPE: Final = _header("type", "200", "not-supported")
EVENT: Final = _header("event", "201", "not-supported")
VERSION: Final = _header("version", "203", "not-supported")
PROCESSING: Final = _header("processing", "202", "business-rule")
SENDER: Final = _header("sender", "204", "forbidden")
SEGMENT: Final = _content("segment", "100", "required")
FIELD: Final = _content("field", "101", "required")
DATA_TYPE: Final = _content("datatype", "102", "value")
CODE: Final = _content("code", "103", "code-invalid")
PATIENT_ID: Final = _content("patient-id", "204", "not-found")
PATIENT_UNKNOWN: Final = _content("patient-unknown", "204", "not-found")
DEMOGRAPHICS: Final = _content("demographics", "204", "business-rule")
DOCUMENT_UNKNOWN: Final = _content("document-unknown", "204", "not-found")
DUPLICATE_ID: Final = _content("duplicate-id", "205", "duplicate")
OLDER: Final = _content("older", "205", "conflict")
CORRUPT: Final = _content("corrupt", "102", "invalid")
TOO_LARGE: Final = _content("too-large", "207", "too-long")
MIME: Final = _content("mime", "103", "not-supported")
REGISTRY: Final = _content("registry", "207", "business-rule")
"""The rules of the registry refuse what the message would become."""
DENIED: Final = _content("denied", "207", "forbidden")
LOCKED: Final = _later("locked", "206", "lock-error")
INTERNAL: Final = _later("internal", "207", "exception")
PAUSED: Final = _later("paused", "207", "transient")
"""An operator has paused the feed that it came by."""

VERDICTS: Final[Mapping[str, MessageVerdict]] = {
    row.name: row
    for row in (
        UNREADABLE,
        TYPE,
        EVENT,
        VERSION,
        PROCESSING,
        SENDER,
        SEGMENT,
        FIELD,
        DATA_TYPE,
        CODE,
        PATIENT_ID,
        PATIENT_UNKNOWN,
        DEMOGRAPHICS,
        DOCUMENT_UNKNOWN,
        DUPLICATE_ID,
        OLDER,
        CORRUPT,
        TOO_LARGE,
        MIME,
        REGISTRY,
        DENIED,
        LOCKED,
        INTERNAL,
        PAUSED,
    )
}
"""Every verdict by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFinding:
    """One thing found in a message: what refuses it, or a warning beside its acceptance."""

    verdict: MessageVerdict
    location: str = ""
    """An ERL with ^ between its parts, such as ``OBX^3^5``, or a FHIRPath."""
    reason: str = ""
    """For people. It names a segment, a field, a rule, and never a value of a patient."""
    is_warning: bool = False


class ContentRefused(RequestRefused):
    """A message is refused, for all that was found in it."""

    def __init__(self, *findings: MessageFinding, explanations: Sequence[Explanation] = ()) -> None:
        super().__init__(", ".join(f"{one.verdict.name} at {one.location}" for one in findings))
        self.findings = findings
        self._explanations = tuple(explanations)

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return tuple(Violation(one.verdict.name, one.location) for one in self.findings)

    @property
    def explanations(self) -> Sequence[Explanation]:
        """What is wrong: as the registry says it where that refused, else as who sent is told."""
        return self._explanations or tuple(
            Explanation(Violation(one.verdict.name, one.location), one.reason)
            for one in self.findings
        )


def refused(verdict: MessageVerdict, location: str = "", reason: str = "") -> ContentRefused:
    """Make the refusal of a message for one reason."""
    return ContentRefused(MessageFinding(verdict=verdict, location=location, reason=reason))
