"""EVENTS: how each transaction is recorded, a row each (ITI TF-2 3.x.5.1; MHD 2:3.x.5.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xds.audit.record import Coded

_EXPORT: Final = Coded("110106", "DCM", "Export")
_IMPORT: Final = Coded("110107", "DCM", "Import")
_QUERY: Final = Coded("110112", "DCM", "Query")
_PATIENT_RECORD: Final = Coded("110110", "DCM", "Patient Record")
_REST: Final = Coded(
    "rest", "http://terminology.hl7.org/CodeSystem/audit-event-type", "RESTful Operation"
)
_TRANSACTIONS: Final = "IHE Transactions"
_OF_FHIR: Final = "urn:ihe:event-type-code"

APPLICATION_ACTIVITY: Final = Coded("110100", "DCM", "Application Activity")
APPLICATION_START: Final = Coded("110120", "DCM", "Application Start")
APPLICATION_STOP: Final = Coded("110121", "DCM", "Application Stop")
AUDIT_LOG_USED: Final = Coded("110101", "DCM", "Audit Log Used")
SECURITY_ALERT: Final = Coded("110113", "DCM", "Security Alert")
NODE_AUTHENTICATION: Final = Coded("110126", "DCM", "Node Authentication")
USER_AUTHENTICATION: Final = Coded("110114", "DCM", "User Authentication")
LOGIN: Final = Coded("110122", "DCM", "Login")
SECURITY_CONFIGURATION: Final = Coded("110129", "DCM", "Security Configuration")
READS: Final[Mapping[str, Coded]] = {
    name: Coded(name, "http://hl7.org/fhir/restful-interaction", name) for name in ("read", "vread")
}
"""The subtypes of reads by their interaction."""
APPLICATION: Final = Coded("110150", "DCM", "Application")
SOURCE: Final = Coded("110153", "DCM", "Source")
DESTINATION: Final = Coded("110152", "DCM", "Destination")
PATIENT_NUMBER: Final = Coded("2", "RFC-3881", "Patient Number")
URI: Final = Coded("12", "RFC-3881", "URI")
REPORT_NUMBER: Final = Coded("9", "RFC-3881", "Report Number")
SUBMISSION_SET: Final = Coded(
    "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
    "IHE XDS Metadata",
    "submission set classificationNode",
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """How one transaction is recorded by the actor that answers it."""

    event: Coded
    action: str
    event_type: Coded
    path: str
    serves_as_source: bool = False
    subtype: Coded | None = None
    """What FHIR calls it (R4, restful-interaction)."""
    submission_role: int = 20
    """ParticipantObjectTypeCodeRole of a SubmissionSet."""


def _row(
    name: str, title: str, event: Coded, action: str, path: str, *, serves_as_source: bool = False
) -> AuditEvent:
    return AuditEvent(event, action, Coded(name, _TRANSACTIONS, title), path, serves_as_source)


def _rest(
    name: str,
    title: str,
    action: str,
    path: str,
    interaction: str,
    *,
    serves_as_source: bool = False,
) -> AuditEvent:
    subtype = Coded(interaction, "http://hl7.org/fhir/restful-interaction", interaction)
    kind = Coded(name, _OF_FHIR, title)
    # MHD's profiles of the two that create give the data another role than that of ITI-65 (Job)
    return AuditEvent(_REST, action, kind, path, serves_as_source, subtype, 4)


_V2: Final = "/mllp"
"""Where a message by MLLP does not say what the receiver is called."""

EVENTS: Final[Mapping[str, AuditEvent]] = {
    row.event_type.code: row
    for row in (
        _row("ITI-8", "Patient Identity Feed", _PATIENT_RECORD, "C", _V2),
        _row("ITI-18", "Registry Stored Query", _QUERY, "E", "/registry"),
        _row("ITI-41", "Provide and Register Document Set-b", _IMPORT, "C", "/repository"),
        _row("ITI-42", "Register Document Set-b", _IMPORT, "C", "/registry"),
        _row(
            "ITI-43",
            "Retrieve Document Set",
            _EXPORT,
            "R",
            "/repository",
            serves_as_source=True,
        ),
        _row("ITI-44", "Patient Identity Feed", _PATIENT_RECORD, "C", "/registry"),
        _row("ITI-51", "Multi-Patient Stored Query", _QUERY, "E", "/registry"),
        _row("ITI-61", "Register On-Demand Document Entry", _IMPORT, "C", "/registry"),
        _row("ITI-64", "Notify XAD-PID Link Change", _PATIENT_RECORD, "U", _V2),
        AuditEvent(_IMPORT, "C", Coded("ITI-65", _OF_FHIR, "Provide Document Bundle"), "/fhir"),
        _rest("ITI-66", "Find Document Lists", "E", "/fhir/List", "search"),
        _rest("ITI-67", "Find Document References", "E", "/fhir/DocumentReference", "search"),
        _rest("ITI-68", "Retrieve Document", "R", "/fhir/document", "read", serves_as_source=True),
        _rest("ITI-78", "Patient Demographics Query for Mobile", "E", "/fhir/Patient", "search"),
        _rest("ITI-105", "Simplified Publish", "C", "/fhir/DocumentReference", "create"),
        _rest("ITI-106", "Generate Metadata", "C", "/fhir/DocumentReference", "create"),
    )
}
REGISTERING: Final = AuditEvent(
    _EXPORT,
    "R",
    Coded("ITI-42", _TRANSACTIONS, "Register Document Set-b"),
    "/repository",
    serves_as_source=True,
)
"""ITI-42 as the repository records it that sends it to a registry elsewhere."""
